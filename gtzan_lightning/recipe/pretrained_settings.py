"""The settings of networks that may start from weights learnt elsewhere."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from gtzan_lightning.recipe.section import (
    Activation,
    ModelSettings,
    Share,
    Widths,
    file,
    number,
    part,
    place,
)


class FromWeights(ModelSettings):
    """What all networks share that may start from weights."""

    pretrained: bool = part(False)
    """start from timm's ImageNet weights (downloaded on first use)"""
    weights: str | None = file(None)
    """local file of such weights, instead of the download"""

    @property
    def starts_from_weights(self) -> bool:
        """Whether the network has learnt before."""
        return self.pretrained or self.weights is not None


class Pretrained(FromWeights):
    """What all networks made for ImageNet share."""

    preprocessing: Literal["expected", "published", "none"] = part("expected")
    """of colour pictures: as the weights expect, as navas published (a division by 255 too many),
    or none (0 to 1, as zhang published)"""

    @property
    def saw(self) -> str:
        """The pictures that its weights learnt from; or nothing."""
        return "ImageNet" if self.starts_from_weights else ""


class ImageBackbone(Pretrained):
    """A network made for ImageNet, with its own head."""

    dropout: Share = part(0.3)
    """dropout before the last layer"""
    drop_path: Share = part(0.0)
    """stochastic depth"""


class EfficientNetSettings(ImageBackbone):
    """EfficientNet-B0, or -Lite0 by --model.variant lite0 (Tan and Le 2019)"""

    source = "motyka, navas"
    input = (3, 64, 1292)
    name: Literal["efficientnet"] = part("efficientnet")
    variant: Literal["b0", "lite0"] = part("b0")
    """B0, or Lite0: without swish and squeezing, for small devices"""
    batch_norm_momentum: Annotated[float, Field(gt=0, le=1)] | None = part(None)
    """weight of a batch in the running statistics (none: they look back 1.5 epochs, or a tenth of
    a short training, limited to 0.01, the authors' value, and 0.1, PyTorch's)"""


class ResNetSettings(ImageBackbone):
    """ResNet-50, or ResNet-18 by --model.depth 18 (He et al. 2016)"""

    source = "motyka, navas, zhang"
    input = (3, 64, 1292)
    name: Literal["resnet"] = part("resnet")
    depth: Annotated[Literal[18, 50], BeforeValidator(number)] = part(50)
    """number of layers: 18 or 50"""


class TransferSettings(Pretrained):
    """navas's search space: the trainable part of the trunk, and the head."""

    trainable_layers: Annotated[int, Field(ge=0, le=1000)] | None = part(None)
    """number of the trunk's last layers that are trained, counted as in Keras (none: all)"""
    pooling: Literal["flatten", "average"] = part("average")
    """what the head takes from the trunk's map: all of it (flatten, navas) or its average"""
    dense: Widths = part((256,))
    """widths of the head's hidden layers"""
    dropout: Annotated[tuple[Share, ...], Field(max_length=32)] = part((0.2,))
    """dropout after each hidden layer: one value for all, or one per layer"""
    batch_norm: bool = part(False)
    """batch norm in the head, before each activation"""
    activation: Activation = part("relu")
    """activation of the head's hidden layers"""


class InceptionSettings(TransferSettings):
    """InceptionV3 with navas's head (Szegedy et al. 2016)"""

    source = "navas"
    input = (3, 256, 256)
    name: Literal["inception"] = part("inception")


class VggSettings(TransferSettings):
    """VGG16 with navas's head (Simonyan and Zisserman 2015)"""

    source = "navas"
    input = (3, 256, 256)
    name: Literal["vgg"] = part("vgg")


class OtherTrunkSettings(TransferSettings):
    """EfficientNet-B0, -Lite0 or ResNet-50 under navas's head; trained whole or not at all"""

    source = "navas"
    input = (3, 256, 256)
    name: Literal["transfer"] = part("transfer")
    trunk: Literal["efficientnet_b0", "efficientnet_lite0", "resnet50"] = part("efficientnet_b0")
    """the network made for ImageNet; layers count as one: --model.trainable_layers 0 freezes it"""


