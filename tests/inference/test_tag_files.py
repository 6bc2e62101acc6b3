import csv
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import mutagen
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from conftest import ODD_NAMES, RATE
from filelock import FileLock

from experiments import tag
from gtzan_lightning.data import decoding
from gtzan_lightning.data.audio import BrokenSong
from gtzan_lightning.data.catalogue import GENRES
from gtzan_lightning.data.listing import state_of
from gtzan_lightning.data.synthetic import render
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.file_tags import genre_of, write_genre
from gtzan_lightning.inference.sound import file_to_sound
from gtzan_lightning.inference.tag_table import read_table, write_table
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.records import RecordFile

ROOT = Path(__file__).parents[2]


@pytest.fixture
def music(tmp_path):
    """Six good songs in three formats at any depth, three broken ones, and a text."""
    root = tmp_path / "music"
    (root / "deep" / "er").mkdir(parents=True)
    places = ["a.wav", "deep/b.flac", "deep/c.mp3", "deep/er/d.ogg", "deep/er/e.wav", "f.wav"]
    for number, place in enumerate(places):
        wave = render(GENRES[number], number, 3, 2.0, 22_050)
        rate = 44_100 if number % 2 else 22_050
        sound = np.stack([wave, wave], 1) if number % 2 else wave
        soundfile.write(root / place, np.repeat(sound, rate // 22_050, axis=0), rate)
    (root / "broken.mp3").write_bytes(b"no sound at all" * 50)
    (root / "deep" / "empty.wav").touch()
    soundfile.write(root / "silent.wav", np.zeros(8000), 8000)
    (root / "notes.txt").write_text("no sound")
    return root


def read(table):
    """As a user would, with pandas."""
    if table.suffix == ".jsonl":
        return pd.read_json(table, lines=True)
    return pd.read_csv(table) if table.suffix == ".csv" else pd.read_parquet(table)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_every_file_gets_one_row_and_broken_ones_a_reason(
    checkpoint, music, tmp_path, capsys, suffix
):
    out = tmp_path / f"genres.{suffix}"
    tag.main([str(music), str(music / "a.wav"), "--run", checkpoint, "--out", str(out)])
    said = capsys.readouterr().out
    assert "9 files, 3 broken" in said
    for name, reason in (("broken.mp3", "unreadable"), ("empty.wav", "the file is empty"),
                         ("silent.wav", "silent")):  # fmt: skip
        assert any(name in line and reason in line for line in said.splitlines())
    table = read(out)
    good = table[table["genre"].fillna("") != ""]
    assert len(good) == 6
    assert table["path"].tolist() == sorted(table["path"], key=lambda p: (str(Path(p).parent), p))
    np.testing.assert_allclose(good[list(GENRES)].sum(axis=1), 1, atol=1e-3)
    prediction = Tagger.load(checkpoint).predict_file(music / "deep" / "c.mp3")
    row = good.set_index("path").loc[str(music / "deep" / "c.mp3")]
    assert row["genre"] == prediction.genre
    np.testing.assert_allclose(row[list(GENRES)].astype(float), prediction.probabilities, atol=1e-4)
    raw = Tagger.load(checkpoint, raw=True).predict_file(music / "deep" / "c.mp3")
    tag.main([str(music), "--run", checkpoint, "--raw", "--out", str(out.with_stem("raw"))])
    row = read(out.with_stem("raw")).set_index("path").loc[str(music / "deep" / "c.mp3")]
    np.testing.assert_allclose(row[list(GENRES)].astype(float), raw.probabilities, atol=1e-4)
    assert np.abs(raw.probabilities - prediction.probabilities).max() > 1e-3
    assert list(out.parent.glob(".genres*")) == []  # nothing half-made is left
    with pytest.raises(UserError, match="exists: remove it"):
        tag.main([str(music), "--run", checkpoint, "--out", str(out)])


def test_a_song_that_is_cut_is_listened_to_and_says_so(tmp_path, tone):
    for suffix in ("wav", "au", "mp3"):
        file = tmp_path / f"cut.{suffix}"
        soundfile.write(file, np.tile(tone, 8), RATE)
        assert file_to_sound(file, RATE).remarks == ()
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        sound = file_to_sound(file, RATE)
        assert 3 < sound.seconds < 5
        assert sound.remarks[0].startswith("truncated: ")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_names_that_are_not_utf_8(checkpoint, music, tmp_path, suffix):
    name = os.fsdecode(b"caf\xe9.wav")
    (music / "a.wav").rename(music / name)
    (music / "silent.wav").rename(music / os.fsdecode(b"\xff.wav"))
    out = tmp_path / f"genres.{suffix}"
    command = [
        sys.executable,
        str(ROOT / "experiments" / "tag.py"),
        str(music),
        "--run",
        checkpoint,
    ]
    done = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "broken: " in done.stdout
    assert r"\xff.wav: " in done.stdout
    if suffix == "csv":
        assert os.fsencode(music / name) in out.read_bytes()
    elif suffix == "jsonl":
        assert str(music / name) in {row["path"] for row in read_table(out)}
    else:
        assert str(music / r"caf\xe9.wav") in set(pd.read_parquet(out)["path"])


def killed_after(rows, command, monkeypatch):
    """Ends a command at the row that follows, as kill -9 would; its journal stays."""
    left = iter(range(rows))

    def add(self, record, _add=RecordFile.add):
        if next(left, None) is None:
            raise KeyboardInterrupt
        _add(self, record)

    with monkeypatch.context() as patch:
        patch.setattr(RecordFile, "add", add)
        with pytest.raises(KeyboardInterrupt):
            tag.main(command)


@pytest.fixture
def odd(tmp_path):
    """Songs of every name that a file system allows, and what is no file or no sound."""
    root = tmp_path / "odd"
    (root / "folder.wav").mkdir(parents=True)
    for number, name in enumerate(ODD_NAMES):
        soundfile.write(root / f"{number}.wav", render("pop", number, 2, 1.0, RATE), RATE)
        (root / f"{number}.wav").rename(root / name)
    soundfile.write(root / "folder.wav" / "in.wav", render("jazz", 1, 2, 1.0, RATE), RATE)
    os.mkfifo(root / "pipe.wav")
    socket.socket(socket.AF_UNIX).bind(os.path.relpath(root / "socket.wav"))
    (root / "circle.wav").symlink_to("circle.wav")
    (root / "nowhere.wav").symlink_to("gone.wav")
    (root / "up").symlink_to(root)
    (root / "te\nxt\x1b[31m.mp3").write_text("no sound" * 100)
    return root


REASONS = {
    "folder.wav": "unreadable: a folder, not a file",
    "pipe.wav": "unreadable: a named pipe, not a file",
    "socket.wav": "unreadable: a socket, not a file",
    "circle.wav": "unreadable: a loop of links",
    "nowhere.wav": "unreadable: a link that leads nowhere",
    "up": "unreadable: a link to a folder, not a file",
    "te\nxt\x1b[31m.mp3": "unreadable: text, not sound",
}


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_any_name_and_any_kind_of_file(checkpoint, odd, tmp_path, monkeypatch, capsys, suffix):
    whole, out = tmp_path / f"whole.{suffix}", tmp_path / f"out.{suffix}"
    tag.main([str(odd), "--run", checkpoint, "--out", str(whole)])
    said = capsys.readouterr().out
    assert f"{len(ODD_NAMES) + 1 + len(REASONS)} files, {len(REASONS)} broken" in said
    assert sum(line.startswith("broken: ") for line in said.splitlines()) == len(REASONS)
    assert r"/te\x0axt\x1b[31m.mp3: unreadable: text" in said
    rows = read_table(whole)
    assert {Path(r["path"]).name: r["error"] for r in rows if r["error"]} == REASONS
    assert len({row["path"] for row in rows}) == len(rows)
    if suffix != "parquet":  # which holds UTF-8 only
        names = {Path(row["path"]).name for row in rows if row["genre"]}
        assert names == {*ODD_NAMES, "in.wav"}
    command = [str(odd), "--run", checkpoint, "--out", str(out)]
    for rows_made in (4, 11):
        killed_after(rows_made, command, monkeypatch)
    (journal,) = tmp_path.glob(f".out.{suffix}.*.part")
    with journal.open("r+b") as torn:
        torn.truncate(journal.stat().st_size - 7)
    tag.main(command)
    assert "14 of them by an earlier run" in capsys.readouterr().out
    assert out.read_bytes() == whole.read_bytes()


def test_a_csv_with_any_name_is_read_by_others(checkpoint, odd, tmp_path):
    tag.main([str(odd), "--run", checkpoint, "--out", str(tmp_path / "x.csv")])
    table = pd.read_csv(tmp_path / "x.csv", encoding_errors="backslashreplace")
    names = {os.fsencode(name).decode(errors="backslashreplace") for name in ODD_NAMES}
    assert {Path(path).name for path in table["path"]} >= names


def test_a_resume_uses_only_what_still_holds(checkpoint, music, tmp_path, monkeypatch, capsys):
    out, whole = tmp_path / "genres.csv", tmp_path / "whole.csv"
    command = [str(music), "--run", checkpoint, "--out", str(out)]
    killed_after(6, command, monkeypatch)
    (journal,) = tmp_path.glob(".genres.csv.*.part")
    # of another model: not used, and left where it is
    other = journal.with_name(".genres.csv.00000000.part")
    other.write_bytes(journal.read_bytes().replace(b"a.wav", b"z.wav"))
    # a flipped bit, a song that has changed since, and a failure of the machine
    lines = journal.read_bytes().splitlines(keepends=True)
    assert b"a.wav" in lines[0]
    assert b"f.wav" in lines[2]
    journal.write_bytes(b"".join([lines[0].replace(b"a.wav", b"b.wav"), *lines[1:]]))
    soundfile.write(music / "f.wav", render("pop", 8, 3, 2.0, RATE), RATE)
    song = str(music / "deep" / "b.flac")
    sink = RecordFile(journal)
    row = ["", "", "", "", "failed: MemoryError", *[""] * 10]
    sink.add([song, state_of(Path(song)), row])
    sink.close()
    capsys.readouterr()
    tag.main(command)
    assert "9 files, 3 of them by an earlier run" in capsys.readouterr().out
    tag.main([*command[:-1], str(whole)])
    assert out.read_bytes() == whole.read_bytes()


def test_a_table_is_written_by_one_command_at_a_time(checkpoint, music, tmp_path):
    command = [str(music), "--run", checkpoint, "--out", str(tmp_path / "x.csv")]
    with FileLock(tmp_path / ".x.csv.lock"), pytest.raises(UserError, match="another command"):
        tag.main(command)
    tag.main(command)
    assert [file.name for file in tmp_path.glob("*x.csv*")] == ["x.csv"]


def test_a_journal_that_is_none(checkpoint, music, tmp_path):
    whole, out = tmp_path / "whole.csv", tmp_path / "out.csv"
    command = [str(music), "--run", checkpoint, "--out"]
    tag.main([*command, str(whole)])
    journal = tmp_path / f".out.csv.{Tagger.load(checkpoint).digest}.part"
    for garbage in (b"\0" * 5000, b"\xff\n\n[]\n{}\n[1,2]\nnull\n", whole.read_bytes()):
        journal.write_bytes(garbage)
        tag.main([*command, str(out)])
        assert out.read_bytes() == whole.read_bytes()
        out.unlink()
    for make in (Path.mkdir, os.mkfifo):
        make(journal)
        with pytest.raises(UserError, match="part can't be written: something else than a file"):
            tag.main([*command, str(out)])
        journal.rmdir() if journal.is_dir() else journal.unlink()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "failed: MemoryError"),
        (RuntimeError("odd\n length"), "failed: RuntimeError odd length"),
        (BrokenSong("unpredictable", "no number"), "unpredictable: no number"),
        (None, "unpredictable: the network gives no number for it"),
    ],
)
def test_one_song_that_breaks_the_network_costs_its_own_row(
    checkpoint, music, tmp_path, monkeypatch, error, said
):
    predict = Tagger.predict_sound

    def broken(self, sound, every=None):
        song = predict(self, sound, every)
        if not any("resampled from 44100" in remark for remark in sound.remarks):
            return song
        if error:
            raise error
        return replace(song, probabilities=song.probabilities * np.nan)

    monkeypatch.setattr(Tagger, "predict_sound", broken)
    tag.main([str(music), "--run", checkpoint, "--out", str(tmp_path / "x.csv")])
    rows = {Path(row["path"]).name: row for row in read_table(tmp_path / "x.csv")}
    assert [name for name, row in rows.items() if row["error"] == said] == [
        "f.wav",
        "b.flac",
        "d.ogg",
    ]
    assert sum(row["genre"] != "" for row in rows.values()) == 3
    assert b"nan" not in (tmp_path / "x.csv").read_bytes()


