"""What can happen to a training, and the line that says what to do."""

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


@contextlib.contextmanager
def compiler_named(compiled: bool) -> Iterator[None]:
    """torch.compile that can't, such as without a C++ compiler, becomes one line."""
    try:
        yield
    except Exception as error:
        if not compiled or not type(error).__module__.startswith(("torch._dynamo", "torch._ind")):
            raise
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"fit.compile: torch.compile can't ({reason}): leave it out") from None
