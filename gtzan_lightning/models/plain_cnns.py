"""Plain convolutional networks of navas (searched) and zhang (FcnCnn)."""

from torch import Tensor, nn

from gtzan_lightning.models.layers import (
    ACTIVATIONS,
    SameConv2d,
    dense_layers,
    initialise_as_keras,
    map_shape,
)
from gtzan_lightning.recipe.model_settings import BaselineCnnSettings, FcnCnnSettings
from gtzan_lightning.recipe.section import Shape


class BaselineCnn(nn.Module):
    """Strided convolutions without pooling, then dense layers (navas).

    The source names its settings but not its order of layers: here convolution, batch norm,
    activation, dropout. Convolutions are padded as Keras' ``same``, since six of stride 3 leave
    nothing of a picture otherwise.
    """

    def __init__(self, settings: BaselineCnnSettings, genres: int, shape: Shape) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = shape[0]
        for _ in range(settings.convolutions):
            layers.append(
                SameConv2d(channels, settings.kernels, settings.kernel, stride=settings.stride)
            )
            channels = settings.kernels
            if settings.batch_norm:
                layers.append(nn.BatchNorm2d(channels))
            layers += [ACTIVATIONS[settings.activation](), nn.Dropout(settings.dropout)]
        self.trunk = nn.Sequential(*layers)
        channels, height, width = map_shape(self.trunk, shape)
        flat = channels * height * width
        self.head = nn.Sequential(
            nn.Flatten(),
            dense_layers(
                flat, settings.dense, (settings.dense_dropout,), settings.activation,
                settings.dense_batch_norm,
            ),
            nn.Linear((flat, *settings.dense)[-1], genres),
        )  # fmt: skip
        initialise_as_keras(self)

    def forward(self, picture: Tensor) -> Tensor:  # (clip, channel, bin, frame) -> (clip, genre)
        return self.head(self.trunk(picture))


class FcnCnn(nn.Module):
    """Convolution, ReLU, max pooling, dropout, three times; dense 512 (zhang).

    51,479,114 parameters on 224 x 224 x 3.
    """

    def __init__(self, settings: FcnCnnSettings, genres: int, shape: Shape) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = shape[0]
        for out in settings.channels:
            layers += [
                nn.Conv2d(channels, out, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(2),
                nn.Dropout(settings.dropout),
            ]
            channels = out
        self.trunk = nn.Sequential(*layers)
        channels, height, width = map_shape(self.trunk, shape)
        self.head = nn.Sequential(
            nn.Flatten(),
            dense_layers(channels * height * width, (512,), (settings.dense_dropout,)),
            nn.Linear(512, genres),
        )

    def forward(self, picture: Tensor) -> Tensor:  # (clip, channel, bin, frame) -> (clip, genre)
        return self.head(self.trunk(picture))
