"""Sound -> what is measured of it: envelope, loudness, bandwidth, silence, clipping."""

import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import scipy.signal
import torch
from rich.progress import Progress

from gtzan_lightning.audit.songs import Sound
from gtzan_lightning.data.audio import BrokenSong, in_blocks, resample
from gtzan_lightning.data.corpus import Corpus
from gtzan_lightning.data.decoding import decode
from gtzan_lightning.data.features import PictureSpec
from gtzan_lightning.data.pictures import Features, bytes_to_decibels, stored_picture
from gtzan_lightning.recipe.settings import DataSettings

Item = TypeVar("Item")
RATE, HOP, BANDS = 22050, 914, 16
SECONDS_PER_FRAME = HOP / RATE
SILENT_DB = -60.0  # below the song's peak
BLOCK_SECONDS = 0.02  # of which a level is taken
FLOOR_DB = -75.0  # a frequency without sound, below the strongest one
STEEP_DB, STEEP_HZ = 15.0, 300.0  # an edge that no instrument has
LONGEST = 1200.0  # seconds of a song that is measured as a whole: 1 GB
PIECE = 2**21  # samples whose spectrum is taken at once
FLAT, TOP = 3, 0.99  # equal samples in a row near the peak are clipped ones


def features() -> Features:
    """Mel pictures whose bands become the envelopes."""
    return Features(PictureSpec.of(DataSettings(sample_rate=RATE, hop_length=HOP, bins=128)))


def of_file(id_: str, path: Path, mel: Features) -> Sound:
    """Decode and measure a file.

    Raises:
        BrokenSong: it can't be read, its end is missing, or it is no longer than a moment.
    """
    song = decode(path, longest=LONGEST)
    song.check_whole()
    if song.decoded < BLOCK_SECONDS:
        raise BrokenSong("too short", f"{1000 * song.decoded:.1f} ms")
    many = song.channels
    kind = f"{path.suffix.lower()[1:]} {song.rate} Hz {many} channel{'s' * (many > 1)}"
    return of_wave(id_, song.wave, song.rate, mel, kind, path)


def of_wave(
    id_: str, wave: np.ndarray, rate: int, mel: Features, kind: str = "", path: Path | None = None
) -> Sound:
    """Measure (sample,) floats in [-1, 1]."""
    peak = float(max(wave.max(initial=1e-9), -wave.min(initial=-1e-9)))
    size = max(1, round(BLOCK_SECONDS * rate))
    blocks = wave[: len(wave) // size * size].reshape(-1, size)
    blocks = np.maximum(blocks.max(1), -blocks.min(1))
    sounding = blocks > peak * 10 ** (SILENT_DB / 20)
    bandwidth, steep = _bandwidth(wave, rate)
    plain = resample(wave, rate, RATE) if rate != RATE else wave
    with torch.inference_mode():
        picture = _picture(plain.astype(np.float32, copy=False), mel)
    return Sound(
        id=id_,
        envelope=bands(picture),
        seconds=len(wave) / rate,
        loudness=10 * float(np.log10(_power(wave) + 1e-12)),
        edges=_edges(sounding) * BLOCK_SECONDS,
        silent=float(1 - sounding.mean()) if peak > 1e-4 and len(blocks) else 1.0,
        bandwidth=bandwidth,
        is_steep=steep,
        clipped=_clipped(wave, peak),
        kind=kind,
        path=path,
    )


def of_picture(id_: str, picture: np.ndarray, seconds_per_frame: float) -> Sound:
    """Measure a packed picture, uint8 (bin, frame)."""
    level = picture.astype(np.float32) * (80 / 255) - 80
    sounding = level.max(0, initial=-80) > SILENT_DB
    return Sound(
        id=id_,
        envelope=bands(level),
        seconds=picture.shape[1] * seconds_per_frame,
        loudness=float(level.mean()),
        edges=_edges(sounding) * seconds_per_frame,
        silent=float(1 - sounding.mean()),
    )


def of_corpus(corpus: Corpus) -> Iterator[Sound]:
    """Measure every song of a packed corpus."""
    if corpus.is_pictures:
        step = corpus.info["seconds_per_frame"]
        for row, id_ in enumerate(corpus.ids):
            yield of_picture(id_, corpus.recording(row), step)
        return
    mel = features()
    for row, id_ in enumerate(corpus.ids):
        wave = corpus.recording(row).astype(np.float32) / 32767
        yield of_wave(id_, wave, corpus.info["sample_rate"], mel)


def of_files(files: list[tuple[str, Path]]) -> Iterator[Sound | Exception]:
    """Measure files, two or more at a time; a broken one gives its exception."""
    mel = features()

    def one(file: tuple[str, Path]) -> Any:
        try:
            return of_file(*file, mel)
        except Exception as error:  # BrokenSong, and whatever a strange file makes of a decoder
            return error

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(files), 64):
            yield from pool.map(one, files[start : start + 64])


