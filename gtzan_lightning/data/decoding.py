"""Sound files -> mono waveforms, decoded by processes that a file can end but not harm.

Each thread that decodes has a process of its own (``decoder``), which the next file uses again. A
long waveform is kept in a file without a name, so that songs of hours need no memory.
"""

import contextlib
import json
import mmap
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gtzan_lightning.data.audio import BrokenSong, check_whole
from gtzan_lightning.data.decoder import BLOCK, BROKEN, COUNT, HEAD, SECONDS, SHARED, Request
from gtzan_lightning.data.sound_files import LONGEST
from gtzan_lightning.errors import UserError

PATIENCE = 60.0  # seconds without an answer: the disk does not answer
IN_MEMORY = 600 * 22_050  # samples; longer waveforms are kept in a file
# -P: no file of the folder that is worked in may stand in for a library
COMMAND = [sys.executable, "-P", "-m", "gtzan_lightning.data.decoder"]


@dataclass(frozen=True)
class Decoded:
    """A mono waveform, and what its file says of itself."""

    wave: np.ndarray  # (sample,) float32 in [-1, 1]
    rate: int  # samples a second in the file
    channels: int
    decoded: float  # seconds that are there
    seconds: float  # that the header states
    cut: str  # what is missing of the bytes that the header states

    def check_whole(self) -> None:
        """Raise ``BrokenSong`` for a song that ends before the length that its file states."""
        if self.cut:
            raise BrokenSong("truncated", self.cut)
        check_whole(self.decoded, self.seconds)


def probe_seconds(path: Path) -> float:
    """Length that the file's header states, in seconds.

    Raises:
        BrokenSong: the file can't be read as sound, is empty, or is shorter than it states.
    """
    header = _ask({"path": os.fspath(path), "rate": None, "longest": None})
    if header.cut:
        raise BrokenSong("truncated", header.cut)
    if header.seconds <= 0:
        raise BrokenSong("too short", "no samples")
    return header.seconds


def decode(path: Path, sample_rate: int | None = None, longest: float | None = None) -> Decoded:
    """A file of any rate and channel count, as mono at ``sample_rate`` (none: at its own).

    Args:
        longest: seconds (none: ``sound_files.LONGEST``).

    Raises:
        BrokenSong: unreadable, without samples, too long, or with values that are no numbers.
    """
    most = LONGEST if longest is None else longest
    decoded = _ask({"path": os.fspath(path), "rate": sample_rate, "longest": most})
    if not len(decoded.wave):
        decoded.check_whole()
        raise BrokenSong("too short", "no samples")
    return decoded


class _Waveform:
    """Blocks of samples, collected in memory as long as they are few."""

    def __init__(self) -> None:
        self.blocks: list[np.ndarray] = []
        self.samples = 0
        self.file: BinaryIO | None = None

    def add(self, block: np.ndarray) -> None:
        self.samples += len(block)
        if self.file is not None:
            self.file.write(block.data)
            return
        self.blocks.append(block)
        if self.samples > IN_MEMORY:
            self.file = tempfile.TemporaryFile(prefix="gtzan-")  # noqa: SIM115  the waveform is in it
            for one in self.blocks:
                self.file.write(one.data)
            self.blocks = []

    def whole(self) -> np.ndarray:
        if self.file is None:
            one = len(self.blocks) == 1
            return self.blocks[0] if one else np.concatenate([*self.blocks, np.empty(0, "f4")])
        self.file.flush()
        return np.memmap(self.file, np.float32, "r+")


class _Process:
    """One decoder; ``is_fit`` as long as it can take another file."""

    def __init__(self) -> None:
        package = Path(__file__).parents[2]
        path = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
        try:
            passed = self._share()
            self.process = subprocess.Popen(
                [*COMMAND, *map(str, passed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, bufsize=0, start_new_session=True, pass_fds=passed,
                env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        except OSError as error:
            raise UserError(
                f"no process that decodes sound can be started: {error.strerror or error}; close "
                "other programs, or raise the limits of this one (ulimit -a)"
            ) from None
        assert self.process.stdin
        assert self.process.stdout
        self.requests, self.answers = self.process.stdin, self.process.stdout
        for number in passed:
            os.close(number)
        self.is_fit = True

    def _share(self) -> list[int]:
        """Memory that the decoder writes samples to; the number of its file, none on Windows."""
        self.shared = np.empty(0, np.float32)
        if os.name != "posix":
            return []
        if hasattr(os, "memfd_create"):
            number = os.memfd_create("gtzan")
        else:
            with tempfile.TemporaryFile(prefix="gtzan-") as file:
                number = os.dup(file.fileno())
        os.truncate(number, IN_MEMORY * self.shared.itemsize)
        self.shared = np.frombuffer(mmap.mmap(number, 0), np.float32)
        return [number]

    def answer(self, request: Request) -> Iterator[tuple[bytes, bytearray]]:
        """Kind and content of each part of an answer.

        Raises:
            BrokenSong: the process ended or does not answer.
        """
        self.is_fit = False
        with contextlib.suppress(BrokenPipeError):
            self.requests.write(json.dumps(request).encode() + b"\n")
        kind = BLOCK
        while kind in (SHARED, BLOCK):
            kind, size = HEAD.unpack(self._read(HEAD.size))
            yield kind, self._read(size)
        self.is_fit = True

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _read(self, size: int) -> bytearray:
        content = bytearray(size)
        view = memoryview(content)
        while view:
            self._wait()
            got = self.answers.readinto(view)  # type: ignore[attr-defined]
            if not got:
                raise BrokenSong("unreadable", self._why())
            view = view[got:]
        return content

    def _wait(self) -> None:
        if not hasattr(select, "poll"):  # Windows waits without end
            return
        waiter = select.poll()
        waiter.register(self.answers, select.POLLIN | select.POLLHUP)
        if not waiter.poll(PATIENCE * 1000):
            raise BrokenSong("unreadable", f"its disk gave nothing for {PATIENCE:g} s")

    def _why(self) -> str:
        """Why the process has ended."""
        status = self.process.wait()
        if hasattr(signal, "SIGPROF") and status == -signal.SIGPROF:
            return f"its decoder computed for {SECONDS:g} s and was stopped"
        return f"its decoder ended ({signal.Signals(-status).name if status < 0 else status})"


_idle: list[_Process] = []
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # they answer to the parent


@contextlib.contextmanager
def _borrowed() -> Iterator[_Process]:
    with _lock:
        process = _idle.pop() if _idle else None
    if process is None or process.process.poll() is not None:
        process = _Process()
    try:
        yield process
    finally:
        if process.is_fit:
            with _lock:
                _idle.append(process)
        else:
            process.end()


def _keep(wave: _Waveform, block: np.ndarray) -> None:
    try:
        wave.add(block)
    except OSError as error:
        raise BrokenSong(
            "too long", f"its sound finds no room in {tempfile.gettempdir()} "
            f"({error.strerror}): set TMPDIR to another folder",
        ) from None  # fmt: skip


def _ask(request: Request) -> Decoded:
    wave = _Waveform()
    with _borrowed() as process:
        for kind, content in process.answer(request):
            if kind == SHARED:
                _keep(wave, process.shared[: COUNT.unpack(content)[0]].copy())
            elif kind == BLOCK:
                _keep(wave, np.frombuffer(content, np.float32))
    said = json.loads(content)
    if kind == BROKEN:
        raise BrokenSong(*said)
    return Decoded(wave.whole(), **said)
