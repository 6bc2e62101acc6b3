"""ResNet-50 and ResNet-18 (He et al., CVPR 2016; seeds 000 and 003: 50, seed 004: 18).

Seed 004 fed a colour-mapped 224 x 224 picture of three channels; here the picture is one channel of
its own size.
"""

from gtzan_lightning.classifier import GenreClassifier
from gtzan_lightning.models.backbone import Backbone
from gtzan_lightning.settings import ResNetSettings


class ResNet(Backbone):
    """timm's ``resnet50`` or ``resnet18``. (clip, bin, frame) -> (clip, genre)"""

    def __init__(self, settings: ResNetSettings, genres: int, bins: int) -> None:
        super().__init__(f"resnet{settings.depth}", settings, genres)


class ResNetClassifier(GenreClassifier):
    """``--model resnet``."""

    network_class = ResNet
