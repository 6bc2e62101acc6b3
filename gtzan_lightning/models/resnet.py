"""ResNet-50 and ResNet-18 (He et al., CVPR 2016; motyka and navas: 50, zhang: 18), and
zhang's Res-BiGRU, which is a ResNet-18 beside a GRU."""

import torch
from torch import Tensor, nn

from gtzan_lightning.models.backbone import Backbone
from gtzan_lightning.models.layers import last_states, steps_of
from gtzan_lightning.models.recurrent import scrambled
from gtzan_lightning.recipe.model_settings import ResBiGruSettings
from gtzan_lightning.recipe.pretrained_settings import ResNetSettings
from gtzan_lightning.recipe.section import Shape


class ResNet(Backbone):
    """timm's ``resnet50`` or ``resnet18``. (clip, channel, bin, frame) -> (clip, genre)

    motyka repeats its gray picture in three channels; ours has one, which is the same but for the
    first convolution's number of weights.
    """

    def __init__(self, settings: ResNetSettings, genres: int, shape: Shape) -> None:
        super().__init__(
            f"resnet{settings.depth}", settings, genres, shape,
            drop_rate=settings.dropout, drop_path_rate=settings.drop_path,
        )  # fmt: skip


class ResBiGru(nn.Module):
    """ResNet-18 and a bidirectional GRU side by side, 256 numbers each, joined (zhang).

    As coded, on 224 x 224 x 3, 12,874,314 parameters, of which 1,024 belong to a batch norm that
    the source makes and never uses; it is kept there, frozen, so that the count can be compared.
    The map is averaged, as ResNet does: the source's max pool comes after that and does nothing.
    By default the GRU's steps are frames; as coded they are ``scrambled``. The source's pictures
    are not brought to ImageNet's mean and spread; ours are, unless ``preprocessing: none`` leaves
    them between 0 and 1.
    """

    def __init__(self, settings: ResBiGruSettings, genres: int, shape: Shape) -> None:
        super().__init__()
        channels, bins, _ = shape
        self.as_coded = settings.as_coded
        self.resnet = Backbone("resnet18", settings, 0, shape)
        self.squeeze = nn.Sequential(
            nn.Linear(512, settings.units),
            nn.Dropout(settings.dropout),
            nn.BatchNorm1d(settings.units),
        )
        self.gru = nn.GRU(channels * bins, settings.units, batch_first=True, bidirectional=True)
        self.states = nn.Linear(2 * settings.units, settings.units)
        self.dropout = nn.Dropout(settings.dropout)
        self.out = nn.Linear(2 * settings.units, genres)
        nn.init.xavier_uniform_(self.out.weight)
        if self.as_coded:
            self.unused = nn.BatchNorm1d(512).requires_grad_(False)

    def forward(self, picture: Tensor) -> Tensor:  # (clip, channel, bin, frame) -> (clip, genre)
        maps = self.resnet.trunk(picture).mean((2, 3))
        steps = scrambled(picture) if self.as_coded else steps_of(picture)
        states = self.states(last_states(self.gru(steps)[0]))
        return self.out(self.dropout(torch.cat([self.squeeze(maps), states], dim=1)))
