"""``gtzan tag --watch``: a table that follows a folder."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RATE

from gtzan_lightning.commands import tag
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference import tag_files
from gtzan_lightning.inference.tag_table import read_csv


@pytest.fixture
def folder(tmp_path: Path, tone: np.ndarray) -> Path:
    for name in ("a", "b"):
        (tmp_path / "music").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "music" / f"{name}.wav", np.tile(tone, 2), RATE)
    return tmp_path / "music"


def watch(monkeypatch, command, *steps):
    """Run the command, with a step between two looks; the last one ends it."""
    following = iter(steps)

    def sleep(seconds):
        assert seconds == 10
        step = next(following, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    monkeypatch.setattr(tag_files.time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        tag.main([*command, "--watch"])


def test_a_table_follows_its_folder(checkpoint, folder, tone, tmp_path, capsys, monkeypatch):
    out = tmp_path / "genres.csv"
    command = [str(folder), "--run", checkpoint, "--out", str(out)]
    made, tables = [], []
    rows_of = tag_files.rows_of

    def counted(tagger, files, threads):
        made.append([file.name for file in files])
        return rows_of(tagger, files, threads)

    def names():
        tables.append([Path(row["path"]).name for row in read_csv(out)])

    monkeypatch.setattr(tag_files, "rows_of", counted)
    watch(
        monkeypatch, command,
        lambda: (names(), (folder / "c.wav").write_bytes(b"text")),
        lambda: (names(), soundfile.write(folder / "c.wav", tone, RATE)),  # still being copied
        names, names,
        lambda: (folder / "a.wav").unlink(),
        names,
        lambda: shutil.move(folder, tmp_path / "gone") and folder.mkdir(),
        names,
    )  # fmt: skip
    assert made[:2] == [["a.wav", "b.wav"], ["c.wav"]]
    assert tables == [
        ["a.wav", "b.wav"], ["a.wav", "b.wav"], ["a.wav", "b.wav"], ["a.wav", "b.wav", "c.wav"],
        ["b.wav", "c.wav"], ["b.wav", "c.wav"],
    ]  # fmt: skip
    said = capsys.readouterr().out
    assert "3 files, 0 broken" in said
    made.clear()
    shutil.copytree(tmp_path / "gone", folder, dirs_exist_ok=True)
    soundfile.write(folder / "d.wav", tone, RATE)
    watch(monkeypatch, command)  # goes on: copies have times of their own, so all are made anew
    assert made == [["b.wav", "c.wav", "d.wav"]]
    made.clear()
    watch(monkeypatch, command)
    assert made == [[]]


def test_the_only_file_is_renamed(checkpoint, tone, tmp_path, monkeypatch):
    out, inbox = tmp_path / "genres.csv", tmp_path / "in"
    inbox.mkdir()
    soundfile.write(inbox / "a.wav", tone, RATE)
    tables = []

    def names():
        tables.append([Path(row["path"]).name for row in read_csv(out)])

    watch(
        monkeypatch, [str(inbox), "--run", checkpoint, "--out", str(out)],
        lambda: (inbox / "a.wav").rename(inbox / "b.wav"),
        names, names,
    )  # fmt: skip
    assert tables == [["a.wav"], ["b.wav"]]


def test_watch_goes_with_few_flags(folder, tmp_path, checkpoint):
    command = [str(folder), "--run", checkpoint, "--out", str(tmp_path / "g.csv")]
    for flags, said in (
        (["--watch", "0"], "--watch 0 is not between 0.1"),
        (["--watch", "--ray"], "--watch takes no --ray"),
        (["--watch", "--write-tags"], "--watch takes no --write-tags"),
    ):
        with pytest.raises(UserError, match=said):
            tag.main([*command, *flags])
    (tmp_path / "g.csv").write_text("mine")
    with pytest.raises(UserError, match="exists: remove it"):
        tag.main([*command, "--watch"])
    assert (tmp_path / "g.csv").read_text() == "mine"
