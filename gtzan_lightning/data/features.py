"""What kinds of pictures there are, and what a picture is.

Each of the sources' kinds equals librosa (tested); frames are centred and padded with zeros. The
pictures that networks trained on other music expect equal their authors' (tested).
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter
from torch import Tensor, nn

from gtzan_lightning.data.spectra import (
    Emphasised,
    cosines,
    emphasis,
    fourier,
    fourier_hertz,
    half,
    htk_weights,
    kaldi_weights,
    mel_weights,
    pitch_classes,
    reflected,
)
from gtzan_lightning.errors import UserError, in_a_line
from gtzan_lightning.recipe.settings import DataSettings, Side

MOST_PIXELS = 2**24  # of a picture: one of 3 s has some 16,000, a waveform of 30 s 700,000
FLOOR_DB = 80.0  # decibels below a clip's maximum at which the picture ends
CHROMA = 12
HTK_STANDARD = (-4.0, 18.0)  # mean and spread, decibels


@dataclass(frozen=True)
class PictureSpec:
    """What a picture is: enough to make the same one from a waveform anywhere.

    ``seconds_per_frame`` differs from ``hop_length / sample_rate`` only in a corpus whose pictures
    were drawn on another time axis; waveforms are then resampled in time to match it.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    sample_rate: Annotated[int, Field(ge=1000, le=192000)]
    picture: Annotated[str, AfterValidator(lambda name: _known(name))]
    # mel bins, also those under an mfcc picture
    bins: Annotated[int, Field(ge=1, le=4096)]
    n_fft: Annotated[int, Field(ge=16, le=16384)]
    window: Annotated[int, Field(ge=16, le=16384)]
    hop_length: Annotated[int, Field(ge=1, le=8192)]
    f_min: Annotated[float, Field(ge=0, le=96000)]
    f_max: Annotated[float, Field(gt=0, le=96000)]
    seconds_per_frame: Annotated[float, Field(ge=1e-6, le=60)]
    coefficients: Annotated[int, Field(ge=1, le=512)] = 20
    scale: Annotated[str, Field(pattern="^(decibels|linear|log)$")] = "decibels"
    range_db: Annotated[float, Field(gt=0, le=FLOOR_DB)] = FLOOR_DB
    size: tuple[Side, Side] | None = None
    colour: Literal["viridis", "magma", "cool"] | None = None
    figure_aspect: Annotated[float, Field(ge=1, le=10)] | None = None
    # pictures of a corpus of which these are computed, see mapped.py
    made_of: "PictureSpec | None" = None

    @classmethod
    def of(cls, data: DataSettings) -> "PictureSpec":
        """What the settings ask for."""
        feature = FEATURES[data.picture]
        return cls(
            sample_rate=data.sample_rate,
            picture=data.picture,
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

        Raises:
            UserError: it states pictures that can't be.
        """
        later = ("picture", "coefficients", "range_db", "size", "colour", "figure_aspect")
        fields = set(cls.__dataclass_fields__) - set(later)
        known = {key: corpus[key] for key in fields if key in corpus}
        rate, hop = known.get("sample_rate"), known.get("hop_length")
        try:
            own = {"seconds_per_frame": hop / rate} if rate and hop else {}
            spec = replace(cls.of(asked), **{**own, **known})
            return cls.from_dict({**asdict(spec), "window": known.get("window", spec.n_fft)})
        except (TypeError, ValueError, OverflowError) as error:
            raise UserError(
                f"corpus.json states pictures that can't be: {in_a_line(error)}"
            ) from None

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "PictureSpec":
        """From ``to_dict``'s plain values, which may have been through a checkpoint.

        Raises:
            ValueError: a value is missing or out of bounds.
        """
        return _adapter().validate_python(plain)

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

    @property
    def kept(self) -> "PictureSpec":
        """The spec of a song's own steps: that of the corpus of whose pictures these are made."""
        return self.made_of or self

    def stored(self) -> "PictureSpec":
        """The spec of the bytes that a corpus of pictures keeps of a song.

        Raises:
            UserError: such pictures are no decibels.
        """
        if self.made_of:
            return self.made_of
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
        if self.made_of:
            words.append(f"of {self.made_of.picture} pictures")
        if self.range_db != FLOOR_DB:
            words.append(f"{self.range_db:g} dB")
        if self.size:
            words.append(f"{self.size[0]}x{self.size[1]}")
        if self.figure_aspect:
            words.append(f"of a figure {self.figure_aspect:.3g}")
        words += [self.colour] if self.colour else []
        return f"{' '.join(words)}, {seconds:g} s"


@cache
def _adapter() -> TypeAdapter[PictureSpec]:
    return TypeAdapter(PictureSpec)


def _known(picture: str) -> str:
    if picture not in FEATURES:
        raise ValueError(f"there is no picture {picture!r}")
    return picture


def _mel_hertz(spec: PictureSpec) -> Tensor:
    """The mean of each mel bin's Fourier bins, by their weights."""
    table = FEATURES[spec.picture].weights
    assert table
    weights = table(spec)
    total = weights.sum(0).clamp_min(1e-9)
    return (weights * fourier_hertz(spec)[:, None]).sum(0) / total


def decibels(power: Tensor) -> Tensor:
    """In place of the power, which nobody needs any more."""
    return power.clamp_min_(1e-10).log10_().mul_(10)


def below(level: Tensor, loudest: Tensor) -> Tensor:
    """Decibels -> decibels below the loudest, in their place."""
    return level.sub_(loudest).clamp_min_(-FLOOR_DB)


def _level(power: Tensor, scale: str) -> Tensor:
    """Decibels below the clip's maximum."""
    if scale == "linear":
        return power
    level = decibels(power)
    return below(level, level.amax((1, 2), keepdim=True))


def _magnitude(power: Tensor, scale: str) -> Tensor:
    return power.sqrt_() if scale == "linear" else _level(power, scale)


def _relative(power: Tensor, scale: str) -> Tensor:
    # librosa's rule: a frame without sound stays 0
    largest = power.amax(2, keepdim=True)
    silent = largest < torch.finfo(power.dtype).tiny
    return _level(power / torch.where(silent, 1.0, largest), scale)


def _natural(power: Tensor, scale: str) -> Tensor:
    return power.add_(1e-5).log_()


def _absolute(power: Tensor, scale: str) -> Tensor:
    return decibels(power)


@dataclass(frozen=True)
class Feature:
    """A kind of picture: its rows, its unit, and how power becomes it."""

    rows: Callable[[PictureSpec], int]
    unit: str = "decibels"  # unless data.scale asks for another one
    packed: str | None = None  # the kind whose bytes a corpus of pictures keeps for it
    transform: Callable[[PictureSpec], nn.Module] | None = fourier  # None: the waveform itself
    weights: Callable[[PictureSpec], Tensor] | None = None  # (Fourier bin, row) that sum power
    of_power: Callable[[Tensor, str], Tensor] = _level  # (clip, frame, row) power, scale -> rows
    basis: Callable[[PictureSpec], Tensor] | None = None  # (row, coefficient) of a cepstrum
    hertz: Callable[[PictureSpec], Tensor] | None = None  # (row,) None: rows are no frequencies
    # mean and spread by which every picture is standardised (none: its own)
    standard: tuple[float, float] | None = None
    # (Fourier bin,) what power is multiplied with before it is summed; of a mapped picture
    gain: Callable[[PictureSpec], Tensor] | None = None


FEATURES = {
    # melspectrogram: Slaney scale and norm, power
    "mel": Feature(lambda spec: spec.bins, packed="mel", weights=mel_weights, hertz=_mel_hertz),
    # the magnitude of stft, in decibels and linear: navas's names
    "spectrogram": Feature(half, packed="spectrogram", of_power=_magnitude, hertz=fourier_hertz),
    "stft": Feature(half, "linear", packed="stft", of_power=_magnitude, hertz=fourier_hertz),
    # feature.mfcc, of the mel picture in decibels below the clip's maximum
    "mfcc": Feature(
        lambda spec: spec.coefficients, packed="mel", weights=mel_weights, basis=cosines
    ),
    # feature.chroma_stft without its tuning estimate
    "chroma": Feature(lambda spec: CHROMA, "linear", weights=pitch_classes, of_power=_relative),
    "raw": Feature(lambda spec: 1, "linear", transform=None, standard=(0.0, 1.0)),
    # EfficientAT's log-mel picture (Schmid et al., ICASSP 2023), with its mean and spread
    "kaldi": Feature(
        lambda spec: spec.bins, "log", transform=Emphasised, weights=kaldi_weights,
        of_power=_natural, hertz=_mel_hertz, standard=(-4.5, 5.0), gain=emphasis,
    ),
    # absolute decibels, as in Won et al. (SMC 2020), whose networks standardise them: about as
    # their batch norms do (means of -1.7 to -10.9, spreads of 14.8 to 20.0)
    "htk": Feature(
        lambda spec: spec.bins, "log", transform=reflected, weights=htk_weights,
        of_power=_absolute, hertz=_mel_hertz, standard=HTK_STANDARD,
    ),
}  # fmt: skip
