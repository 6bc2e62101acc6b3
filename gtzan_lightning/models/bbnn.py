"""Bottom-up broadcast neural network (Liu et al., arXiv 1901.08928; basak's second best)."""

from functools import partial

import torch
from torch import Tensor, nn

from gtzan_lightning.models.layers import Trunked, initialise_as_keras
from gtzan_lightning.recipe.model_settings import BbnnSettings
from gtzan_lightning.recipe.section import Shape


class Bbnn(Trunked):
    """Stem, three broadcast blocks of four branches, each joined to its input, transition, head.

    180,458 parameters of convolutions and dense layer on one channel (the paper's 0.18 M), 185,642
    with batch norm. The stem pools time by 4 and keeps every mel bin, or as basak's code does
    (``model.pooled frequency``) the other way round. Deviations: the picture is
    standardised (the paper feeds decibels); batch norm keeps PyTorch's momentum of 0.1, since
    Keras' 0.99 needs more steps than GTZAN has.
    """

    def __init__(self, settings: BbnnSettings, genres: int, shape: Shape) -> None:
        super().__init__()
        width, published = settings.filters, settings.variant == "basak"
        after: list[nn.Module] = [_norm(width), nn.ReLU(inplace=True)]
        self.stem = nn.Sequential(
            nn.Conv2d(shape[0], width, 3, padding=1),
            *(reversed(after) if published else after),
            nn.MaxPool2d((1, 4) if settings.pooled == "time" else (4, 1)),
        )
        self.blocks = nn.ModuleList(
            _Broadcast(width * (1 + 4 * n), width, published) for n in range(3)
        )
        self.transition = nn.Sequential(_unit(13 * width, width, 1, published), nn.AvgPool2d(2))
        # basak leaves out the last ReLU
        self.last = nn.Sequential(_norm(width), *([] if published else [nn.ReLU(inplace=True)]))
        self.out = nn.Linear(width, genres)
        initialise_as_keras(self)

    def trunk(self, picture: Tensor) -> Tensor:  # (clip, channel, bin, frame) -> (clip, map, y, x)
        maps = self.stem(picture)
        for block in self.blocks:
            maps = torch.cat([maps, block(maps)], dim=1)
        return self.last(self.transition(maps))

    def head(self, maps: Tensor) -> Tensor:  # (clip, map, y, x) -> (clip, genre)
        return self.out(maps.mean((2, 3)))


class _Broadcast(nn.Module):
    """Four branches side by side: 1x1; 1x1, 3x3; 1x1, 5x5; max pooling, 1x1."""

    def __init__(self, channels: int, width: int, published: bool) -> None:
        super().__init__()
        unit = partial(_unit, width=width, published=published)
        self.branches = nn.ModuleList(
            [
                unit(channels, kernel=1),
                nn.Sequential(unit(channels, kernel=1), unit(width, kernel=3)),
                nn.Sequential(unit(channels, kernel=1), unit(width, kernel=5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), unit(channels, kernel=1)),
            ]
        )

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([branch(maps) for branch in self.branches], dim=1)


def _unit(channels: int, width: int, kernel: int, published: bool) -> nn.Sequential:
    convolution = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
    if published:
        return nn.Sequential(_norm(channels), convolution, nn.ReLU(inplace=True))
    return nn.Sequential(_norm(channels), nn.ReLU(inplace=True), convolution)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)  # Keras'
