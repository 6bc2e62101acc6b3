"""Clips -> pictures, on whatever device the batch is. The only file that imports torchaudio.

A picture is (clip, bin, frame), low bins first, in decibels and then standardised by its own mean
and spread, so that neither the gain of a recording nor the reference level of the decibels matters
and a masked patch (0) is the picture's mean.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torchaudio
from torch import Tensor, nn

from gtzan_lightning.settings import DataSettings

FLOOR_DB = 80.0  # decibels below a clip's maximum at which the picture ends
QUIET_DB = 1.5  # added to the spread: a picture of silence stays near 0 instead of amplified noise


@dataclass(frozen=True)
class PictureSpec:
    """What a picture is: enough to make the same one from a waveform anywhere.

    ``seconds_per_frame`` differs from ``hop_length / sample_rate`` only in a corpus whose pictures
    were drawn on another time axis; waveforms are then resampled in time to match it.
    """

    sample_rate: int
    picture: str
    bins: int
    n_fft: int
    window: int
    hop_length: int
    f_min: float
    f_max: float
    seconds_per_frame: float

    @classmethod
    def of(cls, data: DataSettings) -> "PictureSpec":
        return cls(
            sample_rate=data.sample_rate,
            picture=data.features,
            bins=data.bins,
            n_fft=data.n_fft,
            window=data.window or data.n_fft,
            hop_length=data.hop_length,
            f_min=data.f_min,
            f_max=data.f_max or data.sample_rate / 2,
            seconds_per_frame=data.hop_length / data.sample_rate,
        )

    @classmethod
    def from_corpus(cls, corpus: dict[str, Any], asked: DataSettings) -> "PictureSpec":
        """The spec of a corpus that holds pictures; its ``corpus.json`` may leave defaults out."""
        known = {key: corpus[key] for key in cls.__dataclass_fields__ if key in corpus}
        rate, hop = known.get("sample_rate"), known.get("hop_length")
        own = {"seconds_per_frame": hop / rate} if rate and hop else {}
        spec = replace(cls.of(asked), **{**own, **known})
        return replace(spec, window=known.get("window", spec.n_fft))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def frames(self, seconds: float) -> int:
        return max(1, round(seconds / self.seconds_per_frame))


class Features(nn.Module):
    """``wave (clip, sample)`` or ``bytes (clip, bin, frame)`` -> ``picture (clip, bin, frame)``.

    The mel picture equals librosa's ``melspectrogram`` and ``power_to_db(ref=max, top_db=80)``:
    Slaney scale and norm, centred frames, zero padding.
    """

    def __init__(self, spec: PictureSpec) -> None:
        super().__init__()
        self.spec = spec
        self.mel = torchaudio.transforms.MelSpectrogram(
            sample_rate=spec.sample_rate,
            n_fft=spec.n_fft,
            win_length=spec.window,
            hop_length=spec.hop_length,
            f_min=spec.f_min,
            f_max=spec.f_max,
            n_mels=spec.bins,
            power=2.0,
            pad_mode="constant",
            norm="slaney",
            mel_scale="slaney",
        )

    def forward(self, clips: Tensor) -> Tensor:  # wave or bytes -> (clip, bin, frame)
        picture = bytes_to_decibels(clips) if clips.dtype == torch.uint8 else self.decibels(clips)
        return standardise(picture)

    def decibels(self, wave: Tensor) -> Tensor:
        """(clip, sample), int16 or float in [-1, 1] -> (clip, bin, frame), 0 to -80 dB."""
        if wave.dtype == torch.int16:
            wave = wave.float() / 32767
        power = self.mel(wave.float())
        level = 10 * torch.log10(power.clamp_min(1e-10))
        level = (level - level.amax((1, 2), keepdim=True)).clamp_min(-FLOOR_DB)
        frames = self.spec.frames(wave.shape[1] / self.spec.sample_rate)
        if abs(self.spec.seconds_per_frame - self.spec.hop_length / self.spec.sample_rate) > 1e-6:
            level = nn.functional.interpolate(level, size=frames, mode="linear")
        return level


def standardise(picture: Tensor) -> Tensor:
    """Subtract each picture's mean and divide by its spread. (clip, bin, frame)"""
    spread = picture.std((1, 2), keepdim=True) + QUIET_DB
    return (picture - picture.mean((1, 2), keepdim=True)) / spread


def bytes_to_decibels(picture: Tensor) -> Tensor:
    """uint8 -> decibels: byte b stands for -80 + 80 b / 255."""
    return picture.float() * (FLOOR_DB / 255) - FLOOR_DB


def decibels_to_bytes(picture: Tensor) -> Tensor:
    """Decibels between -80 and 0 -> uint8, rounded to 0.31 dB."""
    return ((picture + FLOOR_DB) * (255 / FLOOR_DB)).round().clamp(0, 255).to(torch.uint8)
