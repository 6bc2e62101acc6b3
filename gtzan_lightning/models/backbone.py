"""Networks made for ImageNet, on one-channel pictures. The only file that imports timm."""

import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

import huggingface_hub
import timm
import torch
from torch import Tensor, nn

from gtzan_lightning.errors import UserError
from gtzan_lightning.settings import ImageBackbone


class Backbone(nn.Module):
    """A timm network cut into ``trunk`` (feature map) and ``head`` (pooling, dropout, logits).

    With ImageNet weights the first convolution's kernels are summed over red, green and blue (as
    timm does for one channel), and the last layer is new. Pictures are standardised one by one, so
    they meet the mean 0 and spread 1 that timm's ImageNet weights were trained on.

    Raises:
        UserError: the weights can't be downloaded or read.
    """

    def __init__(self, timm_name: str, settings: ImageBackbone, genres: int) -> None:
        super().__init__()
        self.net = _create(timm_name, settings, genres)

    def trunk(self, picture: Tensor) -> Tensor:  # (clip, bin, frame) -> (clip, channel, y, x)
        pixels = picture.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        return self.net.forward_features(pixels)

    def head(self, maps: Tensor) -> Tensor:  # (clip, channel, y, x) -> (clip, genre)
        return self.net.forward_head(maps)

    def forward(self, picture: Tensor) -> Tensor:  # (clip, bin, frame) -> (clip, genre)
        return self.head(self.trunk(picture))


def _create(timm_name: str, settings: ImageBackbone, genres: int) -> nn.Module:
    overlay = None
    if settings.weights:
        if not Path(settings.weights).is_file():
            raise UserError(f"--model.weights {settings.weights}: no such file")
        overlay = {"file": settings.weights}
    elif settings.pretrained:
        _stay_offline_if_the_hub_is_out_of_reach()
    try:
        net = timm.create_model(
            timm_name,
            pretrained=settings.pretrained or overlay is not None,
            pretrained_cfg_overlay=overlay,
            in_chans=1,
            num_classes=genres,
            drop_rate=settings.dropout,
            drop_path_rate=settings.drop_path,
        )
        if overlay:
            _check_complete(net, timm.models.load_state_dict(settings.weights))
    except Exception as error:
        if not (overlay or settings.pretrained):
            raise
        # timm, the hub client and the file's own format each fail in their own ways
        reason = " ".join(str(error).split())[:200]
        if overlay:
            message = f"--model.weights {settings.weights} are no {timm_name} weights: {reason}"
        else:
            message = (
                f"ImageNet weights of {timm_name} can't be downloaded ({reason}): go online once, "
                "or give a local file with --model.weights FILE, or train from scratch with "
                "--model.pretrained false"
            )
        raise UserError(message) from None
    return net


def _check_complete(net: nn.Module, weights: dict[str, Tensor]) -> None:
    """timm leaves what a file lacks at random values; only the last layer may be new."""
    last = {f"{net.default_cfg['classifier']}.{name}" for name in ("weight", "bias")}
    lacking = set(net.state_dict()) - set(weights) - last
    if lacking:
        raise ValueError(f"{len(lacking)} tensors are not in it, such as {min(lacking)}")


def _stay_offline_if_the_hub_is_out_of_reach() -> None:
    """Take cached weights or fail at once, in place of a minute of retries."""
    if getproxies():
        return  # only the hub's own client knows the way
    hub = urlsplit(huggingface_hub.constants.ENDPOINT)
    port = hub.port or (443 if hub.scheme == "https" else 80)
    try:
        socket.create_connection((hub.hostname, port), timeout=5).close()
    except OSError:
        huggingface_hub.constants.HF_HUB_OFFLINE = True