def test_a_decoder_that_fails_costs_one_row(checkpoint, music, tmp_path, monkeypatch):
    def failing(path, wanted):
        if path.name == "a.wav":
            raise MemoryError
        return file_to_sound(path, wanted)

    monkeypatch.setattr("gtzan_lightning.inference.tag_files.file_to_sound", failing)
    tag.main([str(music), "--run", checkpoint, "--out", str(tmp_path / "x.csv")])
    reasons = {Path(r["path"]).name: r["error"] for r in read_table(tmp_path / "x.csv")}
    assert reasons["a.wav"] == "failed: MemoryError"
    assert sum(reason == "" for reason in reasons.values()) == 5


def test_a_device_that_stopped_ends_the_command_and_keeps_its_rows(
    checkpoint, music, tmp_path, monkeypatch
):
    def stopped(self, sound, every=None):
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(Tagger, "predict_sound", stopped)
    with pytest.raises(UserError, match=r"the GPU stopped .* the same command resumes"):
        tag.main([str(music), "--run", checkpoint, "--out", str(tmp_path / "x.csv")])
    assert list(tmp_path.glob(".x.csv.*.part"))
    assert not (tmp_path / "x.csv").exists()


def test_a_machine_without_processes_ends_the_command_and_blames_no_song(
    checkpoint, music, tmp_path, monkeypatch
):
    monkeypatch.setattr(decoding, "_idle", [])
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "COMMAND", ["/nowhere"])
        with pytest.raises(UserError, match="no process that decodes sound can be started"):
            tag.main([str(music), "--run", checkpoint, "--out", str(tmp_path / "x.csv")])
    tag.main([str(music), "--run", checkpoint, "--out", str(tmp_path / "x.csv")])
    assert sum(row["error"] == "" for row in read_table(tmp_path / "x.csv")) == 6


