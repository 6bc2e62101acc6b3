"""From the mel pictures of a corpus to the pictures that a network expects, without the sound.

The power that a Slaney mel bin holds is spread over its frequencies, joined to its neighbours' by
lines, and summed anew by the bins of the other kind; in time decibels are joined by lines. What is
lost: the level of a song (a corpus keeps decibels below its maximum; ``LOUDEST_DB`` stands for it),
quiet sounds below the corpus' range, times shorter than its frames, frequencies above its own.
"""

import torch
from torch import Tensor, nn

from gtzan_lightning.data.features import FEATURES, PictureSpec

# mel power of a song's loudest bin, decibels: 30.0 on average over 50 songs of GTZAN (spread 4.2),
# less the 1.5 by which the mean of decibels is below the decibels of a mean in a bin of music
LOUDEST_DB = 28.5


class Mapped(nn.Module):
    """Decibels of a corpus' mel pictures (clip, bin, frame) -> another kind of mel picture.

    Its error against pictures of the sound is measured in docs/pictures.md.
    """

    weights: Tensor

    def __init__(self, corpus: PictureSpec, wanted: PictureSpec) -> None:
        super().__init__()
        self.stretch = corpus.seconds_per_frame / wanted.seconds_per_frame
        self.register_buffer("weights", _power_map(corpus, wanted), persistent=False)
        self.of_power, self.scale = FEATURES[wanted.picture].of_power, wanted.scale

    def forward(self, decibels: Tensor) -> Tensor:
        frames = max(1, round(decibels.shape[2] * self.stretch))
        decibels = nn.functional.interpolate(decibels, size=frames, mode="linear")
        power = torch.pow(10.0, (decibels + LOUDEST_DB) / 10)
        return self.of_power(self.weights @ power, self.scale)


def _power_map(corpus: PictureSpec, wanted: PictureSpec) -> Tensor:
    """(wanted bin, bin of the corpus) weights that sum power."""
    table, feature = FEATURES[corpus.picture], FEATURES[wanted.picture]
    assert table.weights
    assert table.hertz
    assert feature.weights
    centres = table.hertz(corpus)
    hertz = torch.linspace(0, wanted.sample_rate / 2, wanted.n_fft // 2 + 1)
    # where each wanted frequency lies between two bins of the corpus
    right = torch.searchsorted(centres, hertz).clamp(1, len(centres) - 1)
    share = ((hertz - centres[right - 1]) / (centres[right] - centres[right - 1])).clamp(0, 1)
    spread = torch.zeros(len(hertz), len(centres))
    at = torch.arange(len(hertz))
    spread[at, right - 1], spread[at, right] = 1 - share, share
    spread[hertz > corpus.f_max] = 0
    spread *= _energy(wanted) / _energy(corpus) / table.weights(corpus).sum(0)
    if feature.gain:
        spread *= feature.gain(wanted)[:, None]
    return feature.weights(wanted).T @ spread


def _energy(spec: PictureSpec) -> float:
    """Power of noise of one density in a Fourier bin, up to a factor that all have."""
    return spec.sample_rate * float(torch.hann_window(spec.window).square().sum())
