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
from gtzan_lightning.data.audio import resample
from gtzan_lightning.data.corpus import Corpus
from gtzan_lightning.data.decoding import decode
from gtzan_lightning.data.features import PictureSpec
from gtzan_lightning.data.pictures import Features
from gtzan_lightning.recipe.settings import DataSettings

Item = TypeVar("Item")
RATE, HOP, BANDS = 22050, 914, 16
SECONDS_PER_FRAME = HOP / RATE
SILENT_DB = -60.0  # below the song's peak
BLOCK_SECONDS = 0.02  # of which a level is taken
FLOOR_DB = -75.0  # a frequency without sound, below the strongest one
STEEP_DB, STEEP_HZ = 15.0, 300.0  # an edge that no instrument has
LONGEST = 3600.0  # seconds of a song that is measured as a whole
FLAT, TOP = 3, 0.99  # equal samples in a row near the peak are clipped ones


def features() -> Features:
    """Mel pictures whose bands become the envelopes."""
    return Features(PictureSpec.of(DataSettings(sample_rate=RATE, hop_length=HOP, bins=128)))


def of_file(id_: str, path: Path, mel: Features) -> Sound:
    """Decode and measure a file.

    Raises:
        BrokenSong: it can't be read.
    """
    song = decode(path, longest=LONGEST)
    many = song.channels
    kind = f"{path.suffix.lower()[1:]} {song.rate} Hz {many} channel{'s' * (many > 1)}"
    return of_wave(id_, song.wave, song.rate, mel, kind, path)


def of_wave(
    id_: str, wave: np.ndarray, rate: int, mel: Features, kind: str = "", path: Path | None = None
) -> Sound:
    """Measure (sample,) floats in [-1, 1]."""
    peak = float(np.abs(wave).max(initial=1e-9))
    size = max(1, round(BLOCK_SECONDS * rate))
    blocks = np.abs(wave[: len(wave) // size * size]).reshape(-1, size).max(1)
    sounding = blocks > peak * 10 ** (SILENT_DB / 20)
    bandwidth, steep = _bandwidth(wave, rate)
    plain = resample(wave, rate, RATE) if rate != RATE else wave
    with torch.inference_mode():
        picture = mel.plain(torch.from_numpy(plain.astype(np.float32))[None])[0].numpy()
    return Sound(
        id=id_,
        envelope=bands(picture),
        seconds=len(wave) / rate,
        loudness=10 * float(np.log10(np.square(wave, dtype=np.float64).mean() + 1e-12)),
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
    same = (np.diff(wave) == 0) & (np.abs(wave[1:]) >= TOP * peak)
    runs = np.convolve(same, np.ones(FLAT - 1), "valid") >= FLAT - 1
    return float(runs.mean()) if len(runs) else 0.0


def _bandwidth(wave: np.ndarray, rate: int) -> tuple[float, bool]:
    """Hz above which the mean spectrum stays below ``FLOOR_DB``, and whether it falls steeply."""
    hertz, power = scipy.signal.welch(wave, rate, nperseg=min(4096, len(wave)))
    level = 10 * np.log10(power / max(power.max(), 1e-20) + 1e-12)
    above = np.flatnonzero(level > FLOOR_DB)
    edge = above[-1] if len(above) else 0
    near = max(1, round(STEEP_HZ / float(hertz[1])))
    before, after = level[max(0, edge - near) : edge + 1], level[edge + 1 : edge + 1 + near]
    is_steep = len(after) == near and np.median(before) - np.median(after) >= STEEP_DB
    return float(hertz[edge]), bool(is_steep)
