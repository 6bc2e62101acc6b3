"""Networks of Won et al. that tagged music: FCN, CRNN and musicnn.

Reference: Won, Ferraro, Bogdanov, Serra, Evaluation of CNN-based automatic music tagging models,
SMC 2020. Their pictures are 96 HTK mel bins in absolute decibels, standardised by a batch norm of
the network. Their last layer gives 50 tags, ours genres.
"""

import torch
from torch import Tensor, nn

from gtzan_lightning.data.features import HTK_STANDARD
from gtzan_lightning.errors import Untrainable
from gtzan_lightning.models.layers import Trunked
from gtzan_lightning.models.weights import fill, weights_of
from gtzan_lightning.recipe.model_settings import CrnnSettings
from gtzan_lightning.recipe.pretrained_settings import FcnSettings, MusicnnSettings, WonSettings
from gtzan_lightning.recipe.section import Shape

MODELS = "https://github.com/minzwon/sota-music-tagging-models/raw/master/models"
FCN_POOLS = ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4))  # bins and frames
CRNN_POOLS = ((2, 2), (3, 3), (4, 4), (4, 4))


class Pooled(nn.Module):
    """Convolution 3 x 3, batch norm, ReLU, max pool; of a map that is smaller than a pool, all."""

    def __init__(self, channels: int, out: int, pool: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 3, padding=1)
        self.bn = nn.BatchNorm2d(out)
        self.pool = pool

    def forward(self, maps: Tensor) -> Tensor:  # (clip, map, y, x) -> the same, smaller
        maps = torch.relu(self.bn(self.conv(maps)))
        sides = zip(self.pool, maps.shape[2:], strict=True)
        return nn.functional.max_pool2d(maps, [min(pool, side) for pool, side in sides])


