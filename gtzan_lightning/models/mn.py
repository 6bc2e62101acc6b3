"""EfficientAT's MobileNets: MobileNetV3-Large, taught AudioSet by transformers.

Reference: Schmid, Koutini, Widmer, Efficient large-scale audio tagging via transformer-to-CNN
knowledge distillation, ICASSP 2023. torchvision builds the network.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models.mobilenetv3 import (
    InvertedResidual,
    InvertedResidualConfig,
    MobileNetV3,
)
from torchvision.ops import SqueezeExcitation

from gtzan_lightning.models.layers import Trunked
from gtzan_lightning.models.weights import fill, weights_of
from gtzan_lightning.recipe.pretrained_settings import MnSettings
from gtzan_lightning.recipe.section import Shape

RELEASE = "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1"
# width -> mean average precision on AudioSet, by which the authors name their files
PRECISION = {0.4: 432, 0.5: 443, 1: 471, 2: 478, 4: 484}
TAGS = 527  # classes of AudioSet
LAST = "classifier.3."
# Howard et al., Searching for MobileNetV3, ICCV 2019, table 1: channels in, kernel, expanded, out,
# squeeze and excitation, activation (ReLU or hard swish), stride
BLOCKS = [
    (16, 3, 16, 16, False, "RE", 1),
    (16, 3, 64, 24, False, "RE", 2),
    (24, 3, 72, 24, False, "RE", 1),
    (24, 5, 72, 40, True, "RE", 2),
    (40, 5, 120, 40, True, "RE", 1),
    (40, 5, 120, 40, True, "RE", 1),
    (40, 3, 240, 80, False, "HS", 2),
    (80, 3, 200, 80, False, "HS", 1),
    (80, 3, 184, 80, False, "HS", 1),
    (80, 3, 184, 80, False, "HS", 1),
    (80, 3, 480, 112, True, "HS", 1),
    (112, 3, 672, 112, True, "HS", 1),
    (112, 5, 672, 160, True, "HS", 2),
    (160, 5, 960, 160, True, "HS", 1),
    (160, 5, 960, 160, True, "HS", 1),
]


class Mn(Trunked):
    """MobileNetV3-Large of any width on log-mel pictures. (clip, 1, bin, frame) -> (clip, genre)

    Deviation from torchvision's: squeeze and excitation end in a sigmoid, as EfficientAT's do.
    With weights the last layer is new, unless ``tags`` keeps AudioSet's classes. An embedding is
    the means of all stages: linear probe and nearest songs gain by it over the last one's.

    Raises:
        UserError: the weights can't be had or are of another width.
    """

    new_layer = LAST.rstrip(".")

    def __init__(self, settings: MnSettings, genres: int, shape: Shape, tags: bool = False) -> None:
        super().__init__()
        width = settings.width
        squeeze = partial(SqueezeExcitation, scale_activation=nn.Sigmoid)
        net = MobileNetV3(
            [InvertedResidualConfig(*block, dilation=1, width_mult=width) for block in BLOCKS],
            InvertedResidualConfig.adjust_channels(1280, width),
            TAGS if tags else genres,
            partial(InvertedResidual, se_layer=squeeze),
            dropout=settings.dropout,
        )
        first = net.features[0][0]
        net.features[0][0] = nn.Conv2d(shape[0], first.out_channels, 3, 2, 1, bias=False)
        nn.init.kaiming_normal_(net.features[0][0].weight, mode="fan_out")
        self.features, self.classifier = net.features, net.classifier
        if settings.starts_from_weights:
            file = f"mn{round(10 * width):02d}_as_mAP_{PRECISION[width]}.pt"
            weights = _renamed(weights_of(settings, f"{RELEASE}/{file}", file))
            fill(self, weights, None if tags else self.new_layer, f"mn of width {width:g}")

    def trunk(self, picture: Tensor) -> Tensor:  # (clip, channel, bin, frame) -> (clip, map, y, x)
        return self.features(picture)

    def head(self, maps: Tensor) -> Tensor:  # (clip, map, y, x) -> (clip, genre)
        return self.classifier(maps.mean((2, 3)))

    def embed(self, picture: Tensor) -> Tensor:
        maps, means = picture, []
        for layer in self.features:
            maps = layer(maps)
            means.append(maps.mean((2, 3)))
        return torch.cat(means, 1)

    def stages(self) -> list[list[nn.Module]]:
        return [[layer] for layer in self.features]


def _renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """EfficientAT's names -> torchvision's, whose squeezing layers are 1 x 1 convolutions."""
    renamed = {}
    for name, tensor in weights.items():
        if ".conc_se_layers.0." in name:
            name = name.replace(".conc_se_layers.0.", ".")
            tensor = tensor[..., None, None] if name.endswith("weight") else tensor
        for theirs, ours in (("classifier.2.", "classifier.0."), ("classifier.5.", LAST)):
            name = name.replace(theirs, ours)
        renamed[name] = tensor
    return renamed
