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
from conftest import ODD_NAMES

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
def much(music):
    """The same songs under so many names that whoever is to be killed is still at work."""
    for number in range(300):
        (music / f"more{number:03}.wav").hardlink_to(music / f"{number % 12:02}.wav")


def rows_so_far(out):
    return sum(f.read_bytes().count(b"\n") for f in out.parent.glob(f".{out.name}.*.part"))


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_killed_workers_lose_nothing(checkpoint, music, much, tmp_path, capfd):
    out = tmp_path / "genres.csv"
    killed = []

    def kill_all_workers():
        wait_for(lambda: rows_so_far(out) >= 6)
        for process in psutil.Process().children(recursive=True):
            if "TaggingWorker" in " ".join(process.cmdline()):
                process.kill()
                killed.append(process.pid)

    killer = threading.Thread(target=kill_all_workers)
    killer.start()
    tag.main([str(music), "--run", checkpoint, "--out", str(out), *ON_RAY])
    killer.join()
    said = capfd.readouterr()
    assert len(killed) == 2
    assert "313 files, 1 broken" in said.out
    assert "Error" not in said.err  # Ray's own words stay out of the terminal
    assert out.read_bytes() == plain_table(music, checkpoint, tmp_path)
    assert list(tmp_path.glob(".genres*")) == []


@pytest.mark.slow
def test_a_killed_driver_goes_on(checkpoint, music, much, tmp_path):
    out = tmp_path / "genres.csv"
    command = [sys.executable, "experiments/tag.py", str(music), "--run", checkpoint, "--out", out]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*command, *ON_RAY], cwd=ROOT, env=env)
    wait_for(lambda: rows_so_far(out) >= 6)
    ray = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not any(p.is_running() for p in ray))  # a dead driver's Ray ends too
    made = rows_so_far(out)
    done = subprocess.run([*command, *ON_RAY], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"313 files, {made} of them by an earlier run, 1 broken" in done.stdout
    assert out.read_bytes() == plain_table(music, checkpoint, tmp_path)


def test_what_breaks_costs_its_own_row(checkpoint, music, tmp_path, capfd):
    for name in ODD_NAMES:
        (music / name).hardlink_to(music / "00.wav")
    os.mkfifo(music / "pipe.wav")
    (music / "circle.wav").symlink_to("circle.wav")
    out = tmp_path / "genres.csv"
    tag.main([str(music), "--run", checkpoint, "--out", str(out), *ON_RAY])
    assert f"{15 + len(ODD_NAMES)} files, 3 broken" in capfd.readouterr().out
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
