"""Clips -> pictures, on whatever device the batch is.

A picture is (clip, channel, bin, frame), low bins first, one channel. It is standardised by its own
mean and spread, so that neither the gain of a recording nor the reference level of the decibels
matters and a masked patch (0) is the picture's mean; the kinds that networks trained on other music
expect have one mean and spread for all. With a colour map it has three channels
between 0 and 1, as the pictures that basak, bar_tov, navas and zhang drew; it may lie in the
white margins of matplotlib's figures, whose middle was cut out.
"""

import numpy as np
import torch
from torch import Tensor, nn

from gtzan_lightning.data.audio import forget
from gtzan_lightning.data.features import FEATURES, FLOOR_DB, PictureSpec, below, decibels
from gtzan_lightning.data.mapped import Mapped

# added to the spread: a picture of silence stays near 0 instead of amplified noise
QUIET_DB, QUIET_LINEAR = 1.5, 1e-6
# clips that a processor handles at a time, so that their spectra stay in its caches: a third of the
# time of a batch of 64 at once
FEW = 4
# complex numbers of a song whose picture is made at once (47 s at 22,050 Hz), and of a block of a
# longer one, which stays in the caches: a third of the time of all at once
AT_ONCE, BLOCK = 2**21, 2**18
# where matplotlib draws: shares of a figure's width (left, right) and height (bottom, top)
AXES_X, AXES_Y = (0.125, 0.9), (0.11, 0.88)
BAND = 16  # mel bins that are summed together, over the Fourier bins that any of them takes from


