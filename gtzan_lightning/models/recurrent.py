"""Networks that walk along a clip's frames: basak, zhang and Choi et al. 2017."""

from torch import Tensor, nn

from gtzan_lightning.models.layers import (
    Trunked,
    initialise_as_keras,
    last_states,
    map_shape,
    steps_of,
)
from gtzan_lightning.recipe.model_settings import BiGruSettings, CrnnSettings, SimpleRnnSettings
from gtzan_lightning.recipe.section import Shape


class SimpleRnn(nn.Module):
    """A plain tanh RNN over the frames (Elman 1990).

    basak names it and calls it inaccurate, without a number, a size or code: units and layers
    are ours.
    """

    def __init__(self, settings: SimpleRnnSettings, genres: int, shape: Shape) -> None:
        super().__init__()
        drop = settings.dropout if settings.layers > 1 else 0.0
        self.rnn = nn.RNN(
            shape[0] * shape[1], settings.units, settings.layers, batch_first=True, dropout=drop
        )
        self.dropout = nn.Dropout(settings.dropout)
        self.out = nn.Linear(settings.units, genres)
        initialise_as_keras(self)

    def forward(self, picture: Tensor) -> Tensor:  # (clip, channel, bin, frame) -> (clip, genre)
        states, _ = self.rnn(steps_of(picture))
        return self.out(self.dropout(states[:, -1]))


class BiGru(nn.Module):
    """Convolution over time, bidirectional GRU, dense 256 (zhang).

    Intended, and the default: frames are the steps, (clip, channel * bin, frame). As coded
    (4,272,394 parameters on 224 x 224 x 3): the picture (channel, width, height) is *viewed* as
    224 rows of 672, so that a row is three neighbouring columns of one colour, and the rows are the
    convolution's channels: the GRU walks over 512 learned mixtures, without any order in time. As
    in the source, no activation stands between the two dense layers.
    """

    def __init__(self, settings: BiGruSettings, genres: int, shape: Shape) -> None:
        super().__init__()
        channels, bins, frames = shape
        self.as_coded = settings.as_coded
        rows, width = (frames, channels * bins) if self.as_coded else (channels * bins, 512)
        self.convolution = nn.Conv1d(rows, 512, 3, padding=1)
        self.gru = nn.GRU(
            width, settings.units, settings.layers, batch_first=True, bidirectional=True
        )
        self.hidden = nn.Linear(2 * settings.units, 256)
        self.dropout = nn.Dropout(settings.dropout)
        self.out = nn.Linear(256, genres)

    def forward(self, picture: Tensor) -> Tensor:  # (clip, channel, bin, frame) -> (clip, genre)
        if self.as_coded:
            steps = self.convolution(scrambled(picture))
        else:
            steps = self.convolution(picture.flatten(1, 2)).transpose(1, 2)
        states, _ = self.gru(steps)
        return self.out(self.dropout(self.hidden(last_states(states))))


def scrambled(picture: Tensor) -> Tensor:
    """zhang's view of a picture: (clip, channel, bin, frame) -> (clip, frame, channel * bin).

    The numbers of the second shape are read in the order of (channel, frame, bin), without a
    transposition between the two.
    """
    clips, channels, bins, frames = picture.shape
    return picture.transpose(2, 3).reshape(clips, frames, channels * bins)


class Crnn(Trunked):
    """Batch norm over the bins, four convolutions, two GRUs over time (Choi et al., ICASSP 2017).

    motyka's "general approach" is such a figure without numbers: convolutions under an LSTM or
    under dense layers. Nothing of it is published; Choi's network stands for the first kind.
    Deviations: the paper's clips have 29 s and its pools join 96 frames; ours join fewer, so that
    a short clip keeps steps for the GRU. The last layer gives logits of genres in place of 50 tags.
    """

    def __init__(self, settings: CrnnSettings, genres: int, shape: Shape) -> None:
        super().__init__()
        channels, bins, _ = shape
        self.norm = nn.BatchNorm1d(channels * bins)
        layers: list[nn.Module] = []
        size = list(shape[1:])
        pools = zip(settings.bin_pools, settings.frame_pools, strict=True)
        for out, pool in zip(settings.channels, pools, strict=True):
            kept = [min(p, side) for p, side in zip(pool, size, strict=True)]
            layers += [
                nn.Conv2d(channels, out, 3, padding=1),
                nn.BatchNorm2d(out),
                nn.ELU(inplace=True),
                nn.MaxPool2d((kept[0], kept[1])),
                nn.Dropout(settings.dropout),
            ]
            size = [side // p for side, p in zip(size, kept, strict=True)]
            channels = out
        self.convolutions = nn.Sequential(*layers)
        channels, height, _ = map_shape(self.convolutions, shape)
        self.gru = nn.GRU(channels * height, settings.units, 2, batch_first=True)
        self.dropout = nn.Dropout(0.3)
        self.out = nn.Linear(settings.units, genres)
        initialise_as_keras(self)

    def trunk(self, picture: Tensor) -> Tensor:  # (clip, channel, bin, frame) -> (clip, map, y, x)
        return self.convolutions(self.norm(picture.flatten(1, 2)).view_as(picture))

    def head(self, maps: Tensor) -> Tensor:  # (clip, map, y, x) -> (clip, genre)
        states, _ = self.gru(steps_of(maps))
        return self.out(self.dropout(states[:, -1]))
