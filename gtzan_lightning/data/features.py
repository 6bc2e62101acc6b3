"""Clips -> pictures, on whatever device the batch is. The only file that imports torchaudio.

A picture is (clip, channel, bin, frame), low bins first, one channel. It is standardised by its own
mean and spread, so that neither the gain of a recording nor the reference level of the decibels
matters and a masked patch (0) is the picture's mean. With a colour map it has three channels
between 0 and 1, as the pictures that basak, bar_tov, navas and zhang drew.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torchaudio
from torch import Tensor, nn

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import DataSettings

FLOOR_DB = 80.0  # decibels below a clip's maximum at which the picture ends
# added to the spread: a picture of silence stays near 0 instead of amplified noise
QUIET_DB, QUIET_LINEAR = 1.5, 1e-6
CHROMA = 12
# clips that a processor handles at a time, so that their spectra stay in its caches: a third of the
# time of a batch of 64 at once
FEW = 4
BAND = 16  # mel bins that are summed together, over the Fourier bins that any of them takes from
AMPLITUDES = ("stft", "spectrogram")  # where linear, magnitudes and not power
LINEAR = ("stft", "chroma", "raw")  # pictures that are not in decibels unless asked for


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
    size: tuple[int, int] | None = None
    colour: str | None = None

    @classmethod
    def of(cls, data: DataSettings) -> "PictureSpec":
        usual = "linear" if data.features in LINEAR else "decibels"
        return cls(
            sample_rate=data.sample_rate,
            picture=data.features,
            bins=data.bins,
            n_fft=data.n_fft,
            window=data.window or data.n_fft,
            hop_length=data.hop_length,
            f_min=data.f_min,
            f_max=data.f_max or data.sample_rate / 2,
            seconds_per_frame=(1 if data.features == "raw" else data.hop_length) / data.sample_rate,
            coefficients=data.coefficients,
            scale=data.scale or usual,
            size=data.picture_size,
            colour=data.colour,
        )

    @classmethod
    def from_corpus(cls, corpus: dict[str, Any], asked: DataSettings) -> "PictureSpec":
        """The spec of a corpus that holds mel pictures; its ``corpus.json`` may leave defaults out.

        What is made of those pictures afterwards (mfcc, size, colour) is as asked.
        """
        later = ("picture", "coefficients", "size", "colour")
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
        return asdict(self)

    def frames(self, seconds: float) -> int:
        """Number of frames of so many seconds, before any resizing."""
        return max(1, round(seconds / self.seconds_per_frame))

    @property
    def rows(self) -> int:
        """Number of bins of the picture, before any resizing."""
        half = self.n_fft // 2 + 1
        return {
            "mel": self.bins, "mfcc": self.coefficients, "chroma": CHROMA,
            "stft": half, "spectrogram": half, "raw": 1,
        }[self.picture]  # fmt: skip

    def stored(self) -> "PictureSpec":
        """The spec of the bytes that a corpus of pictures keeps of a song.

        Raises:
            UserError: such pictures are no decibels.
        """
        if self.picture in ("raw", "chroma") or self.scale != "decibels":
            raise UserError(
                f"--data.pack pictures keeps decibels, which {self.picture} pictures are not: "
                "leave it out"
            )
        kept = "mel" if self.picture == "mfcc" else self.picture
        return replace(self, picture=kept, coefficients=20, size=None, colour=None)

    def label(self, seconds: float) -> str:
        """Such as ``mel 128, 3 s``: what a table says of it."""
        words = [f"{self.picture} {self.rows}"]
        if self.scale != ("linear" if self.picture in LINEAR else "decibels"):
            words.append(self.scale)
        if self.size:
            words.append(f"{self.size[0]}x{self.size[1]}")
        words += [self.colour] if self.colour else []
        return f"{' '.join(words)}, {seconds:g} s"


class Features(nn.Module):
    """``wave (clip, sample)`` or ``bytes (clip, bin, frame)`` -> picture, as the spec says.

    Each equals librosa (tested): ``mel``: ``melspectrogram`` (Slaney scale and norm, power);
    ``spectrogram``, ``stft``: the magnitude of ``stft``, in decibels and linear (navas's names);
    ``mfcc``: ``feature.mfcc``, of the mel picture in decibels below the clip's maximum; ``chroma``:
    ``feature.chroma_stft`` without its tuning estimate. Frames are centred and padded with zeros.
    ``raw`` is the waveform itself, one bin high.
    """

    def __init__(self, spec: PictureSpec) -> None:
        super().__init__()
        self.spec = spec
        if spec.picture != "raw":
            self.transform = torchaudio.transforms.Spectrogram(
                n_fft=spec.n_fft, win_length=spec.window, hop_length=spec.hop_length,
                power=None, pad_mode="constant",
            )  # fmt: skip
        if spec.picture in ("mel", "mfcc"):
            self.register_buffer("mel", mel_weights(spec), persistent=False)
            self.bands = _bands(self.mel)
        if spec.picture == "mfcc":
            dct = torchaudio.functional.create_dct(spec.coefficients, spec.bins, norm="ortho")
            self.register_buffer("dct", dct, persistent=False)
        if spec.picture == "chroma":
            self.register_buffer("pitch_classes", _pitch_classes(spec).T, persistent=False)
        if spec.colour:
            self.register_buffer("colours", _colours(spec.colour), persistent=False)

    def forward(self, clips: Tensor) -> Tensor:  # wave or bytes -> (clip, channel, bin, frame)
        picture = self.plain(clips).unsqueeze(1)
        if self.spec.size:
            picture = nn.functional.interpolate(
                picture, size=self.spec.size, mode="bilinear", antialias=True
            )
        return self._coloured(picture) if self.spec.colour else self._standardised(picture)

    def plain(self, clips: Tensor) -> Tensor:
        """The picture in its own units, before it is resized, standardised or coloured.

        (clip, sample) int16 or floats in [-1, 1], or uint8 (clip, bin, frame) -> (clip, bin, frame)
        """
        if clips.dtype == torch.uint8:
            return self._cepstral(bytes_to_decibels(clips))
        wave = clips.float() / 32767 if clips.dtype == torch.int16 else clips.float()
        return self._cepstral(self._of_wave(wave))

    def _of_wave(self, wave: Tensor) -> Tensor:
        if self.spec.picture == "raw":
            return wave.unsqueeze(1)
        if wave.device.type == "cpu" and not torch.compiler.is_exporting():
            level = self._few_at_a_time(wave).mT
        else:
            level = self._level(wave).mT
        if abs(self.spec.seconds_per_frame - self.spec.hop_length / self.spec.sample_rate) > 1e-6:
            frames = self.spec.frames(wave.shape[1] / self.spec.sample_rate)
            level = nn.functional.interpolate(level, size=frames, mode="linear")
        return level

    def _few_at_a_time(self, wave: Tensor) -> Tensor:
        """``_level`` in blocks; each gives its memory to the next one, still in the caches."""
        first = self._level(wave[:FEW])
        level = first.new_empty(len(wave), *first.shape[1:])
        level[:FEW] = first
        del first
        for clip in range(FEW, len(wave), FEW):
            level[clip : clip + FEW] = self._level(wave[clip : clip + FEW])
        return level

    def _level(self, wave: Tensor) -> Tensor:
        """(clip, sample) -> (clip, frame, bin) in the picture's own units."""
        power = self._power(wave)
        if self.spec.scale == "decibels":
            return self._decibels(power)
        return power.sqrt_() if self.spec.picture in AMPLITUDES else power

    def _power(self, wave: Tensor) -> Tensor:
        """(clip, sample) -> (clip, frame, bin)"""
        # half the time of torchaudio's squared magnitudes, which take a root first
        squares = torch.view_as_real(self.transform(wave).mT).square_()
        power = squares[..., 0] + squares[..., 1]
        if self.spec.picture in ("mel", "mfcc"):
            # a third of the time of one product, nearly all of whose weights are 0
            bands = [power[..., of] @ self.mel[of, to] for of, to in self.bands]
            return torch.cat(bands, 2)
        if self.spec.picture == "chroma":
            power = power @ self.pitch_classes
            # librosa's rule: a frame without sound stays 0
            largest = power.amax(2, keepdim=True)
            return power / torch.where(largest < torch.finfo(power.dtype).tiny, 1.0, largest)
        return power

    def _cepstral(self, level: Tensor) -> Tensor:
        """(clip, bin, frame) -> the same, or the cepstral coefficients of it."""
        if self.spec.picture != "mfcc":
            return level
        return torch.einsum("bft,fc->bct", level, self.dct)

    def _decibels(self, power: Tensor) -> Tensor:
        """Below the clip's maximum; in place of the power, which nobody needs any more."""
        level = power.clamp_min_(1e-10).log10_().mul_(10)
        return level.sub_(level.amax((1, 2), keepdim=True)).clamp_min_(-FLOOR_DB)

    def _standardised(self, picture: Tensor) -> Tensor:
        """Subtract each picture's mean and divide by its spread."""
        quiet = QUIET_DB if self.spec.scale == "decibels" else QUIET_LINEAR
        centred = picture - picture.mean((2, 3), keepdim=True)
        # a quarter of the time of torch.std on a processor
        variance = centred.square().sum((2, 3), keepdim=True) / (centred[0].numel() - 1)
        return centred / (variance.sqrt() + quiet)

    def _coloured(self, picture: Tensor) -> Tensor:
        """Every pixel's colour, from the picture's least (0) to its greatest value (255)."""
        low, high = picture.amin((2, 3), keepdim=True), picture.amax((2, 3), keepdim=True)
        index = (picture - low) / (high - low).clamp_min(1e-9) * 255
        return self.colours[index.round().long().squeeze(1)].movedim(-1, 1)


def _bands(weights: Tensor) -> list[tuple[slice, slice]]:
    """(Fourier bin, mel bin) -> where each band of mel bins has weights that are not 0."""
    bands = []
    for first in range(0, weights.shape[1], BAND):
        to = slice(first, first + BAND)
        taken = weights[:, to].any(1).nonzero()
        low, high = (int(taken.min()), int(taken.max()) + 1) if len(taken) else (0, 1)
        bands.append((slice(low, high), to))
    return bands


def mel_weights(spec: PictureSpec) -> Tensor:
    """(Fourier bin, mel bin) weights of a mel picture."""
    return torchaudio.functional.melscale_fbanks(
        spec.n_fft // 2 + 1, spec.f_min, spec.f_max, spec.bins, spec.sample_rate,
        norm="slaney", mel_scale="slaney",
    )  # fmt: skip


def bytes_to_decibels(picture: Tensor) -> Tensor:
    """uint8 -> decibels: byte b stands for -80 + 80 b / 255."""
    return picture.float() * (FLOOR_DB / 255) - FLOOR_DB


def decibels_to_bytes(picture: Tensor) -> Tensor:
    """Decibels between -80 and 0 -> uint8, rounded to 0.31 dB."""
    return ((picture + FLOOR_DB) * (255 / FLOOR_DB)).round().clamp(0, 255).to(torch.uint8)


def _pitch_classes(spec: PictureSpec) -> Tensor:
    """(pitch class, Fourier bin) weights, at 440 Hz tuning."""
    import librosa

    table = librosa.filters.chroma(sr=spec.sample_rate, n_fft=spec.n_fft, tuning=0.0)
    return torch.from_numpy(table)


def _colours(name: str) -> Tensor:
    """(256, 3) red, green and blue between 0 and 1."""
    from gtzan_lightning.results.plots import colour_table

    return torch.from_numpy(colour_table(name))
