"""Augmentation: waveforms in the loader (audiomentations), pictures on the device (torch).

Parameters and default probabilities are those of motyka. Differences: probabilities are drawn
for each clip, not for a batch, and a mask fills with the picture's mean (0 once standardised).
motyka states no range of shift and noise: ours are audiomentations' defaults.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gtzan_lightning.recipe.settings import AugmentSettings


def _shift(probability: float) -> Any:
    """Circular, by up to half the clip."""
    from audiomentations import Shift

    return Shift(min_shift=-0.5, max_shift=0.5, rollover=True, p=probability)


def _noise(probability: float) -> Any:
    from audiomentations import AddGaussianNoise

    class Noise(AddGaussianNoise):
        """With single precision's draws, in a fifth of the time of numpy's double."""

        def apply(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
            draws = torch.Generator().manual_seed(random.getrandbits(63))
            noise = torch.randn(samples.shape, generator=draws).numpy()
            noise *= self.parameters["amplitude"]
            return np.add(noise, samples, out=noise)

    return Noise(min_amplitude=0.001, max_amplitude=0.015, p=probability)


# setting of the probability -> its name and audiomentations' transform, as they follow one another
WAVES = {"shift": ("time shift", _shift), "noise": ("Gaussian noise", _noise)}


class WaveAugmentation:
    """What ``AugmentSettings`` says of waveforms, on those of a batch, seeded clip by clip."""

    def __init__(self, settings: AugmentSettings, sample_rate: int) -> None:
        from audiomentations import Compose

        self.sample_rate = sample_rate
        transforms = [make(getattr(settings, name)) for name, (_, make) in WAVES.items()]
        self.chain = Compose(transforms, p=settings.audio)

    @staticmethod
    def changes(settings: AugmentSettings) -> bool:
        """Whether any clip's waveform can be augmented."""
        return bool(settings.audio) and any(getattr(settings, name) for name in WAVES)

    def __call__(self, clips: Sequence[np.ndarray], seeds: Sequence[int]) -> np.ndarray:
        """Clips of int16 (sample,) -> (clip, sample) float32 in [-1, 1]."""
        waves = np.empty((len(clips), len(clips[0])), np.float32)
        # audiomentations draws from Python's global generator; it is given back as it was, so that
        # a clip's augmentation is the same in whichever process it is loaded
        state = random.getstate()
        try:
            for wave, clip, seed in zip(waves, clips, seeds, strict=True):
                random.seed(seed)
                np.divide(clip, 32767, out=wave, dtype=np.float32)
                augmented = self.chain(wave, sample_rate=self.sample_rate)
                if augmented is not wave:
                    wave[:] = augmented
        finally:
            random.setstate(state)
        return waves


