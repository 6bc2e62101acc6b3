"""Processes that are watched: a group of their own, bounds on memory and time, what they took."""

import contextlib
import os
import resource
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.attack.work import ENVIRONMENT, ROOT

BOUND = 6 * 2**30  # bytes of data of a process, so that the machine outlives what is tried
PAGE = resource.getpagesize()
LOOK = 0.05  # seconds between looks at the memory
NOISE = ("Traceback (most recent call last)", "mpg123", "\x1b")  # none of them is for users


@dataclass(frozen=True)
class Ended:
    """A command that ended or was killed."""

    said: str
    status: int | None  # None: it was killed
    seconds: float
    memory: int  # bytes, highest of the whole group

    def noise(self) -> str:
        """What it should not have said, with the line that has it."""
        for line in self.said.splitlines():
            for word in NOISE:
                if word in line:
                    return f"{word!r} in its output"
        return "" if self.status is not None else "did not end in time"


def bounded() -> None:
    """For a child: a bound on its memory."""
    resource.setrlimit(resource.RLIMIT_DATA, (BOUND, BOUND))


def memory_of(pid: int) -> int:
    """Bytes of a process and its children that are theirs alone: no libraries, no mapped files."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(OSError, ValueError):
                sizes = Path(f"/proc/{process.pid}/statm").read_text().split()
                total += PAGE * (int(sizes[1]) - int(sizes[2]))
    return total


class Peak(threading.Thread):
    """Looks at the memory of a process group until it is stopped."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.highest, self.stopped = pid, 0, threading.Event()

    def run(self) -> None:
        while not self.stopped.wait(LOOK):
            self.highest = max(self.highest, memory_of(self.pid))


def kill_group(process: subprocess.Popen) -> None:
    """kill -9 for a process that was started in a session of its own, and all its children."""
    children = []
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for child in children:  # those with sessions of their own, such as Ray's
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait()


def run(
    command: Sequence[str | Path], seconds: float, kill_after: float | None = None, **env: str
) -> Ended:
    """Give a command; it is killed after so many seconds.

    Args:
        seconds: that it may take.
        kill_after: kill it then, on purpose.
    """
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**ENVIRONMENT, **env}, stdin=subprocess.DEVNULL, stdout=said,
            stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=bounded,
        )  # fmt: skip
        peak = Peak(process.pid)
        peak.start()
        status: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(seconds if kill_after is None else kill_after)
        took = time.monotonic() - began
        kill_group(process)
        peak.stopped.set()
        said.seek(0)
        text = said.read().decode(errors="backslashreplace")
    return Ended(text, status, took, peak.highest)
