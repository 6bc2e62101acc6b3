"""EfficientNet-B0 (Tan and Le, ICML 2019; seed 000's best model, and one of seed 003's).

Seed 000 does not state the variant, the optimiser or whether ImageNet weights were used; it feeds
three equal channels, here the picture is one channel.
"""

from torch import nn

from gtzan_lightning.classifier import GenreClassifier
from gtzan_lightning.models.backbone import Backbone
from gtzan_lightning.settings import EfficientNetSettings


class EfficientNet(Backbone):
    """timm's ``efficientnet_b0``. (clip, bin, frame) -> (clip, genre)"""

    def __init__(self, settings: EfficientNetSettings, genres: int, bins: int) -> None:
        super().__init__("efficientnet_b0", settings, genres)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = settings.batch_norm_momentum


class EfficientNetClassifier(GenreClassifier):
    """``--model efficientnet``."""

    network_class = EfficientNet
