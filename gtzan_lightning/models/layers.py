"""Pieces that several architectures share."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gtzan_lightning.sections import Shape

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "selu": nn.SELU, "swish": nn.SiLU}


class SameConv2d(nn.Conv2d):
    """A convolution padded as Keras' ``padding="same"``: ceil(size / stride), the odd pixel last.

    PyTorch's own ``padding="same"`` knows no stride.
    """

    def forward(self, picture: Tensor) -> Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(
            picture.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(nn.functional.pad(picture, pads))


def map_shape(trunk: nn.Module, shape: Shape) -> tuple[int, ...]:
    """Shape of what a trunk makes of one picture, without the clip; nothing is computed.

    Raises:
        RuntimeError: the picture is too small for it.
    """
    tensors = {
        **{k: torch.empty_like(v, device="meta") for k, v in trunk.named_parameters()},
        **{k: torch.empty_like(v, device="meta") for k, v in trunk.named_buffers()},
    }
    was_training = trunk.training
    trunk.eval()
    picture = torch.empty(1, *shape, device="meta")
    found = torch.func.functional_call(trunk, tensors, (picture,)).shape[1:]
    trunk.train(was_training)
    return tuple(found)


def dense_layers(
    width: int,
    widths: Sequence[int],
    dropout: Sequence[float],
    activation: str = "relu",
    batch_norm: bool = False,
) -> nn.Sequential:
    """Dense, batch norm, activation, dropout for every width. (clip, width) -> (clip, widths[-1])

    Args:
        dropout: one value for all layers, or one each.
    """
    layers: list[nn.Module] = []
    each = list(dropout) * len(widths) if len(dropout) == 1 else list(dropout)
    for out, drop in zip(widths, each, strict=True):
        layers.append(nn.Linear(width, out))
        if batch_norm:
            layers.append(nn.BatchNorm1d(out))
        layers += [ACTIVATIONS[activation](), nn.Dropout(drop)]
        width = out
    return nn.Sequential(*layers)


def steps_of(picture: Tensor) -> Tensor:
    """(clip, channel, bin, frame) -> (clip, frame, channel * bin), frames as a network's steps."""
    return picture.flatten(1, 2).transpose(1, 2)


def last_states(states: Tensor, units: int) -> Tensor:
    """(clip, step, 2 * units) -> (clip, 2 * units): last of the forward, first of the backward."""
    return torch.cat([states[:, -1, :units], states[:, 0, units:]], dim=1)
