"""Plain convolutional networks of navas (searched) and zhang (FcnCnn)."""

from torch import nn

from gtzan_lightning.models.layers import (
    ACTIVATIONS,
    SameConv2d,
    Trunked,
    flat_head,
    initialise_as_keras,
)
from gtzan_lightning.recipe.model_settings import BaselineCnnSettings, FcnCnnSettings
from gtzan_lightning.recipe.section import Shape


class BaselineCnn(Trunked):
    """Strided convolutions without pooling, then dense layers (navas).

    The document names its settings, its public code the order: convolution, batch norm,
    activation, dropout. Two dense widths are printed, of which its code searches one. Convolutions
    are padded as Keras' ``same``, since six of stride 3 leave nothing of a picture otherwise.
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
        self.head = flat_head(
            self.trunk, shape, settings.dense, genres, (settings.dense_dropout,),
            settings.activation, settings.dense_batch_norm,
        )  # fmt: skip
        initialise_as_keras(self)


class FcnCnn(Trunked):
    """Convolution, ReLU, max pooling, dropout, three times; dense 512 (zhang).

    51,479,114 parameters on 224 x 224 x 3. The learning rate of its code is 0.0001; 0.001 belongs
    to a one-dimensional network there.
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
        self.head = flat_head(self.trunk, shape, (512,), genres, (settings.dense_dropout,))
