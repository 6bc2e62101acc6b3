import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile
from conftest import RATE

from gtzan_lightning.data import corpora, packing
from gtzan_lightning.data.audio import BrokenSong
from gtzan_lightning.data.catalogue import find_gtzan, folder_songs, gtzan_songs
from gtzan_lightning.data.corpora import CORPORA
from gtzan_lightning.data.corpus import open_corpus
from gtzan_lightning.data.packing import prepare, resolve
from gtzan_lightning.data.prepared import prepare_clips
from gtzan_lightning.data.sound_files import SoundFile
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import DataSettings


def ask(root: Path, packed: Path, corpus: str = "gtzan", **data) -> DataSettings:
    small = {"sample_rate": RATE, "n_fft": 512, "hop_length": 256, "bins": 32}
    return DataSettings(corpus=corpus, root=str(root), packed=str(packed), **{**small, **data})


def write(path: Path, wave: np.ndarray, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate)
    return path


@pytest.mark.parametrize("layout", ["genres", "Data/genres_original", "a/b/genres", "."])
def test_gtzan_is_found_in_the_layouts_people_have(tmp_path, layout, tone):
    write(tmp_path / layout / "blues" / "blues.00000.wav", tone)
    write(tmp_path / layout / "hip-hop" / "hiphop.00007.au", tone)
    write(tmp_path / "Data" / "images_original" / "blues" / "blues00000.wav", tone)
    songs, problems = gtzan_songs(tmp_path)
    assert [s.id for s in songs] == ["blues.00000", "hiphop.00007"]
    assert songs[0].artist != songs[1].artist
    assert sum(p.what == "missing" for p in problems) == 998


def test_every_corpus_that_can_be_asked_for_is_listed():
    assert tuple(CORPORA) == get_args(DataSettings.model_fields["corpus"].annotation)


def test_extra_files_are_named(tmp_path, tone):
    write(tmp_path / "rock" / "rock.00001.wav", tone)
    write(tmp_path / "rock" / "rock.00001.flac", tone)
    write(tmp_path / "rock" / "other.wav", tone)
    _, problems = gtzan_songs(tmp_path)
    extra = {Path(p.name).name for p in problems if p.what == "extra"}
    assert extra == {"rock.00001.wav", "other.wav"}


def test_auto_says_loudly_that_gtzan_is_missing(tmp_path, gtzan_copy, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kind, line = resolve(DataSettings())
    assert kind == "synthetic"
    assert "NOT FOUND" in line
    assert "get it with 'gtzan data' (" in line
    assert resolve(ask(gtzan_copy, tmp_path, "auto")) == ("gtzan", None)
    with pytest.raises(
        UserError, match=r"no GTZAN at .*gtzan data --data\.root.*data\.corpus folder"
    ):
        resolve(ask(tmp_path, tmp_path, "auto"))  # a root that was named is not passed over
    with pytest.raises(UserError, match=r"GTZAN was not found.*kaggle"):
        prepare(ask(tmp_path / "none", tmp_path, "gtzan"))


def test_every_kind_of_broken_file_is_left_out_by_name(tmp_path, tone):
    folder = tmp_path / "songs" / "a"
    for n in range(3):
        write(folder / f"good{n}.wav", tone * (0.5 + 0.1 * n))
        write(tmp_path / "songs" / "b" / f"good{n}.wav", tone[::-1] * (0.5 + 0.1 * n))
    high = np.random.default_rng(0).normal(0, 0.1, (2 * 96000, 2)).astype(np.float32)
    write(folder / "stereo96k.flac", high, 96000)
    write(folder / "silent.wav", np.zeros(RATE * 2, np.float32))
    write(folder / "short.wav", tone[: RATE // 2])
    write(folder / "no_samples.wav", tone[:0])
    write(folder / "twin.wav", tone * 0.5)
    whole = write(folder / "cut.wav", np.tile(tone, 4)).read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "text.mp3").write_text("this is not sound" * 100)
    (folder / "empty.wav").touch()
    corpus = prepare(ask(tmp_path / "songs", tmp_path / "packed", "folder"))
    wrong = {p.name.removeprefix("a/"): p.what for p in corpus.problems if p.left_out}
    assert wrong == {
        "silent.wav": "silent",
        "short.wav": "too short",
        "no_samples.wav": "too short",
        "twin.wav": "duplicate",
        "cut.wav": "truncated",
        "text.mp3": "unreadable",
        "empty.wav": "unreadable",
    }
    row = corpus.ids.index("a/stereo96k.flac")
    assert corpus.lengths[row] == 2 * RATE
    assert len(corpus.songs) == 7
    assert len(corpus.recordings.values) == corpus.lengths.sum()  # nothing is kept of the others


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.wav", b"", "the file is empty"),
        ("text.mp3", "Größe\n".encode() * 900, "text, not sound"),
        ("film.mp4", b"\0\0\0 ftypisom" + bytes(999), "not a sound file that libsndfile knows"),
        ("cut.wav", b"RIFF\x24\0\0\0WAVEfmt ", "truncated, damaged, or of a codec"),
        ("cut.flac", b"fLaC\0\0", "truncated, damaged, or of a codec"),
        ("cut.mp3", b"\xff\xfb\x90", "truncated, damaged, or of a codec"),
        ("folder.wav", None, "a folder, not a file"),
        ("locked.wav", b"RIFF", "no permission to read it"),
        ("gone.wav", None, "it can't be found"),
    ],
)
def test_a_file_that_is_no_sound_says_why(tmp_path, monkeypatch, name, content, reason):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    elif name.startswith("folder"):
        file.mkdir()
    if name.startswith("locked"):
        monkeypatch.setattr(os, "access", lambda *_: False)  # to root no file is locked
    with pytest.raises(BrokenSong, match=f"unreadable: {reason}"):
        SoundFile(file)


