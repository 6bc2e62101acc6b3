"""What can end a training early, and the line that says what to do."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from gtzan_lightning.errors import UserError
from gtzan_lightning.tracking.tracker import Tracker
from gtzan_lightning.training.callbacks import say


@contextlib.contextmanager
def interruptible(tracker: Tracker, folder: Path) -> Iterator[None]:
    """An interrupted run keeps its best checkpoint and says how to resume it."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):  # Lightning makes the second of the first
        tracker.log_file(folder / "best.ckpt", "checkpoints")
        say(f"interrupted; resume it with --resume {folder.name}")
        raise KeyboardInterrupt from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise UserError(
            f"no space left while run {folder.name} was written: make room, then resume it with "
            f"--resume {folder.name}"
        ) from None
