"""Sound files and waveforms of any kind -> songs that a network can take."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gtzan_lightning.data.audio import (
    BrokenSong,
    check_song,
    check_whole,
    probe_seconds,
    read,
    resample,
    to_mono,
)


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
    return Sound(mono.astype(np.float32), wanted, tuple(remarks))


def file_to_sound(path: Path, wanted: int) -> Sound:
    """Raises as ``wave_to_sound`` does, and if the file can't be read; a remark says it is cut."""
    wave, rate = read(path)
    sound = wave_to_sound(wave, rate, wanted)
    try:
        check_whole(len(wave) / rate, probe_seconds(path))
    except BrokenSong as broken:  # what is there can be listened to
        return replace(sound, remarks=(str(broken), *sound.remarks))
    return sound
