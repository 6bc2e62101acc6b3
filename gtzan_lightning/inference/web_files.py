"""Temporary files of the web page: one private folder, emptied while it is open."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

KEPT = 1800  # seconds of uploads: all who wait have their answers by then
CHECKED = 60  # seconds between looks at their age


@contextmanager
def temporary() -> Iterator[Path]:
    """A folder that nobody else reads, for all that the page keeps; gone when the process ends.

    To be called before gradio is imported, which would share one with all users of the machine.
    """
    with tempfile.TemporaryDirectory(prefix="gtzan-", ignore_cleanup_errors=True) as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
            if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores one
                signal.signal(number, _end)
        threading.Thread(target=_tidy, args=(Path(folder),), daemon=True).start()
        yield Path(folder)


def _end(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _tidy(folder: Path) -> None:
    while True:
        time.sleep(CHECKED)
        remove_old(folder, 2 * KEPT)


def remove_old(folder: Path, age: float) -> None:
    """Gradio removes files that it knows at ``KEPT``; of a connection that broke it knows none."""
    for file in folder.rglob("*"):
        try:
            if file.is_file() and time.time() - file.stat().st_mtime > age:
                file.unlink()
        except OSError:
            continue  # gone meanwhile
