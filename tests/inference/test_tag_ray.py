"""On a Ray of two workers on this machine: the plain command's table, whoever is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import soundfile

from experiments import tag
from gtzan_lightning.data.synthetic import render
from gtzan_lightning.errors import UserError

pytestmark = pytest.mark.many

pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[ray]'")
ROOT = Path(__file__).parents[2]
ON_RAY = ["--ray", "local", "--workers", "2"]


@pytest.fixture
def music(tmp_path):
    """Twelve songs, two of them at another rate, and a broken file."""
    folder = tmp_path / "music"
    folder.mkdir()
    for number in range(12):
        wave = render("rock", number, 5, 2.0, 22_050)
        soundfile.write(folder / f"{number:02}.wav", wave, 44_100 if number in (5, 9) else 22_050)
    (folder / "broken.mp3").write_bytes(b"no sound at all" * 50)
    return folder


def plain_table(music, checkpoint, tmp_path):
    whole = tmp_path / "whole.csv"
    tag.main([str(music), "--run", checkpoint, "--out", str(whole)])
    return whole.read_bytes()


@pytest.fixture
def stalled(music):
    """The fourth song as a pipe that nobody fills: whoever reads it stands still till ``heal``."""
    song, kept = music / "03.wav", music.parent / "kept.wav"
    song.rename(kept)
    os.mkfifo(song)
    return lambda: kept.replace(song)


def rows_so_far(out):
    return sum(f.read_bytes().count(b"\n") - 1 for f in out.parent.glob(f".{out.name}.*.part"))


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def test_killed_workers_lose_nothing(checkpoint, music, stalled, tmp_path, capfd):
    out = tmp_path / "genres.csv"
    killed = []

    def kill_all_workers():
        wait_for(lambda: rows_so_far(out) >= 6)
        for process in psutil.Process().children(recursive=True):
            if "TaggingWorker" in " ".join(process.cmdline()):
                process.kill()
                killed.append(process.pid)
        stalled()

    killer = threading.Thread(target=kill_all_workers)
    killer.start()
    tag.main([str(music), "--run", checkpoint, "--out", str(out), *ON_RAY])
    killer.join()
    said = capfd.readouterr()
    assert len(killed) == 2
    assert "13 files, 1 broken" in said.out
    assert "Error" not in said.err  # Ray's own words stay out of the terminal
    assert out.read_bytes() == plain_table(music, checkpoint, tmp_path)
    assert list(tmp_path.glob(".genres*")) == []


@pytest.mark.slow
def test_a_killed_driver_goes_on(checkpoint, music, stalled, tmp_path):
    out = tmp_path / "genres.csv"
    command = [sys.executable, "experiments/tag.py", str(music), "--run", checkpoint, "--out", out]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*command, *ON_RAY], cwd=ROOT, env=env)
    wait_for(lambda: rows_so_far(out) >= 6)
    ray = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not any(p.is_running() for p in ray))  # a dead driver's Ray ends too
    stalled()
    made = rows_so_far(out)
    done = subprocess.run([*command, *ON_RAY], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"13 files, {made} of them by an earlier run, 1 broken" in done.stdout
    assert out.read_bytes() == plain_table(music, checkpoint, tmp_path)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--ray", "/some/folder"], "must be local, auto or HOST:PORT"),
        (["--workers", "2"], "--workers belongs to --ray"),
        (["--ray", "local", "--workers", "0"], "must be 1 or more"),
    ],
)
def test_bad_flags_are_one_line(flags, said):
    with pytest.raises(UserError, match=said):
        tag.main(["songs", "--run", "x", "--out", "y.csv", *flags])
