"""Opens one sound file after the other for another process, which may end it: ``decoding``.

A request is a line of JSON on the standard input. Its answer is any number of parts, then an end,
each a head (kind, size) and its bytes. Samples lie in memory that both processes share, as long as
it has room; those of longer songs come as blocks. Time, memory and samples are bounded: a file can
only make this process end, which costs that file.
"""

import contextlib
import json
import mmap
import os
import signal
import struct
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from gtzan_lightning.data.audio import BrokenSong, Resampler, to_mono
from gtzan_lightning.data.sound_files import SoundFile

HEAD = struct.Struct("<cQ")
COUNT = struct.Struct("<Q")  # of the samples in the shared memory
SHARED, BLOCK, END, BROKEN = b"s", b"b", b"e", b"x"
MEMORY = 600 * 2**20  # bytes, of which numpy and the decoders take 60
SECONDS = 4.0  # of a core, for a block; the slowest codec takes a hundredth


class Request(TypedDict):
    path: str
    rate: int | None  # of the blocks; none: the file's own
    longest: float | None  # seconds; none: the header alone is wanted


def main() -> None:
    """Answer until the input ends."""
    answers, shared = _own_output(), _shared_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started this decides when it ends
    _bound_memory()
    for line in sys.stdin.buffer:
        for kind, content in _answer(json.loads(line), shared):
            _write(answers, HEAD.pack(kind, len(content)))
            _write(answers, content)


def _own_output() -> int:
    """Where answers go; what decoders print, on either stream, goes nowhere."""
    answers, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return answers


def _shared_memory() -> np.ndarray:
    """(sample,) float32 of the file whose number is the argument; none without one."""
    if len(sys.argv) < 2:
        return np.empty(0, np.float32)
    return np.frombuffer(mmap.mmap(int(sys.argv[1]), 0), np.float32)


def _bound_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no limits
        import resource

        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, hard))


def _bound_time() -> None:
    """The system ends this process if it computes longer than that from now."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, SECONDS)


def _answer(request: Request, shared: np.ndarray) -> Iterator[tuple[bytes, bytes | memoryview]]:
    count, has_room = 0, True
    try:
        for content in _decoded(request):
            _bound_time()
            fits = isinstance(content, np.ndarray) and count + len(content) <= len(shared)
            if has_room and fits:
                shared[count : count + len(content)] = content
                count += len(content)
                continue
            if count and has_room:
                yield SHARED, COUNT.pack(count)
            has_room = False
            if isinstance(content, np.ndarray):
                yield BLOCK, np.ascontiguousarray(content).data.cast("B")
            else:
                yield END, json.dumps(content).encode()
    except BrokenSong as broken:
        yield BROKEN, json.dumps([broken.what, broken.detail]).encode()
    except MemoryError:
        detail = f"it takes more than {MEMORY // 2**20} MB to decode"
        yield BROKEN, json.dumps(["unreadable", detail]).encode()
    except Exception as error:  # of whatever kind a decoder has
        detail = f"the decoder failed: {error}"
        yield BROKEN, json.dumps(["unreadable", detail]).encode()


def _decoded(request: Request) -> Iterator[np.ndarray | dict[str, Any]]:
    """Mono blocks (sample,), and at the end what is known of all."""
    _bound_time()
    with SoundFile(Path(request["path"])) as file:
        longest, samples = request["longest"], 0
        if longest is not None:
            rate = request["rate"] or file.header.rate
            resampler = Resampler(file.header.rate, rate)
            for block in file.blocks(longest):
                mono = to_mono(block)
                samples += len(mono)
                yield resampler(mono)
            yield resampler.rest()
        yield {**asdict(file.header), "decoded": samples / file.header.rate}


def _write(answers: int, content: bytes | memoryview) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(answers, view) :]


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # nobody waits any more
        main()
