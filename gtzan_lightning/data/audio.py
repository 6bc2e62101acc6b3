"""Waveforms: mono, resampled, checked. Needs no file.

soxr resamples (HQ: flat to 0.9 of the Nyquist frequency, stop band below -140 dB); torchaudio's
default resampler aliases.
"""

import mmap
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import soxr

Item = TypeVar("Item")
LOUDEST = 64.0  # full scale is 1; more is no sound but numbers of another kind
SILENCE = 1e-4  # a song whose loudest sample is below this (-80 dB) has no music
WHOLE = 0.98  # share of the stated length that must be there: MP3's is often an estimate
BLOCK = 2**22  # samples of a long waveform that are looked at together


class BrokenSong(Exception):
    """A file that can't be used as a song; ``what`` is the kind of fault."""

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(f"{what}: {detail}" if detail else what)
        self.what, self.detail = what, detail


def check_whole(seconds: float, stated: float) -> None:
    """Raise ``BrokenSong`` for a song that ends before the length that its file states."""
    if seconds < WHOLE * stated:
        raise BrokenSong("truncated", f"{seconds:.2f} of {stated:.2f} s are there")


def to_mono(wave: np.ndarray) -> np.ndarray:
    """(sample, channel) -> (sample,), the mean of the channels.

    Raises:
        BrokenSong: without samples, or with values that are no sound.
    """
    mono = wave.mean(axis=1) if wave.shape[1] > 1 else wave[:, 0]
    if not len(mono):
        raise BrokenSong("too short", "no samples")
    peak = float(max(mono.max(), -mono.min()))  # NaN if any is
    if not np.isfinite(peak):
        raise BrokenSong("unreadable", "samples that are not numbers")
    if peak > LOUDEST:
        raise BrokenSong("unreadable", f"samples up to {peak:.3g}; full scale is 1")
    return mono


def resample(wave: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    """(sample,) at ``rate`` -> (sample,) within [-1, 1] at ``sample_rate``."""
    return np.clip(soxr.resample(wave, rate, sample_rate, quality="HQ"), -1.0, 1.0)


class Resampler:
    """``resample`` of a waveform that comes in blocks, to the same samples."""

    def __init__(self, rate: int, sample_rate: int) -> None:
        self.stream = None  # soxr gives back what it gets at an equal rate
        if rate != sample_rate:
            self.stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """(sample,) float32 -> what can be said already."""
        if self.stream is not None:
            block = self.stream.resample_chunk(block)
        return np.clip(block, -1.0, 1.0)

    def rest(self) -> np.ndarray:
        """What was held back for a next block."""
        if self.stream is None:
            return np.empty(0, np.float32)
        return np.clip(self.stream.resample_chunk(np.empty(0, np.float32), last=True), -1.0, 1.0)


def forget(wave: np.ndarray) -> None:
    """Give back the memory of what was read of a waveform in a file; it can be read again."""
    if isinstance(wave.base, mmap.mmap) and hasattr(wave.base, "madvise"):
        wave.base.madvise(mmap.MADV_DONTNEED)


def in_blocks(wave: np.ndarray) -> Iterator[np.ndarray]:
    """(sample,) -> the same, block by block, in the memory of one."""
    for first in range(0, len(wave), BLOCK):
        yield wave[first : first + BLOCK]
        forget(wave)


def to_int16(wave: np.ndarray) -> np.ndarray:
    """float32 in [-1, 1] -> int16; ``/ 32767`` brings it back."""
    scaled = wave * np.float32(32767)
    return np.rint(scaled, out=scaled).astype(np.int16)


def check_song(wave: np.ndarray, sample_rate: int, min_seconds: float) -> None:
    """Raise ``BrokenSong`` for a waveform that is too short or silent."""
    seconds = len(wave) / sample_rate
    if seconds < min_seconds:
        raise BrokenSong(
            "too short", f"{seconds:.2f} s, less than data.min_seconds {min_seconds:g}"
        )
    if all(float(np.abs(block).max()) < SILENCE for block in in_blocks(wave)):
        raise BrokenSong("silent", f"no sample above {SILENCE:g}")


def windowed(
    pool: ThreadPoolExecutor, call: Callable[[Item], Any], items: Iterable[Item], ahead: int
) -> Iterator[Any]:
    """Like ``pool.map``, with at most ``ahead`` decoded songs in memory."""
    waiting: deque[Future[Any]] = deque()
    for item in items:
        waiting.append(pool.submit(call, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
