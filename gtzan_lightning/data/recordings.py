"""The array of a packed corpus: what is kept of its songs, one behind the other.

array.npy    int16 (sample,), or uint8 (value,) of songs that are each (bin, frame), time last
array.crc32  uint32: the CRC-32 of numpy's header and of each block of a song's bytes

Arrays that others made may have all songs equally wide: int16 (song, sample) or uint8 (song, bin,
frame), zeros after the end. A block is checked when a process reads it for the first time.
"""

import hashlib
import io
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError
from typing import Literal

import numpy as np

from gtzan_lightning.data.digests import changed

ARRAY, SUMS = "array.npy", "array.crc32"
HEADER = 128  # bytes, numpy's of one dimension
BLOCK = 2**16  # bytes; a clip of 3 s at 22,050 Hz lies in three
AT_ONCE = 2**20  # values that are converted and written at a time, whole blocks of either kind
KINDS = {"waveform": (np.int16, (1, 2)), "picture": (np.uint8, (1, 3))}


@dataclass(frozen=True)
class Recordings:
    """What is kept of songs, by the songs' numbers in the array."""

    file: Path
    values: np.ndarray  # (value,) memory-mapped
    bins: tuple[int, ...]  # of a step: (bin,) of pictures, () of waveforms
    first: np.ndarray  # (song,) where each begins in ``values``
    width: np.ndarray  # (song,) steps that are kept of each
    sums: np.ndarray | None = None  # (block,) none: of others, who have none
    _block: np.ndarray = field(init=False)  # (song,) its first block
    _unread: bytearray = field(init=False)  # (block,) 1 until it was checked

    def __post_init__(self) -> None:
        count = _blocks(self.width * self._per_step * self.values.itemsize)
        if self.sums is not None and len(self.sums) != count.sum():
            raise ValueError(f"{SUMS} is of another {ARRAY}")
        object.__setattr__(self, "_block", np.cumsum(count) - count)
        unread = b"" if self.sums is None else b"\1" * len(self.sums)
        object.__setattr__(self, "_unread", bytearray(unread))

    def parts(self, songs: np.ndarray, start: np.ndarray, stop: np.ndarray) -> list[np.ndarray]:
        """Steps ``start`` to ``stop`` (not with it) of each song: (sample,) or (bin, frame).

        Raises:
            Changed: one is not what was written.
        """
        first, width = self.first[songs], self.width[songs]
        size = width * self._per_step
        if self.sums is not None:  # each bin of a picture has its part
            self._check(songs, *((0 * size, size) if self.bins else (start, stop)))
        # what is done for each clip alone soon costs more than copying it
        if not self.bins:
            ends = zip((first + start).tolist(), (first + stop).tolist(), strict=True)
            return [self.values[begin:end] for begin, end in ends]
        places = np.stack([first, first + size, width, start, stop]).T.tolist()
        return [
            self.values[begin:end].reshape(-1, row)[:, left:right]
            for begin, end, row, left, right in places
        ]

    @property
    def _per_step(self) -> int:
        return self.bins[0] if self.bins else 1

    def _check(self, songs: np.ndarray, start: np.ndarray, stop: np.ndarray) -> None:
        """Compare the blocks that hold these values of songs and were not read yet."""
        size, block = BLOCK // self.values.itemsize, self._block[songs]
        ends = np.stack([block + start // size, block - -stop // size]).T.tolist()
        for song, (at, end) in zip(songs.tolist(), ends, strict=True):
            while (at := self._unread.find(1, at, end)) >= 0:
                self._compare(song, at)

    def _compare(self, song: int, block: int) -> None:
        assert self.sums is not None
        size, first = BLOCK // self.values.itemsize, int(self.first[song])
        begin = first + (block - int(self._block[song])) * size
        last = first + int(self.width[song]) * self._per_step
        if zlib.crc32(self.values[begin : min(begin + size, last)].data) != self.sums[block]:
            raise changed(self.file, f" (song {song + 1} of its songs.csv)")
        self._unread[block] = 0


def open_recordings(
    folder: Path, kind: Literal["waveform", "picture"], lengths: Sequence[int | None]
) -> tuple[Recordings, np.ndarray]:
    """The recordings of a corpus, and (song,) their lengths.

    Args:
        kind: what the corpus says that they are.
        lengths: what it says of each song, if anything.

    Raises:
        OSError: a file can't be read.
        ValueError: the array is not what the corpus says.
    """
    file = folder / ARRAY
    sums = _sums(file)
    array = np.asarray(_mapped(file))  # a memmap is slow to cut
    dtype, dimensions = KINDS[kind]
    if array.dtype != dtype or array.ndim not in dimensions:
        raise ValueError(f"{ARRAY} holds no {kind}s")
    if array.ndim == 1:
        stated = np.array([length or 0 for length in lengths])
        return _ragged(file, array, kind, stated, sums), stated
    if len(lengths) != len(array):
        raise ValueError(f"songs.csv has {len(lengths)} songs and {ARRAY} {len(array)} rows")
    width = np.full(len(array), array.shape[-1])
    first = np.arange(len(array)) * array[0].size
    stated = np.array([length or array.shape[-1] for length in lengths])
    if stated.min() < 1 or stated.max() > array.shape[-1]:
        raise ValueError(f"songs.csv states lengths that {ARRAY} does not have")
    return Recordings(file, array.reshape(-1), array.shape[1:-1], first, width), stated


def _ragged(
    file: Path, values: np.ndarray, kind: str, lengths: np.ndarray, sums: np.ndarray | None
) -> Recordings:
    steps = int(lengths.sum())
    bins = (len(values) // max(1, steps),) if kind == "picture" else ()
    per_step = bins[0] if bins else 1
    if lengths.min() < 1 or len(values) != steps * per_step:
        raise ValueError(f"songs.csv states lengths that {ARRAY} does not have")
    first = (np.cumsum(lengths) - lengths) * per_step
    return Recordings(file, values, bins, first, lengths, sums)


def _sums(file: Path) -> np.ndarray | None:
    """(block,) digests of an array that has any; that of its header is checked here."""
    beside = file.with_name(SUMS)
    if not beside.exists():
        return None
    of_header, *of_blocks = np.fromfile(beside, "<u4")
    with file.open("rb") as content:
        if zlib.crc32(content.read(HEADER)) != of_header:
            raise changed(file)
    return np.array(of_blocks)


def _mapped(file: Path) -> np.ndarray:
    try:
        return np.lib.format.open_memmap(file, mode="r")
    except (TokenError, SyntaxError, MemoryError, RecursionError) as error:  # of its header
        raise ValueError(f"{file.name}: {error}") from None


class Writer:
    """Writes the array of a folder song by song; a full disk is an error of the song's write."""

    def __init__(self, folder: Path, dtype: type[np.generic]) -> None:
        self._dtype, self._sums = np.dtype(dtype), list[int]()
        self._sums_file = folder / SUMS
        self._file = (folder / ARRAY).open("wb")
        self._file.write(self._header(0))
        self._before = HEADER, 0

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file:
            if kind is None:
                length = (self._file.tell() - HEADER) // self._dtype.itemsize
                self._file.seek(0)
                header = self._header(length)
                self._file.write(header)
                sums = np.array([zlib.crc32(header), *self._sums], "<u4")
                self._sums_file.write_bytes(sums.tobytes())

    def add(
        self, song: np.ndarray, convert: Callable[[np.ndarray], np.ndarray] = np.asarray
    ) -> str:
        """Append a song (value,) whose blocks ``convert`` makes values of; returns its SHA-256."""
        self._before = self._file.tell(), len(self._sums)
        digest = hashlib.sha256()
        for first in range(0, len(song), AT_ONCE):
            content = convert(song[first : first + AT_ONCE]).data
            self._file.write(content)
            digest.update(content)
            content = content.cast("B")
            self._sums += [
                zlib.crc32(content[n : n + BLOCK]) for n in range(0, len(content), BLOCK)
            ]
        return digest.hexdigest()

    def drop(self) -> None:
        """Take the last song back."""
        place, blocks = self._before
        self._file.seek(place)
        self._file.truncate()
        del self._sums[blocks:]

    def _header(self, length: int) -> bytes:
        header = io.BytesIO()
        descr = np.lib.format.dtype_to_descr(self._dtype)
        about = {"descr": descr, "fortran_order": False, "shape": (length,)}
        np.lib.format.write_array_header_1_0(header, about)  # has room for any length
        assert header.tell() == HEADER
        return header.getvalue()


def _blocks(size: np.ndarray) -> np.ndarray:
    return -(-size // BLOCK)