def test_a_real_kill(checkpoint, music, tmp_path):
    for number in range(60):
        wave = render("rock", number, 4, 3.0, 44_100)
        soundfile.write(music / f"more{number:02}.wav", wave, 44_100)
    out = tmp_path / "genres.csv"
    command = [sys.executable, "experiments/tag.py", str(music), "--run", checkpoint, "--out", out]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    rows = 0
    while rows < 8 and time.monotonic() < deadline and process.poll() is None:
        rows = sum(f.read_text().count("\n") for f in tmp_path.glob(".genres.csv.*.part"))
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert "by an earlier run" in done.stdout
    with out.open() as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    assert len(paths) == len(set(paths)) == 69


def test_genres_into_the_files_own_tags(checkpoint, music, tmp_path, capsys):
    mp3 = mutagen.File(music / "deep" / "c.mp3", easy=True)
    mp3["artist"] = ["somebody"]
    mp3.save()
    common = [str(music), "--run", checkpoint, "--write-tags", "--out"]
    tag.main([*common, str(tmp_path / "dry.csv"), "--dry-run"])
    assert capsys.readouterr().out.count("would write") == 6
    sounds = [p for p in music.rglob("*") if p.stem in "abcdef"]
    assert len(sounds) == 6
    assert all(genre_of(path) == "" for path in sounds)
    tag.main([*common, str(tmp_path / "wet.csv")])
    table = pd.read_csv(tmp_path / "wet.csv").set_index("path")
    for path in sounds:
        assert genre_of(path) == table.loc[str(path), "genre"]
        soundfile.read(path)  # still sound
    assert mutagen.File(music / "deep" / "c.mp3", easy=True)["artist"] == ["somebody"]
    capsys.readouterr()
    tag.main([*common, str(tmp_path / "again.csv")])
    assert "wrote" not in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_tags_of_a_table_need_no_model_and_no_sound(music, tmp_path, suffix):
    """The table is of elsewhere: one file has no sound any more, one is gone."""
    genres = {"a.wav": "jazz", "deep/c.mp3": "pop", "gone.flac": "rock", "silent.wav": ""}
    rows = [
        {"path": str(music / name), "genre": genre, "probability": "0.5" if genre else ""}
        for name, genre in genres.items()
    ]
    table = tmp_path / f"genres.{suffix}"
    write_table(table, rows, table.suffix)
    code = (
        "import sys; from experiments import tag\n"
        "tag.main(sys.argv[1:])\n"
        "assert not {'torch', 'mlflow'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, "--from", str(table), "--write-tags"]

    def said(*more):
        done = subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    dry = said("--dry-run")
    assert dry.count("would write") == 2
    assert genre_of(music / "a.wav") == ""
    wet = said()
    assert "not written" in wet
    assert "gone.flac: no tag" in wet
    assert "2 files have got another genre" in wet
    assert genre_of(music / "a.wav") == "jazz"
    assert genre_of(music / "deep" / "c.mp3") == "pop"
    assert "0 files have got" in said()


def test_one_file_that_takes_no_tag_does_not_cost_the_others(odd, tmp_path, monkeypatch, capsys):
    (odd / "link.wav").symlink_to("=cmd.wav")
    opened = mutagen.File
    strange = str(odd / "-dash.wav")

    def strangely(path):
        assert path.is_file()
        if str(path) == strange:
            raise IndexError
        return opened(path)

    monkeypatch.setattr(mutagen, "File", strangely)
    rows = [{"path": str(path), "genre": "jazz"} for path in sorted(odd.iterdir())]
    write_table(tmp_path / "t.csv", rows, ".csv")
    tag.main(["--from", str(tmp_path / "t.csv"), "--write-tags"])
    said = capsys.readouterr().out
    refused = [line for line in said.splitlines() if line.startswith("not written ")]
    assert len(refused) == len(REASONS) + 1
    assert "IndexError" in next(line for line in refused if "-dash" in line)
    assert all(genre_of(odd / name) == "jazz" for name in ODD_NAMES if name != "-dash.wav")
    assert (odd / "link.wav").is_symlink()
    assert "\x1b" not in said
    assert not list(odd.glob(".part*"))


def test_wrong_words_are_refused_before_anything_is_loaded(music, tmp_path, monkeypatch):
    monkeypatch.setattr("gtzan_lightning.commands.tag._tag", None)  # nothing gets so far
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.csv").write_text("a,b\n1,2\n")
    (tmp_path / "list.jsonl").write_text("[1]\n")
    (tmp_path / "deep.jsonl").write_text("[" * 100_000)
    (tmp_path / "number.jsonl").write_text('{"path": 5, "genre": "pop"}')
    (tmp_path / "none.parquet").write_bytes(b"PAR1" * 20)
    os.mkfifo(tmp_path / "pipe.csv")
    out = ["--out", str(tmp_path / "x.csv")]
    for flags, said in (
        ([], "give files or folders and --out FILE"),
        ([str(music)], "give --out FILE"),
        (["--run", "ready", str(music), *out], "name .*music before it"),
        ([str(music), "--runn", "x"], "unknown flag '--runn': did you mean '--run'"),
        ([str(music), *out, "--run", "nonsense"], "nonsense: no such checkpoint, and there are no"),
        ([str(music), *out, "--run", "none.ckpt"], "there is no checkpoint at none.ckpt"),
        ([str(music), "--out", "there.csv"], "there.csv exists"),
        (["--from", "there.csv"], "belongs to --write-tags"),
        (["--from", "there.csv", "--write-tags"], "no table that gtzan tag --out wrote"),
        (["--from", "list.jsonl", "--write-tags"], "no table that gtzan tag --out wrote"),
        (["--from", "deep.jsonl", "--write-tags"], "no table that gtzan tag --out wrote"),
        (["--from", "number.jsonl", "--write-tags"], "no table that gtzan tag --out wrote"),
        (["--from", "none.parquet", "--write-tags"], "no table that gtzan tag --out wrote"),
        (["--from", "pipe.csv", "--write-tags"], "can't be read: a named pipe, not a file"),
        ([str(music), "--out", "pipe.csv"], "pipe.csv exists"),
        (["x" * 300, "--out", "x.csv"], "x does not exist"),
        (["--from", "none.csv", "--write-tags"], "none.csv can't be read: No such file"),
        (["--from", "x.txt", "--write-tags"], "must end in .csv, .parquet or .jsonl"),
        (["--from", "there.csv", "--write-tags", str(music), "--run", "x"], "no files or --run"),
    ):
        with pytest.raises(UserError, match=said):
            tag.main(flags)


def test_bad_input_is_one_line(checkpoint, music, tmp_path):
    (tmp_path / "none").mkdir()
    out = str(tmp_path / "x.csv")
    for flags, said in (
        ([str(tmp_path / "none"), "--run", checkpoint, "--out", out], "no sound in"),
        ([str(tmp_path / "nowhere"), "--run", checkpoint, "--out", out], "does not exist"),
        (
            [str(music), "--run", checkpoint, "--out", "x.xls"],
            "must end in .csv, .parquet or .jsonl",
        ),
        ([str(music), "--run", checkpoint, "--out", "/none/x.csv"], "there is no folder /none"),
        ([str(music), "--run", checkpoint, "--out", out, "--dry-run"], "belongs to --write-tags"),
        ([str(music), "--run", str(music / "f.wav"), "--out", out], "can't be read"),
    ):
        with pytest.raises(UserError, match=said):
            tag.main(flags)


@pytest.mark.parametrize("cut", [0.5, 0.9])
def test_a_truncated_wav_keeps_its_bytes_and_its_place(tmp_path, tone, cut):
    path = tmp_path / "half.wav"
    soundfile.write(path, tone, RATE)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(cut * len(whole))])
    before = path.read_bytes()
    with pytest.raises(BrokenSong, match="no tag"):
        write_genre(path, "jazz")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["half.wav"]
