"""Networks made for ImageNet, on pictures of sound. The only file that imports timm."""

import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import huggingface_hub
import timm
import torch
from timm.models import group_modules
from torch import Tensor, nn

from gtzan_lightning.errors import UserError, in_a_line
from gtzan_lightning.models.layers import Trunked
from gtzan_lightning.models.weights import read_weights
from gtzan_lightning.recipe.pretrained_settings import Pretrained, TimmSettings
from gtzan_lightning.recipe.recipes import near
from gtzan_lightning.recipe.section import Shape


class Backbone(Trunked):
    """A timm network cut into ``trunk`` (feature map) and ``head`` (pooling, dropout, logits).

    With ImageNet weights and one channel the first convolution's kernels are summed over red,
    green and blue (as timm does), and the last layer is new. Pictures of one channel are
    standardised one by one, so they meet the mean 0 and spread 1 that timm's weights were trained
    on; colours between 0 and 1 get the mean and spread that the weights expect.

    Raises:
        UserError: the weights can't be downloaded or read.
    """

    net: Any  # timm's networks have no class in common
    mean: Tensor
    spread: Tensor

    def __init__(
        self, timm_name: str, settings: Pretrained, genres: int, shape: Shape, **more: float
    ) -> None:
        super().__init__()
        self.net = _create(timm_name, settings, genres, shape[0], more)
        self.coloured = shape[0] == 3
        mean, spread = _expected(self.net, settings.preprocessing)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("spread", spread, persistent=False)

    def trunk(self, picture: Tensor) -> Tensor:  # (clip, channel, bin, frame) -> (clip, map, y, x)
        if self.coloured:
            picture = (picture - self.mean) / self.spread
        return self.net.forward_features(picture.contiguous(memory_format=torch.channels_last))

    def head(self, maps: Tensor) -> Tensor:  # (clip, map, y, x) -> (clip, genre)
        return self.net.forward_head(maps)

    def stages(self) -> list[list[nn.Module]]:
        """timm's own coarse groups; what belongs to the classifier is none of the trunk."""
        modules = dict(self.net.named_modules())
        last = set(self.net.get_classifier().modules())
        groups = group_modules(self.net, self.net.group_matcher(coarse=True)).values()
        stages = [[modules[name] for name in names] for names in groups]
        own = [[module for module in stage if module not in last] for stage in stages]
        return [stage for stage in own if stage]


class Timm(Backbone):
    """Any image network of timm. (clip, channel, bin, frame) -> (clip, genre)

    Raises:
        UserError: timm has no network of that name, or it takes no pictures of any size.
    """

    def __init__(self, settings: TimmSettings, genres: int, shape: Shape) -> None:
        if not timm.is_model(settings.network):
            hint = near(settings.network, timm.list_models()) or ": see timm.list_models()"
            raise UserError(f"model.network {settings.network}: timm has no such network{hint}")
        rates = {"drop_rate": settings.dropout, "drop_path_rate": settings.drop_path}
        super().__init__(settings.network, settings, genres, shape, **rates)


def _expected(net: Any, preprocessing: str) -> tuple[Tensor, Tensor]:
    """(1, channel, 1, 1) mean and spread that turn colours in [0, 1] into the network's input.

    navas divided by 255 and stopped there. Keras' EfficientNet divides by 255 again, ResNet and
    VGG take 0 to 255 less the mean: what reached them is, in our units, the colour over 255 (less
    the mean for EfficientNet). Keras' InceptionV3 takes -1 to 1 and got its upper half.
    """
    mean, spread = (torch.tensor(net.pretrained_cfg[key]) for key in ("mean", "std"))
    if preprocessing == "none":  # zhang: 0 to 1
        mean, spread = torch.zeros(3), torch.ones(3)
    elif preprocessing == "published":
        family = net.pretrained_cfg["architecture"]
        if family.startswith("inception"):
            mean, spread = torch.zeros(3), torch.ones(3)
        elif "efficientnet" in family:  # Lite0's is called tf_efficientnet_lite0
            mean, spread = mean * 255, spread * 255
        else:
            mean, spread = torch.zeros(3), spread * 255
    return mean.view(1, 3, 1, 1), spread.view(1, 3, 1, 1)


def _create(
    timm_name: str, settings: Pretrained, genres: int, channels: int, more: dict[str, Any]
) -> nn.Module:
    overlay = None
    if settings.weights:
        read_weights(Path(settings.weights))  # before timm does, which checks less
        overlay = {"file": settings.weights}
    elif settings.pretrained:
        _stay_offline_if_the_hub_is_out_of_reach()
    try:
        net = timm.create_model(
            timm_name,
            pretrained=settings.pretrained or overlay is not None,
            pretrained_cfg_overlay=overlay,
            in_chans=channels,
            num_classes=genres,
            **more,
        )
        if settings.weights:
            _check_complete(net, timm.models.load_state_dict(settings.weights))
    except Exception as error:
        if not (overlay or settings.pretrained):
            raise
        # timm, the hub client and the file's own format each fail in their own ways
        reason = in_a_line(error)
        raise UserError(
            f"model.weights {settings.weights} are no {timm_name} weights: {reason}"
            if overlay
            else f"ImageNet weights of {timm_name} can't be downloaded ({reason}): go online once, "
            "or give a local file with model.weights FILE, or train from scratch with "
            "model.pretrained false"
        ) from None
    return net


def _check_complete(net: Any, weights: dict[str, Tensor]) -> None:
    """timm leaves what a file lacks at random values; only the last layer may be new."""
    classifier = net.default_cfg["classifier"]
    last = {f"{classifier}.{name}" for name in ("weight", "bias")}
    lacking = set(net.state_dict()) - set(weights) - last
    if lacking:
        raise ValueError(f"{len(lacking)} tensors are not in it, such as {min(lacking)}")


def _stay_offline_if_the_hub_is_out_of_reach() -> None:
    """Take cached weights or fail at once, in place of a minute of retries."""
    if not hub_answers():
        huggingface_hub.constants.HF_HUB_OFFLINE = True


def hub_answers() -> bool:
    """Whether somebody listens at the hub's address; behind a proxy nobody knows, so yes."""
    if getproxies():
        return True  # only the hub's own client knows the way
    hub = urlsplit(huggingface_hub.constants.ENDPOINT)
    port = hub.port or (443 if hub.scheme == "https" else 80)
    try:
        socket.create_connection((hub.hostname, port), timeout=5).close()
    except OSError:
        return False
    return True


def with_kept_weights() -> list[str]:
    """Names on the hub of the networks of timm whose weights are in the hub's own cache."""
    try:
        kept = huggingface_hub.scan_cache_dir().repos
    except huggingface_hub.CacheNotFound:
        return []
    return sorted(of.repo_id for of in kept if of.repo_id.startswith("timm/") and of.size_on_disk)
