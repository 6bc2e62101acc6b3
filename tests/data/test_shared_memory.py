"""Whether the loader's processes have the shared memory that their batches take."""

import collections
import sys

import pytest

from gtzan_lightning.data import shared_memory
from gtzan_lightning.data.module import GenreData
from gtzan_lightning.errors import UserError

Usage = collections.namedtuple("Usage", "free")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looked at on Linux alone")
BATCH = 16 * 8000 * 4  # bytes: of 16 clips of 1 s at 8 kHz, as floats


@pytest.mark.parametrize("free", [5 * BATCH - 1, 5 * BATCH])
def test_two_processes_need_room_for_five_batches(quick, monkeypatch, free):
    monkeypatch.setattr(shared_memory.shutil, "disk_usage", lambda place: Usage(free))
    GenreData(quick()).setup()  # loads alone
    data = GenreData(quick("--data.workers", "2"))
    if free == 5 * BATCH:
        data.setup()
        return
    with pytest.raises(UserError, match=r"workers 2 takes 2\.6 MB .* has 2\.6 MB: .*workers 0"):
        data.setup()


def test_a_machine_without_shared_memory_says_so(quick, monkeypatch, tmp_path):
    monkeypatch.setattr(shared_memory, "PLACE", tmp_path / "shm")
    with pytest.raises(UserError, match=r"has 0\.0 MB: take data\.workers 0"):
        GenreData(quick("--data.workers", "2")).setup()