@pytest.mark.parametrize(
    ("stated", "whole"), [(0x7FFFF000, True), (0xFFFFFFFF, True), (0x7000_0000, False)]
)
def test_a_length_that_a_pipe_could_not_know_is_no_fault(tmp_path, tone, stated, whole):
    write(tmp_path / "a.wav", tone)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = stated.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(content)
    with SoundFile(tmp_path / "a.wav") as sound:
        assert (not sound.header.cut) is whole


def test_a_genre_without_a_usable_song_is_one_line(tmp_path, tone):
    for n in range(3):
        write(tmp_path / "songs" / "a" / f"{n}.wav", tone * (0.5 + 0.1 * n))
        write(tmp_path / "songs" / "b" / f"{n}.wav", np.zeros_like(tone))
    with pytest.raises(UserError, match=r"genre b of folder has no usable song \(3 silent\)"):
        prepare(ask(tmp_path / "songs", tmp_path, "folder"))


def test_packed_songs_are_the_decoded_songs(gtzan_copy, packed):
    corpus = prepare(ask(gtzan_copy, packed))
    assert corpus.recordings.values.dtype == np.int16
    assert len(corpus.songs) == 60
    row = corpus.ids.index("jazz.00005")
    truth, _ = soundfile.read(find_gtzan(gtzan_copy) / "jazz" / "jazz.00005.wav", dtype="int16")
    assert corpus.lengths[row] == len(truth) == round(4.5 * RATE)
    assert np.abs(corpus.recording(row).astype(int) - truth).max() <= 1


def test_a_warm_start_decodes_nothing_and_a_changed_source_is_noticed(
    tmp_path, gtzan_copy, monkeypatch
):
    root = tmp_path / "copy"
    shutil.copytree(gtzan_copy, root)
    settings = ask(root, tmp_path / "packed")
    first = prepare(settings)
    with monkeypatch.context() as patch:
        patch.setattr(corpora, "decode", None)
        patch.setattr(corpora, "probe_seconds", None)
        assert prepare(settings).folder == first.folder
    changed = next(root.rglob("pop.00002.wav"))
    wave, rate = soundfile.read(changed)
    soundfile.write(changed, wave[::-1], rate)
    second = prepare(settings)
    assert second.folder != first.folder
    row = second.ids.index("pop.00002")
    assert not np.array_equal(first.recording(row), second.recording(row))
    assert second.fingerprint == first.fingerprint  # of the songs, not of their bytes
    assert second.sounds != first.sounds
    assert [s["digest"] for s in second.songs] != [s["digest"] for s in first.songs]


