"""Sound files and waveforms of any kind -> songs that a network can take."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtzan_lightning.data.audio import (
    BrokenSong,
    check_song,
    resample,
    to_mono,
)
from gtzan_lightning.data.decoding import decode


@dataclass(frozen=True)
class Sound:
    """A song that was checked: mono, at the network's rate."""

    wave: np.ndarray  # (sample,) float32 in [-1, 1]
    rate: int  # samples a second
    remarks: tuple[str, ...]  # what was done to it

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.wave) / self.rate


def wave_to_sound(wave: np.ndarray, rate: int, wanted: int) -> Sound:
    """(sample,) or (sample, channel) floats in [-1, 1] at ``rate`` -> mono at ``wanted``.

    Raises:
        BrokenSong: without samples, silent, or with values that are no numbers.
    """
    mono = to_mono(wave[:, None] if wave.ndim == 1 else wave)
    remarks = []
    if rate != wanted:
        remarks.append(f"resampled from {rate} to {wanted} Hz")
        mono = resample(mono, rate, wanted)
    check_song(mono, wanted, min_seconds=0.0)
    return Sound(mono.astype(np.float32, copy=False), wanted, tuple(remarks))


def file_to_sound(path: Path, wanted: int, longest: float | None = None) -> Sound:
    """A file as a song; a remark says if its end is missing.

    Args:
        longest: seconds (none: those of ``data.sound_files``).

    Raises:
        BrokenSong: as ``wave_to_sound`` does; it can't be read, or is too long.
    """
    song = decode(path, wanted, longest)
    check_song(song.wave, wanted, min_seconds=0.0)
    remarks = []
    try:
        song.check_whole()
    except BrokenSong as broken:  # what is there can be listened to
        remarks.append(str(broken))
    if song.rate != wanted:
        remarks.append(f"resampled from {song.rate} to {wanted} Hz")
    return Sound(song.wave, wanted, tuple(remarks))
