"""Shared memory, through which the loader's processes hand over their batches."""

import shutil
import sys
from pathlib import Path

from gtzan_lightning.errors import UserError

PLACE = Path("/dev/shm")
AHEAD = 2  # batches that torch has each process make before they are asked for


def check_shared_memory(workers: int, size: int) -> None:
    """Look whether the batches that wait fit; a process for whose batch there is no room is killed.

    Args:
        workers: the loader's processes.
        size: bytes of a batch.

    Raises:
        UserError: they don't fit.
    """
    if not workers or sys.platform != "linux":
        return
    needed = (AHEAD * workers + 1) * size
    free = shutil.disk_usage(PLACE).free if PLACE.is_dir() else 0
    if free < needed:
        raise UserError(
            f"data.workers {workers} takes {needed / 1e6:.1f} MB of shared memory, and {PLACE} has "
            f"{free / 1e6:.1f} MB: take data.workers 0, or enlarge it (docker run --shm-size)"
        )
