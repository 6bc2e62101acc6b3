"""EfficientNet-B0 (Tan and Le, ICML 2019; motyka's best model, and one of navas's).

motyka does not state the variant, the optimiser or whether ImageNet weights were used; it feeds
three equal channels, here the picture is one channel.
"""

from torch import nn

from gtzan_lightning.models.backbone import Backbone
from gtzan_lightning.recipe.pretrained_settings import EfficientNetSettings
from gtzan_lightning.recipe.section import Shape

TIMM = {"b0": "efficientnet_b0", "lite0": "tf_efficientnet_lite0"}


class EfficientNet(Backbone):
    """timm's ``efficientnet_b0`` or ``tf_efficientnet_lite0``.

    (clip, channel, bin, frame) -> (clip, genre)
    """

    def __init__(self, settings: EfficientNetSettings, genres: int, shape: Shape) -> None:
        super().__init__(
            TIMM[settings.variant], settings, genres, shape,
            drop_rate=settings.dropout, drop_path_rate=settings.drop_path,
        )  # fmt: skip
        self.momentum = settings.batch_norm_momentum

    def fit_to_epochs(self, batches: float, epochs: int) -> None:
        """Fit the batch norms' memory to a training of so many epochs of so many batches.

        The authors' 0.01 is for thousands of steps an epoch; with the five of a handful of songs
        the statistics would describe weights of long ago, and evaluation would see one genre. So
        they would at the end of a training of a few hundred steps.
        """
        momentum = self.momentum
        if momentum is None:
            momentum = min(max(1 / (1.5 * batches), 10 / (batches * epochs), 0.01), 0.1)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = momentum
