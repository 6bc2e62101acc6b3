"""The models: the name (``--model NAME``), where its network is, and the network itself."""

from collections.abc import Mapping
from importlib import import_module

import torch
from torch import Tensor, nn

from gtzan_lightning.data.features import PictureSpec
from gtzan_lightning.errors import Untrainable, UserError
from gtzan_lightning.recipe.section import ModelSettings, Shape

MODELS: dict[str, str] = {
    "efficientnet": "efficientnet:EfficientNet",
    "resnet": "resnet:ResNet",
    "inception": "transfer:Transfer",
    "vgg": "transfer:Transfer",
    "transfer": "transfer:Transfer",
    "timm": "backbone:Timm",
    "mn": "mn:Mn",
    "musicnn": "music_taggers:Musicnn",
    "fcn": "music_taggers:Fcn",
    "encoder": "encoder:Encoder",
    "small_cnn": "small_cnn:SmallCnn",
    "cnn": "cnn:Cnn",
    "cnn_lstm": "cnn:CnnLstm",
    "simple_rnn": "recurrent:SimpleRnn",
    "bbnn": "bbnn:Bbnn",
    "slice_cnn": "slice_cnn:SliceCnn",
    "baseline_cnn": "plain_cnns:BaselineCnn",
    "fcn_cnn": "plain_cnns:FcnCnn",
    "bigru": "recurrent:BiGru",
    "res_bigru": "resnet:ResBiGru",
    "crnn": "recurrent:Crnn",
}
BASELINES = ("knn", "svm", "logistic_regression", "random_forest")  # models/baselines.py


def network_class(name: str) -> type[nn.Module]:
    """The network of a model, made of (settings, genres, shape); only its own file is imported."""
    file, _, cls = MODELS[name].partition(":")
    return getattr(import_module(f"gtzan_lightning.models.{file}"), cls)


def _maker(settings: ModelSettings) -> type[nn.Module]:
    """The network of settings, which may choose among a model's."""
    if getattr(settings, "variant", None) == "won":
        from gtzan_lightning.models.music_taggers import WonCrnn

        return WonCrnn
    return network_class(settings.name)


def check_rate(network: nn.Module, spec: PictureSpec) -> None:
    """Raises UserError for a network on waveforms of another rate."""
    rate = getattr(network, "sample_rate", None)
    if rate not in (None, spec.sample_rate):
        raise UserError(f"data.sample_rate {spec.sample_rate}: the network expects {rate}")


def check_sizes(
    settings: ModelSettings, genres: int, shape: Shape, weights: Mapping[str, Tensor]
) -> None:
    """Whether weights are those of a network, before it is made: it may ask for any memory.

    Raises:
        RuntimeError: a weight is missing or of another size.
    """
    if settings.name == "encoder":  # its sizes are in its own configuration
        return
    with torch.device("meta"):
        own = _maker(settings)(settings, genres, shape).state_dict()
    wrong = [n for n, t in own.items() if n not in weights or weights[n].shape != t.shape]
    if wrong:
        raise RuntimeError(f"{len(wrong)} of {len(own)} weights have other sizes: {min(wrong)}")


def build_network(settings: ModelSettings, genres: int, shape: Shape) -> nn.Module:
    """A network that is known to take pictures of that shape (channel, bin, frame).

    Raises:
        Untrainable: it can't take them.
        UserError: its weights can't be had.
    """
    try:
        network = _maker(settings)(settings, genres, shape).eval()
        with torch.no_grad():
            network(torch.zeros(2, *shape))
    except RuntimeError as error:
        raise Untrainable(
            f"--model {settings.name} can't hold pictures of {shape[1]} bins x {shape[2]} frames "
            f"({' '.join(str(error).split())[:100]}): take longer clips (data.clip_seconds), "
            "more data.bins, or resize them with data.picture_size"
        ) from None
    return network.train()
