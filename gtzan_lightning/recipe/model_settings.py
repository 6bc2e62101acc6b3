"""The settings of every model; a class's docstring is the model's line in listings."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from gtzan_lightning.recipe.baseline_settings import (
    KnnSettings,
    LogisticRegressionSettings,
    RandomForestSettings,
    SvmSettings,
)
from gtzan_lightning.recipe.pretrained_settings import (
    EfficientNetSettings,
    EncoderSettings,
    FcnSettings,
    HeardSettings,
    InceptionSettings,
    MnSettings,
    MusicnnSettings,
    OtherTrunkSettings,
    Pretrained,
    ResNetSettings,
    TimmSettings,
    VggSettings,
    WonSettings,
)
from gtzan_lightning.recipe.section import (
    Activation,
    Layers,
    ModelSettings,
    Share,
    Width,
    Widths,
    number,
    part,
)
from gtzan_lightning.recipe.settings import DataSettings

Pool = Annotated[int, Field(ge=1, le=64)]


class SmallCnnSettings(ModelSettings):
    """five 3x3 convolutions: the laptop's choice"""

    source = "this package"
    name: Literal["small_cnn"] = part("small_cnn")
    channels: Widths = part((32, 64, 128, 256, 256))
    """channels of the convolutions; each halves the picture"""
    dropout: Share = part(0.3)
    """dropout before the last layer"""


class CnnSettings(ModelSettings):
    """six convolutions and four dense layers"""

    source = "basak"
    input = (3, 480, 640)
    name: Literal["cnn"] = part("cnn")
    stride: Annotated[Literal[1, 2], BeforeValidator(number)] = part(1)
    """stride of the third and fourth convolution: 2 as published, 1 for small pictures"""
    dropout: Share = part(0.3)
    """dropout after each average pooling"""
    dense_dropout: tuple[Share, Share, Share] = part((0.0, 0.0, 0.0))
    """dropout after each of the three hidden dense layers (0 0 0: as in the printed table)"""


class CnnLstmSettings(ModelSettings):
    """the convolutions of cnn, then two LSTMs"""

    source = "basak"
    input = (3, 480, 640)
    name: Literal["cnn_lstm"] = part("cnn_lstm")
    axis: Literal["time", "frequency"] = part("time")
    """axis of the LSTMs' steps: time, or frequency as published"""
    units: tuple[Width, Width] = part((1000, 500))
    """units of the two LSTMs"""
    dropout: Share = part(0.3)
    """dropout after each average pooling"""
    dense_dropout: Share = part(0.5)
    """dropout after each hidden dense layer"""


class SimpleRnnSettings(ModelSettings):
    """a plain (Elman) RNN over the frames"""

    source = "basak"
    name: Literal["simple_rnn"] = part("simple_rnn")
    units: Width = part(128)
    """units of each layer"""
    layers: Layers = part(2)
    """number of recurrent layers"""
    dropout: Share = part(0.3)
    """dropout between and after the recurrent layers"""


class BbnnSettings(ModelSettings):
    """bottom-up broadcast network of three dense inception blocks (Liu et al. 2019)"""

    source = "basak, Liu et al. 2019"
    input = (1, 128, 647)
    name: Literal["bbnn"] = part("bbnn")
    variant: Literal["paper", "basak"] = part("paper")
    """paper: batch norm, ReLU, convolution; basak: batch norm, convolution, ReLU, and in the stem
    convolution, ReLU, batch norm"""
    pooled: Literal["time", "frequency"] = part("time")
    """axis that the stem pools by 4: time as in the paper, or frequency as in basak's code"""
    filters: Width = part(32)
    """filters of every convolution"""


class SliceCnnSettings(ModelSettings):
    """two or four convolutions, every step of bar_tov's ladder a flag"""

    source = "bar_tov"
    input = (3, 244, 244)
    name: Literal["slice_cnn"] = part("slice_cnn")
    layers: Annotated[Literal[2, 4], BeforeValidator(number)] = part(4)
    """number of convolutions: 2 or 4"""
    initialisation: Literal["torch", "kaiming_xavier"] = part("kaiming_xavier")
    """PyTorch's own, or Kaiming uniform convolutions and Xavier normal dense layers"""
    dropout: Share = part(0.5)
    """dropout after each hidden dense layer"""
    batch_norm: bool = part(True)
    """batch norm after each convolution"""
    log_softmax: bool = part(True)
    """end with log-softmax (without effect, as the loss applies it again)"""


class BaselineCnnSettings(ModelSettings):
    """navas's searched convolutional network"""

    source = "navas"
    input = (3, 256, 256)
    name: Literal["baseline_cnn"] = part("baseline_cnn")
    convolutions: Annotated[int, Field(ge=1, le=8)] = part(4)
    """number of convolutions (searched: 3 to 6)"""
    kernel: Annotated[int, Field(ge=1, le=15)] = part(4)
    """side of the kernels (searched: 3 to 7)"""
    kernels: Width = part(88)
    """channels of every convolution (searched: 16 to 128)"""
    stride: Annotated[int, Field(ge=1, le=4)] = part(2)
    """stride of every convolution (searched: 1 to 3)"""
    activation: Activation = part("swish")
    """activation of all hidden layers"""
    dropout: Share = part(0.131)
    """dropout after each convolution"""
    batch_norm: bool = part(False)
    """batch norm after each convolution"""
    dense: Widths = part((309, 94))
    """widths of the hidden dense layers (searched: 1 to 3 of 10 to 500)"""
    dense_dropout: Share = part(0.293)
    """dropout after each hidden dense layer"""
    dense_batch_norm: bool = part(True)
    """batch norm after each hidden dense layer"""


