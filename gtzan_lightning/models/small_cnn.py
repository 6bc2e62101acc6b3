"""A plain network of five 3x3 convolutions, which a laptop trains in minutes (no source paper)."""

import torch
from torch import Tensor, nn

from gtzan_lightning.models.layers import Trunked
from gtzan_lightning.recipe.model_settings import SmallCnnSettings
from gtzan_lightning.recipe.section import Shape


class SmallCnn(Trunked):
    """Convolution, batch norm, ReLU, halving max pool, five times; mean and max over the map."""

    def __init__(self, settings: SmallCnnSettings, genres: int, shape: Shape) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = shape[0]
        for channels in settings.channels:
            layers += [
                nn.Conv2d(width, channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(2, ceil_mode=True),
            ]
            width = channels
        self.convolutions = nn.Sequential(*layers)
        self.dropout = nn.Dropout(settings.dropout)
        self.out = nn.Linear(2 * width, genres)

    def trunk(self, picture: Tensor) -> Tensor:  # (clip, channel, bin, frame) -> (clip, map, y, x)
        return self.convolutions(picture.contiguous(memory_format=torch.channels_last))

    def head(self, maps: Tensor) -> Tensor:  # (clip, map, y, x) -> (clip, genre)
        pooled = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)
        return self.out(self.dropout(pooled))
