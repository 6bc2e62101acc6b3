"""Every name and every kind of file in a folder of songs: a song, or a finding with its reason."""

import os
import socket
from pathlib import Path

import pandas as pd
import pytest
import soundfile
from conftest import ODD_NAMES, RATE

from gtzan_lightning.audit.read import read
from gtzan_lightning.data.catalogue import folder_songs, gtzan_songs
from gtzan_lightning.data.corpora import CORPORA
from gtzan_lightning.data.listing import sounds_under, why_no_file
from gtzan_lightning.data.packing import prepare, verify
from gtzan_lightning.data.synthetic import render
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import DataSettings
from gtzan_lightning.terminal import printable
from gtzan_lightning.training.train import train

STRANGE = {
    "pipe": "a named pipe, not a file",
    "socket": "a socket, not a file",
    "device": "a device, not a file",
    "circle": "a loop of links",
    "nowhere": "a link that leads nowhere",
    "folder": "a folder, not a file",
    "link": "a link to a folder, not a file",
}


def song(path: Path, number: int = 0, genre: str = "pop", seconds: float = 1.0) -> None:
    """A song that differs from those of other numbers; by ``sound`` also of a name of 255 bytes."""
    with path.open("wb") as file:
        soundfile.write(file, render(genre, number, 1, seconds, RATE), RATE, format="WAV")


def strange(folder: Path, stem: str = "{}.wav") -> None:
    """One of each kind of what is no file, named after the kind."""
    path = {kind: folder / stem.format(kind) for kind in STRANGE}
    os.mkfifo(path["pipe"])
    socket.socket(socket.AF_UNIX).bind(os.path.relpath(path["socket"]))
    path["device"].symlink_to("/dev/zero")
    path["circle"].symlink_to(path["circle"].name)
    path["nowhere"].symlink_to("gone.wav")
    path["folder"].mkdir()
    path["link"].symlink_to(folder)


@pytest.fixture
def closed(monkeypatch):
    """Folders that nobody may list from now on, as root may whatever their mode is."""
    places: set[str] = set()
    scandir, listdir = os.scandir, os.listdir

    def guarded(call):
        def of(path="."):
            if str(path) in places:
                raise PermissionError(13, "Permission denied", str(path))
            return call(path)

        return of

    monkeypatch.setattr(os, "scandir", guarded(scandir))
    monkeypatch.setattr(os, "listdir", guarded(listdir))
    return lambda folder: places.add(str(folder))


def test_a_folder_of_music_names_everything_and_follows_no_link(tmp_path, closed):
    strange(tmp_path)
    for name in ODD_NAMES:
        song(tmp_path / name)
    song(tmp_path / "folder.wav" / "inside.wav")
    (tmp_path / "closed" / "within").mkdir(parents=True)
    closed(tmp_path / "closed")
    (tmp_path / ".hidden.wav").touch()
    (tmp_path / "notes.txt").touch()
    found = {str(path.relative_to(tmp_path)): why_no_file(path) for path in sounds_under(tmp_path)}
    assert found == {
        **{f"{kind}.wav": why for kind, why in STRANGE.items()},
        **dict.fromkeys(ODD_NAMES, ""),
        "folder.wav/inside.wav": "",
        "closed": "folder not readable (Permission denied)",
    }


def test_folders_in_folders_are_no_recursion(tmp_path):
    place = tmp_path
    for _ in range(1200):  # deeper than Python's own limit, shorter than the system's
        place = place / "d"
        place.mkdir()
    song(place / "x.wav")
    assert list(sounds_under(tmp_path)) == [place / "x.wav"]
    (place / "x.wav").unlink()
    while place != tmp_path:  # shutil's own removal is a recursion
        place.rmdir()
        place = place.parent


def test_an_own_corpus_names_what_it_can_not_use(tmp_path, closed):
    for genre in ("a", "b"):
        (tmp_path / genre).mkdir()
        for number in range(3):
            song(tmp_path / genre / f"{number}.wav", number)
    strange(tmp_path / "a")
    (tmp_path / "a" / "inner").mkdir()
    song(tmp_path / "top.wav")
    songs, problems = folder_songs(tmp_path)
    assert len(songs) == 6
    wrong = {Path(p.name).name: (p.what, p.detail) for p in problems}
    assert wrong == {
        **{f"{kind}.wav": ("unreadable", why) for kind, why in STRANGE.items()},
        "inner": ("extra", "a folder, not a file"),
        "top.wav": ("extra", "in no genre's folder"),
    }
    _, verified = verify(CORPORA["folder"](DataSettings(corpus="folder", root=str(tmp_path))))
    assert verified == problems
    closed(tmp_path / "b")  # a genre does not vanish in silence
    with pytest.raises(UserError, match=r"b has 0 songs \(.*folder not readable \(Permission"):
        folder_songs(tmp_path)
    closed(tmp_path)
    with pytest.raises(UserError, match="folder not readable"):
        folder_songs(tmp_path)


