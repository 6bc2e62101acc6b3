"""bar_tov's two networks; each step of its ladder of improvements is a setting."""

from torch import nn

from gtzan_lightning.models.layers import Trunked, flat_head
from gtzan_lightning.recipe.model_settings import SliceCnnSettings
from gtzan_lightning.recipe.section import Shape

CHANNELS = {2: (64, 128), 4: (64, 128, 256, 512)}
POOLS = {2: (2, 2), 4: (2, 2, 4, 4)}
DENSE = {2: (256,), 4: (1024, 256)}


class SliceCnn(Trunked):
    """Two convolutions (122,008,202 parameters on 244 x 244 x 3) or four (6,537,482).

    Maps are pooled in rounded-down steps of 2, 2, 4, 4 as published, which needs 64 bins and 64
    frames for the four convolutions; a smaller side is pooled less, in the last steps first.
    bar_tov's figure of clips is of nine genres; its pictures are cut out of figures, and decibels
    taken twice (``data.leave_out``, ``data.figure_aspect``, ``data.range_db``).
    """

    def __init__(self, settings: SliceCnnSettings, genres: int, shape: Shape) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, size = shape[0], tuple(shape[1:])
        for out, pool in zip(CHANNELS[settings.layers], POOLS[settings.layers], strict=True):
            layers.append(nn.Conv2d(channels, out, 3, padding=1))
            if settings.batch_norm:
                layers.append(nn.BatchNorm2d(out))
            pools = tuple(min(pool, side) for side in size)
            layers += [nn.ReLU(inplace=True), nn.MaxPool2d(pools)]
            size = tuple(side // p for side, p in zip(size, pools, strict=True))
            channels = out
        self.trunk = nn.Sequential(*layers)
        dense = DENSE[settings.layers]
        self.head = flat_head(self.trunk, shape, dense, genres, (settings.dropout,))
        if settings.log_softmax:
            self.head.append(nn.LogSoftmax(1))
        if settings.initialisation == "kaiming_xavier":
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
                elif isinstance(module, nn.Linear):
                    nn.init.xavier_normal_(module.weight)