def shown(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """A progress bar where there is a terminal."""
    with Progress(transient=True, disable=not sys.stdout.isatty()) as bar:
        yield from bar.track(items, total=total, description=what)


def bands(picture: np.ndarray) -> np.ndarray:
    """(bin, frame) -> (16, frame), means of neighbouring bins."""
    return np.stack([rows.mean(0) for rows in np.array_split(picture, BANDS)])


def _edges(sounding: np.ndarray) -> int:
    """Blocks without sound before the first and after the last that has some."""
    where = np.flatnonzero(sounding)
    return len(sounding) - (where[-1] - where[0] + 1) if len(where) else len(sounding)


def _clipped(wave: np.ndarray, peak: float) -> float:
    """Share of samples in runs of at least ``FLAT`` equal ones near the peak."""
    loud = (wave[1:] >= TOP * peak) | (wave[1:] <= -TOP * peak)
    same = (wave[1:] == wave[:-1]) & loud
    if len(same) < FLAT - 1:
        return 0.0
    return float(np.lib.stride_tricks.sliding_window_view(same, FLAT - 1).all(1).mean())


def _power(wave: np.ndarray) -> float:
    """The mean square."""
    total = sum(float(np.square(one, dtype=np.float64).sum()) for one in in_blocks(wave))
    return total / max(1, len(wave))


def _picture(wave: np.ndarray, mel: Features) -> np.ndarray:
    """Decibels (bin, frame); of a long song to a third of one, as a corpus of pictures has them."""
    if len(wave) <= PIECE:
        return mel.plain(torch.from_numpy(wave)[None])[0].numpy()
    return bytes_to_decibels(stored_picture(mel, wave)).numpy()


def _spectrum(wave: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Hertz and mean power; of a long song the mean of its pieces'."""
    segment = min(4096, len(wave))
    pieces = [wave[n : n + PIECE] for n in range(0, len(wave), PIECE)]
    each = [
        scipy.signal.welch(piece, rate, nperseg=segment)
        for piece in pieces
        if len(piece) >= segment
    ]
    return each[0][0], np.mean([power for _, power in each], axis=0)


def _bandwidth(wave: np.ndarray, rate: int) -> tuple[float, bool]:
    """Hz above which the mean spectrum stays below ``FLOOR_DB``, and whether it falls steeply."""
    hertz, power = _spectrum(wave, rate)
    level = 10 * np.log10(power / max(power.max(), 1e-20) + 1e-12)
    above = np.flatnonzero(level > FLOOR_DB)
    edge = above[-1] if len(above) else 0
    near = max(1, round(STEEP_HZ / float(hertz[1])))
    before, after = level[max(0, edge - near) : edge + 1], level[edge + 1 : edge + 1 + near]
    is_steep = len(after) == near and np.median(before) - np.median(after) >= STEEP_DB
    return float(hertz[edge]), bool(is_steep)
