"""A disk that is full at some moment of a run: small file systems in memory, one of each size."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import quick_flags

from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.tracking.reading import metric_history, runs_table

ROOT = Path(__file__).parents[2]
CODE = """
import sys
from gtzan_lightning.commands.run import main
from gtzan_lightning.recipe.command_line import guarded
from gtzan_lightning.tracking import reading
reading.ROOM = 0  # else a disk so small is refused at the start
guarded(main)
"""
WHOLE = 20_000  # kB
# packing (3.7 MB) fails at the first, then the store (1.1 MB), checkpoints, records, tables,
# plots and copies of them in the store
SIZES = (500, 4400, 4900, 5250, 5500, 5650, 5750, 5850)


def mount(place: Path, *options: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(place)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A file system in memory; the test is skipped where it can't be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    if not mount(place, f"size={WHOLE}k"):
        pytest.skip("no file system can be mounted here")
    yield place
    # lazy: the client of this process keeps the database open
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def run(flags: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CODE, *flags], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.many
@pytest.mark.parametrize("size", SIZES)
def test_a_disk_that_is_full_at_some_moment_is_one_line_and_the_run_is_resumed(disk, size):
    flags = [*quick_flags(disk / "packed", disk), "--resume", "last"]
    assert mount(disk, "remount", f"size={size}k")
    full = run(flags)
    assert full.returncode == 2, full.stderr
    assert "Traceback" not in full.stderr
    assert full.stderr.splitlines()[-1].startswith("error: ")
    assert any(word in full.stderr for word in ("make room", "did not take all records"))
    assert mount(disk, "remount", f"size={WHOLE}k")
    done = run(flags)
    assert done.returncode == 0, done.stderr
    (only,) = runs_table(parse_run(flags[:-2])[0].track).to_dict("records")
    assert only["status"] == "FINISHED"
    assert len(metric_history(only["run_id"], "valid/loss", parse_run(flags[:-2])[0].track)) == 2
    assert list(disk.rglob("*.part")) == []