class PictureAugmentation:
    """What ``AugmentSettings`` says of pictures, on a whole batch, without a loop over clips.

    References: Zhang et al., mixup (ICLR 2018); Yun et al., CutMix (ICCV 2019); Park et al.,
    SpecAugment (Interspeech 2019); DeVries and Taylor, Cutout (2017).
    """

    def __init__(self, settings: AugmentSettings) -> None:
        self.settings = settings

    @staticmethod
    def changes(settings: AugmentSettings) -> bool:
        """Whether any clip's picture can be augmented."""
        return bool(settings.spectrogram) and any(getattr(settings, name) for name in PICTURES)

    def __call__(self, picture: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(clip, channel, bin, frame), (clip, genre) -> the same; mixing mixes the targets too."""
        chosen = _coin(self.settings.spectrogram, picture)
        for name, augmentation in PICTURES.items():
            probability = getattr(self.settings, name)
            if probability:
                on = chosen & _coin(probability, picture)
                picture, target = augmentation(picture, target, on, self.settings)
        return picture, target


def mixup(picture: Tensor, target: Tensor, on: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Blend each chosen clip with another of the batch, weight ~ Beta(alpha, alpha)."""
    keep = torch.where(on, _beta(alpha, picture), 1.0)
    other = torch.randperm(len(picture), device=picture.device)
    return _blend(picture, picture[other], keep), _blend(target, target[other], keep)


def cutmix(picture: Tensor, target: Tensor, on: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Paste a box of another clip, of 1 - Beta(alpha, alpha) of the area, into each chosen clip."""
    other = torch.randperm(len(picture), device=picture.device)
    side = torch.where(on, 1 - _beta(alpha, picture), 0.0).sqrt()
    box = _box(side, side, picture)
    keep = 1 - box.float().mean((1, 2, 3))
    return torch.where(box, picture[other], picture), _blend(target, target[other], keep)


def mask(picture: Tensor, on: Tensor, widest_bins: float, widest_frames: float) -> Tensor:
    """Fill one stripe of up to ``widest`` of the bins, and one of the frames, with 0."""
    bins = _span(_width(on, widest_bins), picture.shape[2])
    frames = _span(_width(on, widest_frames), picture.shape[3])
    return picture.masked_fill(bins[:, None, :, None] | frames[:, None, None, :], 0.0)


def cutout(picture: Tensor, on: Tensor, widest: float) -> Tensor:
    """Fill a box of up to ``widest`` of the bins and of the frames with 0."""
    return picture.masked_fill(_box(_width(on, widest), _width(on, widest), picture), 0.0)


def width_shift(picture: Tensor, on: Tensor, widest: float) -> Tensor:
    """Move a clip by up to ``widest`` of its frames, either way; the edge frame fills the gap."""
    frames = picture.shape[3]
    share = (2 * torch.rand(len(picture), device=picture.device) - 1) * widest
    moved = (torch.where(on, share, 0.0) * frames).trunc().long()
    at = torch.arange(frames, device=picture.device)
    source = (at - moved[:, None]).clamp(0, frames - 1)
    return picture.gather(3, source[:, None, None].expand_as(picture))


def warp(picture: Tensor, on: Tensor, tempo: float, bins: float) -> Tensor:
    """Another tempo (up to 1 +- ``tempo``) and register (up to ``bins`` of the bins, up or down).

    What is drawn in from beyond an edge is the picture's reflection.
    """
    draws = 2 * torch.rand(2, len(picture), device=picture.device) - 1
    draws = torch.where(on, draws, 0.0)
    # affine_grid's points at a third of its time: neither axis depends on the other
    across, down = (_centres(picture.shape[dim], picture) for dim in (3, 2))
    frame = ((1 + tempo * draws[0])[:, None] * across)[:, None, :]
    row = (down + (2 * bins * draws[1])[:, None])[:, :, None]
    grid = torch.stack(torch.broadcast_tensors(frame, row), 3)
    return nn.functional.grid_sample(picture, grid, padding_mode="reflection", align_corners=False)


def equaliser(picture: Tensor, on: Tensor, gain: float) -> Tensor:
    """Add a smooth random curve over the bins: other microphones, mixes and masterings.

    Five normal draws of spread ``gain`` (in units of the picture's own spread), joined by lines.
    After Nam et al., FilterAugment (ICASSP 2022), whose bands have random edges.
    """
    knots = torch.randn(len(picture), 1, 5, device=picture.device) * gain
    curve = nn.functional.interpolate(
        torch.where(on[:, None, None], knots, 0.0), picture.shape[2], mode="linear"
    )
    return picture + curve.unsqueeze(3)


@dataclass(frozen=True)
class PictureChange:
    """A function above and the settings that it takes."""

    change: Callable[..., Any]
    numbers: tuple[str, ...]
    mixes: bool = False  # clips with one another, and their targets alike

    def __call__(
        self, picture: Tensor, target: Tensor, on: Tensor, settings: AugmentSettings
    ) -> tuple[Tensor, Tensor]:
        numbers = [getattr(settings, name) for name in self.numbers]
        if self.mixes:
            return self.change(picture, target, on, *numbers)
        return self.change(picture, on, *numbers), target


# setting of the probability -> what is done, as they follow one another
PICTURES = {
    "mixup": PictureChange(mixup, ("mixup_alpha",), mixes=True),
    "cutmix": PictureChange(cutmix, ("cutmix_alpha",), mixes=True),
    "warp": PictureChange(warp, ("warp_tempo", "warp_bins")),
    "equaliser": PictureChange(equaliser, ("equaliser_gain",)),
    "width_shift": PictureChange(width_shift, ("width_shift_frames",)),
    "mask": PictureChange(mask, ("mask_bins", "mask_frames")),
    "cutout": PictureChange(cutout, ("cutout_side",)),
}


def _centres(size: int, picture: Tensor) -> Tensor:
    """(size,) places of the bins or frames between -1 and 1, as grid_sample counts them."""
    return (2 * torch.arange(size, device=picture.device) + 1) / size - 1


def _coin(probability: float, picture: Tensor) -> Tensor:
    return torch.rand(len(picture), device=picture.device) < probability


def _beta(alpha: float, picture: Tensor) -> Tensor:
    # PyTorch draws it on processors and CUDA, not on Apple's GPUs
    where = "cpu" if picture.device.type == "mps" else picture.device
    shape = torch.full((len(picture),), alpha, device=where)
    return torch.distributions.Beta(shape, shape).sample().to(picture.device)


def _blend(first: Tensor, second: Tensor, keep: Tensor) -> Tensor:
    return second.lerp(first, keep.view(-1, *[1] * (first.ndim - 1)))


def _width(on: Tensor, widest: float) -> Tensor:
    """(clip,) a share of up to ``widest`` where chosen, else 0"""
    return torch.where(on, torch.rand(len(on), device=on.device) * widest, 0.0)


def _box(height: Tensor, width: Tensor, picture: Tensor) -> Tensor:
    """(clip,) shares of bins and frames -> (clip, 1, bin, frame) True in a box at random."""
    rows, columns = _span(height, picture.shape[2]), _span(width, picture.shape[3])
    return rows[:, None, :, None] & columns[:, None, None, :]


def _span(share: Tensor, size: int) -> Tensor:
    """(clip,) shares -> (clip, size) True on a stretch of that share at a random place."""
    width = (share * size).floor()
    start = (torch.rand(len(share), device=share.device) * (size - width + 1)).floor()
    at = torch.arange(size, device=share.device)
    return (at >= start[:, None]) & (at < (start + width)[:, None])
