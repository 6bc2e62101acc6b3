"""navas's transfer learning: networks made for ImageNet under a head of dense layers.

References: Szegedy et al., CVPR 2016; Simonyan and Zisserman, ICLR 2015; Tan and Le,
ICML 2019; He et al., CVPR 2016. The source flattens the trunk's map; the default here is its
average, which a clip of any length has.
"""

import math
from typing import Any

from torch import Tensor, nn

from gtzan_lightning.errors import UserError
from gtzan_lightning.models.backbone import Backbone
from gtzan_lightning.models.layers import dense_layers, initialise_as_keras, map_shape
from gtzan_lightning.recipe.pretrained_settings import OtherTrunkSettings, TransferSettings
from gtzan_lightning.recipe.section import Shape

Counted = tuple[nn.Module, int]  # a part of the trunk, and how many layers of Keras' it is


class Transfer(Backbone):
    """A network of timm's, its last layers trained, under navas's head.

    Where navas's code freezes ``layers[:-n]`` with n = 0 it freezes nothing; here 0 freezes all.
    Its code makes one dense layer more than the number of layers that the text gives.
    ``efficientnet_lite0`` is not navas's: a stand-in for B0 without swish and squeezing.
    """

    def __init__(self, settings: TransferSettings, genres: int, shape: Shape) -> None:
        trunk = settings.trunk if isinstance(settings, OtherTrunkSettings) else settings.name
        timm_name, layers = TRUNKS[trunk]
        super().__init__(timm_name, settings, 0, shape)
        if hasattr(self.net, "pre_logits"):
            self.net.pre_logits = nn.Identity()  # VGG's own dense layers, which the source drops
        if settings.trainable_layers is not None:
            self._freeze(layers(self.net), settings.trainable_layers)
        if len(settings.dropout) not in (1, len(settings.dense)):
            raise UserError(
                f"model.dropout has {len(settings.dropout)} values for {len(settings.dense)} "
                "layers of model.dense: give one, or one each"
            )
        maps, self.flatten = map_shape(_Trunk(self.net), shape), settings.pooling == "flatten"
        flat = math.prod(maps) if self.flatten else maps[0]
        self.dense = dense_layers(
            flat, settings.dense, settings.dropout, settings.activation, settings.batch_norm
        )
        self.out = nn.Linear((flat, *settings.dense)[-1], genres)
        initialise_as_keras(self.dense)
        initialise_as_keras(self.out)

    def head(self, maps: Tensor) -> Tensor:  # (clip, map, y, x) -> (clip, genre)
        pooled = maps.flatten(1) if self.flatten else maps.mean((2, 3))
        return self.out(self.dense(pooled))

    def _freeze(self, counted: list[Counted], trainable: int) -> None:
        after = sum(count for _, count in counted)
        for module, count in counted:
            if after > trainable:
                self.freeze([module])
            after -= count


class _Trunk(nn.Module):
    net: Any  # timm's networks have no class in common

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, picture: Tensor) -> Tensor:
        return self.net.forward_features(picture)


def _vgg_layers(net: Any) -> list[Counted]:
    """The last layer is a pooling without weights.

    navas's best, ``trainable_layers`` 1, trained none of the trunk.
    """
    counted = (nn.Conv2d, nn.MaxPool2d)  # Keras counts no activations
    return [(module, int(isinstance(module, counted))) for module in net.features]


def _inception_layers(net: Any) -> list[Counted]:
    """The last 31, 62 and 82 layers, as in navas, are the last one, two and three mixed blocks.

    A block is trained whole or not at all.
    """
    counts = {"Mixed_7a": 20, "Mixed_7b": 31, "Mixed_7c": 31}
    # blocks before the last three have at least 22 layers in Keras, never trained in part
    parts = ("Conv2d_", "Pool", "Mixed_")  # what follows is this package's head
    return [(m, counts.get(n, 22)) for n, m in net.named_children() if n.startswith(parts)]


def _one_layer(net: Any) -> list[Counted]:
    """navas trained nothing of these trunks."""
    return [(net, 1)]


TRUNKS = {
    "inception": ("inception_v3", _inception_layers),
    "vgg": ("vgg16", _vgg_layers),
    "efficientnet_b0": ("efficientnet_b0", _one_layer),
    "efficientnet_lite0": ("tf_efficientnet_lite0", _one_layer),
    "resnet50": ("resnet50", _one_layer),
}