class TimmSettings(ImageBackbone):
    """any image network of timm"""

    source = "Wightman's timm"
    input = (3, 224, 224)
    name: Literal["timm"] = part("timm")
    network: Annotated[str, Field(pattern=r"^[\w.]+$")] = part("tf_efficientnet_lite0")
    """its name in timm"""

    @property
    def saw(self) -> str:
        """As ``Pretrained``; of other weights than ImageNet's timm's name of them, as CLIP's."""
        of_weights = self.network.partition(".")[2]
        is_imagenet = not of_weights or re.search(r"in(1|12|21|22)k", of_weights)
        return super().saw if is_imagenet else of_weights * self.starts_from_weights


class HeardSettings(FromWeights):
    """What all networks share that learnt from other sounds or music."""

    pretrained: bool = part(True)
    """start from the authors' weights (downloaded on first use)"""
    weights: str | None = place(None)
    """local copy of that download"""

    @property
    def heard(self) -> str:
        """What the weights learnt from, which may hold recordings of the songs here; or nothing."""
        return self.teacher() if self.starts_from_weights else ""

    def teacher(self) -> str:
        """What the authors' weights learnt from."""
        raise NotImplementedError


def _published(width: float) -> float:
    if width not in (0.4, 0.5, 1, 2, 4):
        raise ValueError("should be 0.4, 0.5, 1, 2 or 4")
    return width


class MnSettings(HeardSettings):
    """EfficientAT's MobileNetV3, trained on AudioSet (Schmid et al. 2023)"""

    source = "Schmid et al. 2023"
    input = (1, 128, 1000)
    name: Literal["mn"] = part("mn")
    width: Annotated[float, AfterValidator(_published)] = part(0.4)
    """multiple of MobileNetV3-Large's channels: 0.4, 0.5, 1, 2 or 4"""
    dropout: Share = part(0.2)
    """dropout before the last layer"""

    def expected(self) -> dict[str, Any]:
        """The picture that its weights expect."""
        return KALDI if self.starts_from_weights else {}

    def teacher(self) -> str:
        return "AudioSet"


class WonSettings(HeardSettings):
    """What the music taggers of Won et al. 2020 share."""

    learnt_from: Literal["msd", "jamendo", "mtat"] = part("msd")
    """songs that the weights learnt from: Million Song Dataset, MTG-Jamendo or MagnaTagATune"""

    def expected(self) -> dict[str, Any]:
        """The picture that their weights expect."""
        return HTK if self.starts_from_weights else {}

    def teacher(self) -> str:
        return {"msd": "MSD", "jamendo": "MTG-Jamendo", "mtat": "MagnaTagATune"}[self.learnt_from]


class MusicnnSettings(WonSettings):
    """musicnn: tall and wide convolutions, then along time (Pons et al. 2018)"""

    source = "Pons et al. 2018, Won et al. 2020"
    input = (1, 96, 188)
    name: Literal["musicnn"] = part("musicnn")
    learnt_from: Literal["msd", "jamendo", "mtat"] = part("jamendo")
    """songs that the weights learnt from: Million Song Dataset, MTG-Jamendo or MagnaTagATune; the
    first's network is larger"""
    dropout: Share = part(0.5)
    """dropout before the last layer"""


class FcnSettings(WonSettings):
    """five convolutions that pool 96 bins and 20 seconds to one number each (Choi et al. 2016)"""

    source = "Choi et al. 2016, Won et al. 2020"
    input = (1, 96, 1820)
    name: Literal["fcn"] = part("fcn")
    dropout: Share = part(0.5)
    """dropout before the last layer"""


class EncoderSettings(HeardSettings):
    """any audio encoder of the Hugging Face hub, on waveforms"""

    source = "transformers"
    input = (1, 1, 160000)
    name: Literal["encoder"] = part("encoder")
    hub: str = part("")
    """its name there, or a folder; its code must be transformers' own, and its rate
    data.sample_rate"""
    dropout: Share = part(0.2)
    """dropout before the last layer"""

    def expected(self) -> dict[str, Any]:
        """It makes its own input of the waveform."""
        return RAW

    def teacher(self) -> str:
        return self.hub.rstrip("/").rpartition("/")[2]


# what EfficientAT and Won et al. make of sound, as settings of data.*
KALDI = {
    "features": "kaldi", "sample_rate": 32000, "bins": 128, "n_fft": 1024, "window": 800,
    "hop_length": 320, "f_min": 0.0, "f_max": 15000.0, "picture_size": None,
}  # fmt: skip
HTK = {
    "features": "htk", "sample_rate": 16000, "bins": 96, "n_fft": 512, "window": None,
    "hop_length": 256, "f_min": 0.0, "f_max": 8000.0, "picture_size": None,
}  # fmt: skip
RAW = {"features": "raw"}
