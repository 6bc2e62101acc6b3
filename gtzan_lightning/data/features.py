"""What kinds of pictures there are, and what a picture is.

Only this file and a benchmark import torchaudio.

Each kind equals librosa (tested). Frames are centred and padded with zeros.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torchaudio
from torch import Tensor, nn

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import DataSettings

FLOOR_DB = 80.0  # decibels below a clip's maximum at which the picture ends
CHROMA = 12


@dataclass(frozen=True)
class PictureSpec:
    """What a picture is: enough to make the same one from a waveform anywhere.

    ``seconds_per_frame`` differs from ``hop_length / sample_rate`` only in a corpus whose pictures
    were drawn on another time axis; waveforms are then resampled in time to match it.
    """

    sample_rate: int
    picture: str
    bins: int  # mel bins, also those under an mfcc picture
    n_fft: int
    window: int
    hop_length: int
    f_min: float
    f_max: float
    seconds_per_frame: float
    coefficients: int = 20
    scale: str = "decibels"
    range_db: float = FLOOR_DB
    size: tuple[int, int] | None = None
    colour: str | None = None
    figure_aspect: float | None = None

    @classmethod
    def of(cls, data: DataSettings) -> "PictureSpec":
        """What the settings ask for."""
        feature = FEATURES[data.features]
        return cls(
            sample_rate=data.sample_rate,
            picture=data.features,
            bins=data.bins,
            n_fft=data.n_fft,
            window=data.window or data.n_fft,
            hop_length=data.hop_length,
            f_min=data.f_min,
            f_max=data.f_max or data.sample_rate / 2,
            seconds_per_frame=(data.hop_length if feature.transform else 1) / data.sample_rate,
            coefficients=data.coefficients,
            scale=data.scale or feature.unit,
            range_db=data.range_db,
            size=data.picture_size,
            colour=data.colour,
            figure_aspect=data.figure_aspect,
        )

    @classmethod
    def from_corpus(cls, corpus: Mapping[str, Any], asked: DataSettings) -> "PictureSpec":
        """The spec of a corpus that holds mel pictures; its ``corpus.json`` may leave defaults out.

        What is made of those pictures afterwards (mfcc, size, colour) is as asked.
        """
        later = ("picture", "coefficients", "range_db", "size", "colour", "figure_aspect")
        fields = set(cls.__dataclass_fields__) - set(later)
        known = {key: corpus[key] for key in fields if key in corpus}
        rate, hop = known.get("sample_rate"), known.get("hop_length")
        own = {"seconds_per_frame": hop / rate} if rate and hop else {}
        spec = replace(cls.of(asked), **{**own, **known})
        return replace(spec, window=known.get("window", spec.n_fft))

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "PictureSpec":
        """From ``to_dict``'s plain values, which may have been through a checkpoint."""
        size = plain.get("size")
        return cls(**{**plain, "size": tuple(size) if size else None})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for ``from_dict``."""
        return asdict(self)

    def frames(self, seconds: float) -> int:
        """Number of frames of so many seconds, before any resizing."""
        return max(1, round(seconds / self.seconds_per_frame))

    @property
    def rows(self) -> int:
        """Number of bins of the picture, before any resizing."""
        return FEATURES[self.picture].rows(self)

    def stored(self) -> "PictureSpec":
        """The spec of the bytes that a corpus of pictures keeps of a song.

        Raises:
            UserError: such pictures are no decibels.
        """
        kept = FEATURES[self.picture].packed
        if kept is None or self.scale != "decibels":
            raise UserError(
                f"data.pack pictures keeps decibels, which {self.picture} pictures are not: "
                "leave it out"
            )
        return replace(
            self, picture=kept, coefficients=20, range_db=FLOOR_DB, size=None, colour=None,
            figure_aspect=None,
        )  # fmt: skip

    def label(self, seconds: float) -> str:
        """Such as ``mel 128, 3 s``: what a table says of it."""
        words = [f"{self.picture} {self.rows}"]
        if self.scale != FEATURES[self.picture].unit:
            words.append(self.scale)
        if self.range_db != FLOOR_DB:
            words.append(f"{self.range_db:g} dB")
        if self.size:
            words.append(f"{self.size[0]}x{self.size[1]}")
        if self.figure_aspect:
            words.append(f"of a figure {self.figure_aspect:.3g}")
        words += [self.colour] if self.colour else []
        return f"{' '.join(words)}, {seconds:g} s"


def _half(spec: PictureSpec) -> int:
    return spec.n_fft // 2 + 1


def _fourier(spec: PictureSpec) -> nn.Module:
    """(clip, sample) -> (clip, Fourier bin, frame), complex."""
    return torchaudio.transforms.Spectrogram(
        n_fft=spec.n_fft, win_length=spec.window, hop_length=spec.hop_length,
        power=None, pad_mode="constant",
    )  # fmt: skip


def _mel_weights(spec: PictureSpec) -> Tensor:
    """(Fourier bin, mel bin) weights of a mel picture."""
    return torchaudio.functional.melscale_fbanks(
        _half(spec), spec.f_min, spec.f_max, spec.bins, spec.sample_rate,
        norm="slaney", mel_scale="slaney",
    )  # fmt: skip


def _pitch_classes(spec: PictureSpec) -> Tensor:
    """(Fourier bin, pitch class) weights, at 440 Hz tuning."""
    import librosa

    table = librosa.filters.chroma(sr=spec.sample_rate, n_fft=spec.n_fft, tuning=0.0)
    return torch.from_numpy(table).T


def _cosines(spec: PictureSpec) -> Tensor:
    """(mel bin, cepstral coefficient)"""
    return torchaudio.functional.create_dct(spec.coefficients, spec.bins, norm="ortho")


def _fourier_hertz(spec: PictureSpec) -> Tensor:
    return torch.linspace(0, spec.sample_rate / 2, _half(spec))


def _mel_hertz(spec: PictureSpec) -> Tensor:
    """The mean of each mel bin's Fourier bins, by their weights."""
    weights = _mel_weights(spec)
    total = weights.sum(0).clamp_min(1e-9)
    return (weights * _fourier_hertz(spec)[:, None]).sum(0) / total