class Features(nn.Module):
    """``wave (clip, sample)`` or ``bytes (clip, bin, frame)`` -> picture, as the spec says."""

    weights: Tensor
    basis: Tensor
    colours: Tensor

    def __init__(self, spec: PictureSpec) -> None:
        super().__init__()
        self.spec, self.feature = spec, FEATURES[spec.picture]
        if self.feature.transform:
            self.transform = self.feature.transform(spec)
        tables = {"weights": self.feature.weights, "basis": self.feature.basis}
        for name, table in tables.items():
            self.register_buffer(name, table(spec) if table else None, persistent=False)
        self.bands = _bands(self.weights) if self.feature.weights else []
        if spec.made_of:
            self.mapped = Mapped(spec.made_of, spec)
        if spec.colour:
            self.register_buffer("colours", _colours(spec.colour), persistent=False)

    def forward(self, clips: Tensor) -> Tensor:
        """Waves or bytes -> (clip, channel, bin, frame)."""
        picture = self.plain(clips).unsqueeze(1)
        if self.spec.size:
            size = self._axes()[:2] if self.spec.figure_aspect else self.spec.size
            picture = nn.functional.interpolate(picture, size=size, mode="bilinear", antialias=True)
        if not self.spec.colour:
            return self._standardised(picture)
        coloured = self._coloured(picture)
        if not self.spec.figure_aspect:
            return coloured
        return nn.functional.pad(coloured, self._axes()[2:], value=1.0)  # negative: cut off

    def plain(self, clips: Tensor) -> Tensor:
        """The picture in its own units, before it is resized, standardised or coloured.

        (clip, sample) int16 or floats in [-1, 1], or uint8 (clip, bin, frame) -> (clip, bin, frame)
        """
        if clips.dtype == torch.uint8 and self.spec.made_of:
            return self.mapped(bytes_to_decibels(clips))
        if clips.dtype == torch.uint8:
            return self._cepstral(self._in_range(bytes_to_decibels(clips)))
        wave = clips.float() / 32767 if clips.dtype == torch.int16 else clips.float()
        if not self.feature.transform:
            return wave.unsqueeze(1)
        if wave.device.type == "cpu" and not torch.compiler.is_exporting():
            level = self._few_at_a_time(wave).mT
        else:
            level = self._level(wave).mT
        if self.is_stretched:
            frames = self.spec.frames(wave.shape[1] / self.spec.sample_rate)
            level = nn.functional.interpolate(level, size=frames, mode="linear")
        return self._cepstral(self._in_range(level))

    @property
    def is_stretched(self) -> bool:
        """Whether a frame is longer or shorter than a step of the Fourier transform."""
        step = self.spec.hop_length / self.spec.sample_rate
        return abs(self.spec.seconds_per_frame - step) > 1e-6

    def levels(self, wave: np.ndarray, first: int, last: int) -> Tensor:
        """Decibels (bin, frame) of frames ``first`` to ``last`` (not with it) of a long song.

        Those that ``plain`` makes, before a song's maximum is known.
        """
        hop = self.spec.hop_length
        before = -(-self.spec.n_fft // 2 // hop)  # frames that reach into samples left of a block
        begin = max(0, first - before)
        samples = torch.from_numpy(np.array(wave[begin * hop : (last + before) * hop]))
        forget(wave)
        samples = samples.to(next(self.buffers()).device)
        samples = samples.float() / 32767 if samples.dtype == torch.int16 else samples.float()
        return decibels(self._power(samples[None])[0, first - begin : last - begin]).mT

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
        return self.feature.of_power(self._power(wave), self.spec.scale)

    def _power(self, wave: Tensor) -> Tensor:
        """(clip, sample) -> (clip, frame, bin)"""
        # half the time of torchaudio's squared magnitudes, which take a root first
        squares = torch.view_as_real(self.transform(wave).mT).square_()
        power = squares[..., 0] + squares[..., 1]
        if not self.bands:
            return power
        # a third of the time of one product, nearly all of whose weights are 0
        return torch.cat([power[..., of] @ self.weights[of, to] for of, to in self.bands], 2)

    def _in_range(self, level: Tensor) -> Tensor:
        """Decibels (clip, bin, frame) that end so far below a clip's maximum as the spec says."""
        if self.spec.range_db == FLOOR_DB:
            return level
        return torch.maximum(level, level.amax((1, 2), keepdim=True) - self.spec.range_db)

    def _axes(self) -> tuple[int, int, int, int, int, int]:
        """Height and width of the picture in a figure, and margins: left, right, first, last row.

        The figure is as high as the picture that is asked for; margins of its sides that are cut
        off are negative. Low bins, which a figure has below, come first here.
        """
        assert self.spec.size
        assert self.spec.figure_aspect
        height, width = self.spec.size
        figure = round(height * self.spec.figure_aspect)
        left, right = (round(figure * share) for share in AXES_X)
        low, high = (round(height * share) for share in AXES_Y)
        cut = round((figure - width) / 2)
        return high - low, right - left, left - cut, width - (right - cut), low, height - high

    def _cepstral(self, level: Tensor) -> Tensor:
        """(clip, bin, frame) -> the same, or the cepstral coefficients of it."""
        if not self.feature.basis:
            return level
        return torch.einsum("bft,fc->bct", level, self.basis)

    def _standardised(self, picture: Tensor) -> Tensor:
        """Subtract each picture's mean and divide by its spread, or by those of its kind."""
        if self.feature.standard:
            mean, spread = self.feature.standard
            return (picture - mean) / spread
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


def stored_picture(features: Features, wave: np.ndarray) -> Tensor:
    """A song of any length as a corpus of pictures keeps it, on the device of the features.

    (sample,) int16 or floats in [-1, 1] -> (bin, frame) uint8, as ``decibels_to_bytes`` makes it of
    ``plain`` (where ``is_stretched`` one byte in 100,000 may be its neighbour). A long song is read
    twice in blocks, for its maximum and for what is below it; beside the bytes it takes the memory
    of a block. The spec must be ``stored``.
    """
    spec, frames = features.spec, 1 + len(wave) // features.spec.hop_length
    numbers, device = spec.n_fft // 2 + 1, next(features.buffers()).device
    if frames * numbers <= AT_ONCE:
        whole = torch.from_numpy(np.array(wave))[None].to(device)
        return decibels_to_bytes(features.plain(whole))[0]
    block = max(1, BLOCK // numbers)
    ends = [(first, min(first + block, frames)) for first in range(0, frames, block)]
    loudest = torch.stack([features.levels(wave, *each).amax() for each in ends]).amax()
    length = spec.frames(len(wave) / spec.sample_rate) if features.is_stretched else frames
    picture = torch.empty(spec.rows, length, dtype=torch.uint8, device=device)
    for first in range(0, length, block):
        last = min(first + block, length)
        if features.is_stretched:
            level = _stretched(features, wave, loudest, (first, last), frames / length)
        else:
            level = below(features.levels(wave, first, last), loudest)
        picture[:, first:last] = decibels_to_bytes(level)
    return picture


def _stretched(
    features: Features, wave: np.ndarray, loudest: Tensor, block: tuple[int, int], step: float
) -> Tensor:
    """The decibels of a block of frames, each ``step`` Fourier frames, as ``interpolate`` does."""
    at = torch.arange(*block, device=loudest.device, dtype=torch.float32)
    # as torch rounds them: the product and the difference once, to single precision
    at = ((at + 0.5).double() * float(np.float32(step)) - 0.5).clamp_min(0).float()
    left = at.long()
    first, share = int(left[0]), at - left
    end = int(left[-1]) + 2
    level = below(features.levels(wave, first, end), loudest)
    left -= first
    right = (left + 1).clamp_max(level.shape[1] - 1)
    return (1 - share) * level[:, left] + share * level[:, right]


def bytes_to_decibels(picture: Tensor) -> Tensor:
    """uint8 -> decibels: byte b stands for -80 + 80 b / 255."""
    return picture.float() * (FLOOR_DB / 255) - FLOOR_DB


def decibels_to_bytes(picture: Tensor) -> Tensor:
    """Decibels between -80 and 0 -> uint8, rounded to 0.31 dB."""
    return ((picture + FLOOR_DB) * (255 / FLOOR_DB)).round().clamp(0, 255).to(torch.uint8)


def _colours(name: str) -> Tensor:
    """(256, 3) float32 red, green and blue between 0 and 1 of a colour map."""
    from matplotlib import colormaps

    return torch.from_numpy(colormaps[name](range(256))[:, :3].astype("float32"))