class FcnCnnSettings(ModelSettings):
    """three convolutions of 32, 64, 128 channels and a dense layer"""

    source = "zhang"
    input = (3, 224, 224)
    name: Literal["fcn_cnn"] = part("fcn_cnn")
    channels: Widths = part((32, 64, 128))
    """channels of the convolutions; each halves the picture"""
    dropout: Share = part(0.25)
    """dropout after each convolution"""
    dense_dropout: Share = part(0.5)
    """dropout after the hidden dense layer"""


class BiGruSettings(ModelSettings):
    """a convolution over time, then a bidirectional GRU of three layers"""

    source = "zhang"
    input = (3, 224, 224)
    name: Literal["bigru"] = part("bigru")
    as_coded: bool = part(False)
    """use the source's axes: a view that mixes time with colour, and a GRU without order in time"""
    units: Width = part(256)
    """units of each direction"""
    layers: Layers = part(3)
    """number of recurrent layers"""
    dropout: Share = part(0.5)
    """dropout before the last layer"""


class ResBiGruSettings(Pretrained):
    """ResNet-18 beside a bidirectional GRU, joined"""

    source = "zhang"
    input = (3, 224, 224)
    name: Literal["res_bigru"] = part("res_bigru")
    as_coded: bool = part(False)
    """use the source's view of the picture, whose steps mix time with colour"""
    units: Width = part(256)
    """units of each direction of the GRU, and width of each branch"""
    dropout: Share = part(0.5)
    """dropout in the ResNet branch and before the last layer"""


class CrnnSettings(WonSettings):
    """four convolutions, then two GRUs over time (Choi et al. 2017)"""

    source = "motyka's general approach, Choi et al. 2017, Won et al. 2020"
    input = (1, 96, 1366)
    name: Literal["crnn"] = part("crnn")
    pretrained: bool = part(False)
    """start from the weights of Won et al. 2020 (downloaded on first use)"""
    variant: Literal["choi", "won"] = part("choi")
    """Choi's network, or that of Won et al. 2020, which has weights; the settings below are of
    Choi's"""
    channels: tuple[Width, Width, Width, Width] = part((64, 128, 128, 128))
    """channels of the convolutions"""
    bin_pools: tuple[Pool, Pool, Pool, Pool] = part((2, 3, 4, 4))
    """bins that each max pooling joins"""
    frame_pools: tuple[Pool, Pool, Pool, Pool] = part((2, 2, 2, 1))
    """frames that each max pooling joins (the paper, on 29 s: 2 3 4 4)"""
    units: Width = part(32)
    """units of each GRU"""
    dropout: Share = part(0.1)
    """dropout after each convolution; after the GRUs it is 0.3"""

    @model_validator(mode="after")
    def _weights_fit(self) -> "CrnnSettings":
        if (self.pretrained or self.weights) and self.variant == "choi":
            raise ValueError("model.variant choi has no weights: take model.variant won")
        return self


class CustomSettings(ModelSettings):
    """a network of your own, given to train() in Python"""

    source = "you"
    name: Literal["custom"] = part("custom")
    title: str = part("custom")
    """its name in tables; networks of the same title and recipe count as seeds of one system"""


_CLASSES: tuple[type[ModelSettings], ...] = (
    EfficientNetSettings, ResNetSettings, InceptionSettings, VggSettings, OtherTrunkSettings,
    TimmSettings, MnSettings, MusicnnSettings, FcnSettings, EncoderSettings,
    SmallCnnSettings, CnnSettings, CnnLstmSettings, SimpleRnnSettings, BbnnSettings,
    SliceCnnSettings, BaselineCnnSettings, FcnCnnSettings, BiGruSettings, ResBiGruSettings,
    CrnnSettings,
    KnnSettings, SvmSettings, LogisticRegressionSettings, RandomForestSettings,
)  # fmt: skip
MODEL_SETTINGS = {cls.model_fields["name"].default: cls for cls in _CLASSES}


def embedding_settings(data: DataSettings) -> HeardSettings:
    """The network of ``data.embedding``."""
    own: dict[str, object] = {"weights": data.embedding_weights}
    if data.embedding == "encoder":
        own = {"hub": data.embedding_weights or ""}
    elif data.embedding == "crnn":
        own["variant"] = "won"
    if data.embedding_learnt_from:
        own["learnt_from"] = data.embedding_learnt_from
    settings = MODEL_SETTINGS[str(data.embedding)].model_validate({"pretrained": True, **own})
    assert isinstance(settings, HeardSettings)
    return settings