def test_a_kill_or_a_full_disk_leaves_nothing_half_made(tmp_path, gtzan_copy):
    settings = ask(gtzan_copy, tmp_path)

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, limits[1]))  # of 4 MB
    try:
        with pytest.raises(UserError, match=r"can't be written.*File too large.*data\.packed"):
            prepare(settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [p for p in tmp_path.iterdir() if p.is_dir()]
    # what a killed process left is not used and does not disturb
    part = next(p for p in tmp_path.iterdir() if p.name.endswith(".lock"))
    part.with_suffix(".part").mkdir()
    (part.with_suffix(".part") / "corpus.json").write_text("{}")
    assert len(prepare(settings).songs) == 60


def test_a_run_that_gives_up_waiting_does_not_disturb_the_one_that_packs(
    tmp_path, gtzan_copy, monkeypatch
):
    settings = ask(gtzan_copy, tmp_path)
    pack = packing._pack_waveforms

    def interrupted_elsewhere(part, *args):
        pack(part, *args)
        with monkeypatch.context() as patch:
            patch.setattr(packing, "FileLock", lambda path: _raise(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                prepare(settings)
        assert part.is_dir()

    monkeypatch.setattr(packing, "_pack_waveforms", interrupted_elsewhere)
    assert len(prepare(settings).songs) == 60


def _raise(error):
    raise error


def test_two_runs_at_once_pack_one_corpus(tmp_path, gtzan_copy):
    settings = ask(gtzan_copy, tmp_path)
    code = (
        "import sys; from gtzan_lightning.data.packing import prepare\n"
        "from gtzan_lightning.recipe.settings import DataSettings\n"
        "print(prepare(DataSettings.model_validate_json(sys.argv[1])).recordings.values.sum())"
    )
    command = [sys.executable, "-c", code, settings.model_dump_json()]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = [process.communicate()[0].splitlines()[-1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sums[0] == sums[1]
    assert len([p for p in tmp_path.iterdir() if p.is_dir()]) == 1


def test_pictures_pack_and_open_as_a_corpus_of_their_own(tmp_path, gtzan_copy, packed):
    settings = ask(gtzan_copy, packed, pack="pictures")
    corpus = prepare(settings)
    assert (corpus.recording(0).dtype, corpus.recording(0).shape[0]) == (np.uint8, 32)
    assert corpus.name == "gtzan-pictures"
    assert corpus.recordings.values.max() == 255
    again = prepare(ask(corpus.folder, tmp_path, "pictures"))
    assert again.ids == corpus.ids


def test_damaged_or_foreign_folders_are_one_line(tmp_path, gtzan_copy, packed):
    with pytest.raises(UserError, match="does not exist"):
        open_corpus(tmp_path / "none")
    with pytest.raises(UserError, match="not a packed corpus"):
        open_corpus(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(prepare(ask(gtzan_copy, packed)).folder, copy)
    (copy / "digests.sha256").unlink()  # by which changes are found at once
    info = json.loads((copy / "corpus.json").read_text())
    (copy / "corpus.json").write_text(json.dumps({**info, "kind": "picture"}))
    with pytest.raises(UserError, match=r"array.npy holds no pictures"):
        open_corpus(copy)
    (copy / "corpus.json").write_text(json.dumps(info))
    with pytest.raises(UserError, match="holds waveforms, not pictures"):
        resolve(ask(copy, tmp_path, "pictures"))
    for wrong in ("[]", json.dumps({**info, "genres": ["blues"]})):
        (copy / "corpus.json").write_text(wrong)
        with pytest.raises(UserError, match="not a packed corpus"):
            open_corpus(copy)


def test_folders_that_can_not_be_a_corpus_are_one_line(tmp_path, tone):
    with pytest.raises(UserError, match="does not exist"):
        folder_songs(tmp_path / "none")
    with pytest.raises(UserError, match="has no sound"):
        folder_songs(tmp_path)
    write(tmp_path / "lonely" / "one.wav", tone)
    with pytest.raises(UserError, match=r"lonely has 1 song: a genre needs at least three"):
        folder_songs(tmp_path)
    for genres, said in (
        (["jazz"], "are of genre jazz: data.root is the folder that holds"),
        (["jazz", "song"], "a genre can't be called song"),
    ):
        root = tmp_path / said[:5]
        for genre in genres:
            for n in range(3):
                write(
                    root / genre / f"{n}.wav", tone * (0.5 + 0.1 * n + 0.01 * genres.index(genre))
                )
        own = ask(root, tmp_path / "packed", "folder")
        with pytest.raises(UserError, match=said):
            prepare_clips(own, prepare(own))


def test_real_songs_in_every_format_and_length(real_data, tmp_path):
    other = tmp_path / "songs"
    for n, path in enumerate(sorted((real_data / "other-songs").iterdir())):
        (other / f"g{n % 1}").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, other / f"g{n % 1}" / path.name)
    corpus = prepare(ask(other, tmp_path / "packed", "folder", sample_rate=22050))
    assert len(corpus.songs) == 4
    excerpts = find_gtzan(real_data / "gtzan-excerpts")
    jazz = tmp_path / "excerpts" / "jazz"
    shutil.copytree(excerpts / "jazz", jazz)
    short = prepare(ask(jazz.parent, tmp_path / "packed", "gtzan", sample_rate=22050))
    seconds = short.lengths / 22050
    assert 1.9 < seconds.min() <= seconds.max() < 3.1
