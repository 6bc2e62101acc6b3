"""Augmentation: waveforms in the loader (audiomentations), pictures on the device (torch).

Parameters and default probabilities are those of seed 000. Differences: probabilities are drawn
for each clip, not for a batch, and a mask fills with the picture's mean (0 once standardised).
"""

import random

import numpy as np
import torch
from torch import Tensor

from gtzan_lightning.settings import AugmentSettings


class WaveAugmentation:
    """Time shift and Gaussian noise on one waveform (sample,), seeded clip by clip."""

    def __init__(self, settings: AugmentSettings, sample_rate: int) -> None:
        from audiomentations import AddGaussianNoise, Compose, Shift

        self.sample_rate = sample_rate
        shift = Shift(min_shift=-0.5, max_shift=0.5, rollover=True, p=settings.shift)
        noise = AddGaussianNoise(min_amplitude=0.001, max_amplitude=0.015, p=settings.noise)
        self.chain = Compose([shift, noise], p=settings.audio)

    def __call__(self, wave: np.ndarray, seed: int) -> np.ndarray:
        # audiomentations draws from both global generators; they are given back as they were, so
        # that a clip's augmentation is the same in whichever process it is loaded
        states = random.getstate(), np.random.get_state()
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            return self.chain(wave, sample_rate=self.sample_rate)
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


class PictureAugmentation:
    """Mixup, cutmix, frequency and time masks on a whole batch, without a loop over clips.

    References: Zhang et al., mixup (ICLR 2018); Yun et al., CutMix (ICCV 2019); Park et al.,
    SpecAugment (Interspeech 2019).
    """

    def __init__(self, settings: AugmentSettings) -> None:
        self.settings = settings

    def __call__(self, picture: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(clip, bin, frame), (clip, genre) -> the same shapes; mixing mixes the targets too."""
        s = self.settings
        chosen = _coin(s.spectrogram, picture)
        if s.mixup:
            picture, target = mixup(
                picture, target, chosen & _coin(s.mixup, picture), s.mixup_alpha
            )
        if s.cutmix:
            on = chosen & _coin(s.cutmix, picture)
            picture, target = cutmix(picture, target, on, s.cutmix_alpha)
        if s.mask:
            on = chosen & _coin(s.mask, picture)
            picture = mask(picture, on, s.mask_bins, dim=1)
            picture = mask(picture, on, s.mask_frames, dim=2)
        return picture, target


def mixup(picture: Tensor, target: Tensor, on: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Blend each chosen clip with another of the batch, weight ~ Beta(alpha, alpha)."""
    keep = torch.where(on, _beta(alpha, picture), 1.0)
    other = torch.randperm(len(picture), device=picture.device)
    return _blend(picture, picture[other], keep), _blend(target, target[other], keep)


def cutmix(picture: Tensor, target: Tensor, on: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Paste a box of another clip, of 1 - Beta(alpha, alpha) of the area, into each chosen clip."""
    clips, bins, frames = picture.shape
    other = torch.randperm(clips, device=picture.device)
    side = torch.where(on, 1 - _beta(alpha, picture), 0.0).sqrt()
    rows = _span(side, bins, picture)[:, :, None]
    box = rows & _span(side, frames, picture)[:, None, :]
    keep = 1 - box.float().mean((1, 2))
    return torch.where(box, picture[other], picture), _blend(target, target[other], keep)


def mask(picture: Tensor, on: Tensor, widest: float, dim: int) -> Tensor:
    """Fill one stripe of up to ``widest`` of the bins (dim 1) or frames (dim 2) with 0."""
    width = torch.rand(len(picture), device=picture.device) * widest
    stripe = _span(torch.where(on, width, 0.0), picture.shape[dim], picture)
    return picture.masked_fill(stripe.unsqueeze(3 - dim), 0.0)


def _coin(probability: float, picture: Tensor) -> Tensor:
    return torch.rand(len(picture), device=picture.device) < probability


def _beta(alpha: float, picture: Tensor) -> Tensor:
    shape = torch.full((len(picture),), alpha, device=picture.device)
    return torch.distributions.Beta(shape, shape).sample()


def _blend(first: Tensor, second: Tensor, keep: Tensor) -> Tensor:
    keep = keep.view(-1, *[1] * (first.ndim - 1))
    return keep * first + (1 - keep) * second


def _span(share: Tensor, size: int, picture: Tensor) -> Tensor:
    """(clip,) shares -> (clip, size) True on a stretch of that share at a random place."""
    width = (share * size).floor()
    start = (torch.rand(len(share), device=picture.device) * (size - width + 1)).floor()
    at = torch.arange(size, device=picture.device)
    return (at >= start[:, None]) & (at < (start + width)[:, None])