class Along(nn.Module):
    """Convolution along time, batch norm, ReLU."""

    def __init__(self, channels: int, out: int, length: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, out, length, padding=length // 2)
        self.bn = nn.BatchNorm1d(out)

    def forward(self, frames: Tensor) -> Tensor:  # (clip, map, frame) -> the same
        return torch.relu(self.bn(self.conv(frames)))


class Tall(nn.Module):
    """musicnn's timbre: a convolution over many bins, batch norm, ReLU, the largest over bins."""

    def __init__(self, out: int, bins: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, out, (bins, 7), padding=(0, 3))
        self.bn = nn.BatchNorm2d(out)

    def forward(self, picture: Tensor) -> Tensor:  # (clip, 1, bin, frame) -> (clip, map, frame)
        return torch.relu(self.bn(self.conv(picture))).amax(2)


class Wide(Along):
    """musicnn's rhythm: the mean over bins, then along time."""

    def forward(self, picture: Tensor) -> Tensor:  # (clip, 1, bin, frame) -> (clip, map, frame)
        return super().forward(picture.mean(2))


class Tagger50(Trunked):
    """What the three share: absolute decibels for their batch norm, and weights."""

    spec_bn: nn.BatchNorm2d
    new_layer = "dense"

    def _decibels(self, picture: Tensor) -> Tensor:
        mean, spread = HTK_STANDARD
        return self.spec_bn(picture * spread + mean)

    def _load(self, settings: WonSettings) -> None:
        if settings.starts_from_weights:
            of, name = settings.learnt_from, settings.name
            url = f"{MODELS}/{of}/{name}/best_model.pth"
            weights = weights_of(settings, url, f"won2020-{name}-{of}.pth")
            fill(self, weights, self.new_layer, f"{name} of model.learnt_from {of}")


class _Stacked(Tagger50):
    """Layers that pool a picture of 96 bins to a height of 1."""

    def __init__(self, channels: list[int], pools: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.spec_bn = nn.BatchNorm2d(1)
        self.depth = len(pools)
        for n, pool in enumerate(pools):
            setattr(self, f"layer{n + 1}", Pooled(channels[n], channels[n + 1], pool))

    def trunk(self, picture: Tensor) -> Tensor:  # (clip, 1, bin, frame) -> (clip, map, 1, x)
        return self._maps(picture)[-1]

    def stages(self) -> list[list[nn.Module]]:
        first, *later = (getattr(self, f"layer{n + 1}") for n in range(self.depth))
        return [[self.spec_bn, first], *([layer] for layer in later)]

    def _maps(self, picture: Tensor) -> list[Tensor]:
        maps = [self._decibels(picture)]
        for n in range(self.depth):
            maps.append(getattr(self, f"layer{n + 1}")(maps[-1]))
        return maps[1:]


class Fcn(_Stacked):
    """FCN (Choi, Fazekas, Sandler, ISMIR 2016): 20.5 s become one number a channel.

    What is left of longer clips is averaged, and shorter ones are pooled as far as they go. An
    embedding is the means of all five layers.
    """

    def __init__(self, settings: FcnSettings, genres: int, shape: Shape) -> None:
        super().__init__([1, 64, 128, 128, 128, 64], FCN_POOLS)
        self.dropout = nn.Dropout(settings.dropout)
        self.dense = nn.Linear(64, genres)
        self._load(settings)

    def head(self, maps: Tensor) -> Tensor:  # (clip, map, y, x) -> (clip, genre)
        return self.dense(self.dropout(maps.mean((2, 3))))

    def embed(self, picture: Tensor) -> Tensor:
        return torch.cat([maps.mean((2, 3)) for maps in self._maps(picture)], 1)


class WonCrnn(_Stacked):
    """Four convolutions, two GRUs, the last of their states, one for 1.5 s.

    An embedding is the means of the convolutions and that state.
    """

    def __init__(self, settings: CrnnSettings, genres: int, shape: Shape) -> None:
        super().__init__([1, 64, 128, 128, 128], CRNN_POOLS)
        self.layer5 = nn.GRU(128, 32, 2, batch_first=True)
        self.dropout = nn.Dropout(0.5)
        self.dense = nn.Linear(32, genres)
        self._load(settings)

    def head(self, maps: Tensor) -> Tensor:  # (clip, map, 1, x) -> (clip, genre)
        return self.dense(self.dropout(self._last_state(maps)))

    def embed(self, picture: Tensor) -> Tensor:
        every = self._maps(picture)
        return torch.cat([*(maps.mean((2, 3)) for maps in every), self._last_state(every[-1])], 1)

    def _last_state(self, maps: Tensor) -> Tensor:
        states, _ = self.layer5(maps.mean(2).transpose(1, 2))
        return states[:, -1]


class Musicnn(Tagger50):
    """musicnn (Pons et al., ISMIR 2018): tall and wide convolutions, then three along time.

    An embedding is the largest and the mean over time of all maps.
    """

    new_layer = "dense2"

    def __init__(self, settings: MusicnnSettings, genres: int, shape: Shape) -> None:
        super().__init__()
        if shape[1] != 96:
            raise Untrainable(f"model musicnn needs data.bins 96, not {shape[1]}")
        width, hidden = (512, 500) if settings.learnt_from == "msd" else (64, 200)
        self.spec_bn = nn.BatchNorm2d(1)
        self.layers = nn.ModuleList(
            [Tall(204, 67), Tall(204, 38), Wide(1, 51, 129), Wide(1, 51, 65), Wide(1, 51, 33)]
        )
        maps = 2 * 204 + 3 * 51
        self.layer1 = Along(maps, width, 7)
        self.layer2 = Along(width, width, 7)
        self.layer3 = Along(width, width, 7)
        self.dense1 = nn.Linear(2 * (maps + 3 * width), hidden)
        self.bn = nn.BatchNorm1d(hidden)
        self.dropout = nn.Dropout(settings.dropout)
        self.dense2 = nn.Linear(hidden, genres)
        self._load(settings)

    def trunk(self, picture: Tensor) -> Tensor:  # (clip, 1, bin, frame) -> (clip, map, 1, x)
        decibels = self._decibels(picture)
        front = torch.cat([layer(decibels) for layer in self.layers], 1)
        first = self.layer1(front)
        second = self.layer2(first) + first
        third = self.layer3(second) + second
        return torch.cat([front, first, second, third], 1).unsqueeze(2)

    def head(self, maps: Tensor) -> Tensor:  # (clip, map, y, x) -> (clip, genre)
        hidden = torch.relu(self.bn(self.dense1(self._pooled(maps))))
        return self.dense2(self.dropout(hidden))

    def embed(self, picture: Tensor) -> Tensor:
        return self._pooled(self.trunk(picture))

    def stages(self) -> list[list[nn.Module]]:
        return [[self.spec_bn, self.layers], [self.layer1], [self.layer2], [self.layer3]]

    def _pooled(self, maps: Tensor) -> Tensor:
        return torch.cat([maps.amax((2, 3)), maps.mean((2, 3))], 1)