def test_a_copy_of_gtzan_names_what_it_can_not_use(tmp_path, closed):
    base = tmp_path / "genres"
    for genre in ("blues", "pop", "rock"):
        (base / genre).mkdir(parents=True)
        song(base / genre / f"{genre}.00099.wav")
    numbers = {kind: f"{number:05}" for number, kind in enumerate(STRANGE)}
    made = tmp_path / "made"
    made.mkdir()
    strange(made)
    for kind, number in numbers.items():
        (made / f"{kind}.wav").rename(base / "blues" / f"blues.{number}.wav")
    (tmp_path / "loop").symlink_to(tmp_path)
    (base / "metal").symlink_to("gone")
    closed(base / "rock")
    songs, problems = gtzan_songs(tmp_path)
    assert [song.id for song in songs] == ["blues.00099", "pop.00099"]
    unreadable = {Path(p.name).name: p.detail for p in problems if p.what == "unreadable"}
    assert unreadable.pop("rock") == "folder not readable (Permission denied)"
    loops = numbers.pop("circle")
    assert unreadable.pop(f"blues.{loops}.wav") == "a link that leads nowhere"  # it was renamed
    assert unreadable == {f"blues.{n}.wav": STRANGE[kind] for kind, n in numbers.items()}
    assert [p.detail for p in problems if p.what == "extra"] == ["a link that leads nowhere"]
    missing = {p.name for p in problems if p.what == "missing"}
    assert len(missing) == 1000 - 2 - len(STRANGE)
    closed(tmp_path)
    with pytest.raises(UserError, match=r"GTZAN was not found: .* folder not readable"):
        gtzan_songs(tmp_path)


def test_an_audit_names_them_too(tmp_path):
    strange(tmp_path)
    song(tmp_path / os.fsdecode(b"caf\xe9.wav"))
    subject = read(str(tmp_path))
    assert [song.id for song in subject.songs] == [r"caf\xe9.wav"]
    (finding,) = subject.findings
    assert finding.severity == "fault"
    assert {e.songs[0]: e.text for e in finding.examples} == {
        f"{kind}.wav": why for kind, why in STRANGE.items()
    }


@pytest.fixture
def odd_corpus(tmp_path):
    """Two genres, one with a name that no terminal should see, of songs of every name."""
    for genre in ("pop", os.fsdecode(b"caf\xe9\n\x1b[31m")):
        (tmp_path / "songs" / genre).mkdir(parents=True)
        for number, name in enumerate(ODD_NAMES):
            path = tmp_path / "songs" / genre / name
            song(path, number, "rock" if genre == "pop" else "jazz", 2.0)
    return [
        *("--data.corpus", "folder", "--data.root", str(tmp_path / "songs")),
        *("--data.packed", str(tmp_path / "packed"), "--fit.max_epochs", "1"),
    ]


def test_songs_of_any_name_are_packed(tmp_path, quick, odd_corpus):
    corpus = prepare(quick(*odd_corpus).data)
    assert corpus.problems == []
    assert len(corpus.ids) == 2 * len(ODD_NAMES)
    files = {Path(song["path"]) for song in corpus.songs}
    assert files == set((tmp_path / "songs").glob("*/*"))
    assert rf"caf\xe9\x0a\x1b[31m/{printable(ODD_NAMES[1])}" in corpus.ids
    assert prepare(quick(*odd_corpus).data).ids == corpus.ids


@pytest.mark.many
def test_songs_of_any_name_are_trained_on(quick, odd_corpus):
    recipe = quick(*odd_corpus, "--track.log_model", "false")
    run = train(recipe)
    songs = pd.read_csv(run.folder / "songs.csv")
    assert list(songs["song"]) == prepare(recipe.data).ids
    predictions = pd.read_csv(run.folder / "predictions.csv")
    assert set(predictions["song"]) == set(songs.loc[songs["part"] != "test", "song"])