def _level(power: Tensor, scale: str) -> Tensor:
    """Decibels below the clip's maximum; in place of the power, which nobody needs any more."""
    if scale == "linear":
        return power
    level = power.clamp_min_(1e-10).log10_().mul_(10)
    return level.sub_(level.amax((1, 2), keepdim=True)).clamp_min_(-FLOOR_DB)


def _magnitude(power: Tensor, scale: str) -> Tensor:
    return power.sqrt_() if scale == "linear" else _level(power, scale)


def _relative(power: Tensor, scale: str) -> Tensor:
    # librosa's rule: a frame without sound stays 0
    largest = power.amax(2, keepdim=True)
    silent = largest < torch.finfo(power.dtype).tiny
    return _level(power / torch.where(silent, 1.0, largest), scale)


@dataclass(frozen=True)
class Feature:
    """A kind of picture, as librosa makes it: its rows, its unit, and how power becomes it."""

    rows: Callable[[PictureSpec], int]
    unit: str = "decibels"  # unless data.scale asks for another one
    packed: str | None = None  # the kind whose bytes a corpus of pictures keeps for it
    transform: Callable[[PictureSpec], nn.Module] | None = _fourier  # None: the waveform itself
    weights: Callable[[PictureSpec], Tensor] | None = None  # (Fourier bin, row) that sum power
    of_power: Callable[[Tensor, str], Tensor] = _level  # (clip, frame, row) power, scale -> rows
    basis: Callable[[PictureSpec], Tensor] | None = None  # (row, coefficient) of a cepstrum
    hertz: Callable[[PictureSpec], Tensor] | None = None  # (row,) None: rows are no frequencies


FEATURES = {
    # melspectrogram: Slaney scale and norm, power
    "mel": Feature(lambda spec: spec.bins, packed="mel", weights=_mel_weights, hertz=_mel_hertz),
    # the magnitude of stft, in decibels and linear: navas's names
    "spectrogram": Feature(_half, packed="spectrogram", of_power=_magnitude, hertz=_fourier_hertz),
    "stft": Feature(_half, "linear", packed="stft", of_power=_magnitude, hertz=_fourier_hertz),
    # feature.mfcc, of the mel picture in decibels below the clip's maximum
    "mfcc": Feature(
        lambda spec: spec.coefficients, packed="mel", weights=_mel_weights, basis=_cosines
    ),
    # feature.chroma_stft without its tuning estimate
    "chroma": Feature(lambda spec: CHROMA, "linear", weights=_pitch_classes, of_power=_relative),
    "raw": Feature(lambda spec: 1, "linear", transform=None),
}
