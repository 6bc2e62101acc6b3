"""basak's convolutional network and its CNN-LSTM, layer for layer the printed tables.

The tables have dropout after each pooling of the network, at a rate that they do not print (0.3
here), and none after its dense layers. The public code differs: none after pooling, 0.3 after dense
1000, 0.5 after dense 512 (``model.dropout 0``, ``model.dense_dropout 0.3 0.5 0``). The tables name
no optimiser; RMSprop is the code's. Kernels of 4 x 4 follow from the printed parameter counts.
"""

from torch import Tensor, nn

from gtzan_lightning.models.layers import (
    SameConv2d,
    Trunked,
    dense_layers,
    flat_head,
    initialise_as_keras,
    map_shape,
)
from gtzan_lightning.recipe.model_settings import CnnLstmSettings, CnnSettings
from gtzan_lightning.recipe.section import Shape


def _convolutions(channels: int, stride: int, dropout: float) -> nn.Sequential:
    """Three times: same convolution, valid convolution, average pooling, dropout."""
    layers: list[nn.Module] = []
    for out, kernel, step in ((32, 3, 1), (64, 4, stride), (64, 4, 1)):
        layers += [
            SameConv2d(channels, out, kernel, stride=step),
            nn.ReLU(inplace=True),
            nn.Conv2d(out, out, kernel, stride=step),
            nn.ReLU(inplace=True),
            nn.AvgPool2d(2),
            nn.Dropout(dropout),
        ]
        channels = out
    return nn.Sequential(*layers)


class Cnn(Trunked):
    """15,762,770 parameters on 480 x 640 x 3 with stride 2, as published."""

    def __init__(self, settings: CnnSettings, genres: int, shape: Shape) -> None:
        super().__init__()
        self.trunk = _convolutions(shape[0], settings.stride, settings.dropout)
        self.head = flat_head(self.trunk, shape, (1000, 512, 64), genres, settings.dense_dropout)
        initialise_as_keras(self)


class CnnLstm(Trunked):
    """The same convolutions with stride 1, then two LSTMs, dense 100 and 50.

    As published the LSTM walks along the picture's height, which is frequency (27,013,436
    parameters in Keras; 6,000 more here, where an LSTM has two biases). By default it walks along
    time.
    """

    def __init__(self, settings: CnnLstmSettings, genres: int, shape: Shape) -> None:
        super().__init__()
        self.along_time = settings.axis == "time"
        self.trunk = _convolutions(shape[0], 1, settings.dropout)
        channels, height, width = map_shape(self.trunk, shape)
        first, second = settings.units
        side = height if self.along_time else width
        self.first = nn.LSTM(channels * side, first, batch_first=True)
        self.second = nn.LSTM(first, second, batch_first=True)
        self.dense = dense_layers(second, (100, 50), (settings.dense_dropout,))
        self.out = nn.Linear(50, genres)
        initialise_as_keras(self)

    def head(self, maps: Tensor) -> Tensor:  # (clip, channel, y, x) -> (clip, genre)
        steps = maps.permute(0, 3, 2, 1) if self.along_time else maps.permute(0, 2, 3, 1)
        states, _ = self.second(self.first(steps.flatten(2))[0])
        return self.out(self.dense(states[:, -1]))
