"""Pieces that several architectures share."""

import math
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TypeGuard

import torch
from torch import Tensor, nn

from gtzan_lightning.errors import Untrainable, UserError
from gtzan_lightning.recipe.section import Shape

# weights of one dense layer: navas's largest have 0.9 billion; without pooling a searched network
# may ask for more than any machine holds
LARGEST = 10**9
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "selu": nn.SELU, "swish": nn.SiLU}


# raised when a network's ``embed`` changes, so that what is kept of the former one is not used
EMBEDDINGS = 2


class Trunked(nn.Module):
    """A network in two steps: convolutions that make a map, and what makes logits of the map."""

    trunk: Callable[[Tensor], Tensor]  # (clip, channel, bin, frame) -> (clip, map, y, x)
    head: Callable[[Tensor], Tensor]  # (clip, map, y, x) -> (clip, genre)
    frozen: Sequence[nn.Module] = ()  # what is not trained
    new_layer = ""  # name of the last layer, in networks with weights

    def freeze(self, parts: Sequence[nn.Module]) -> None:
        """Train parts of the network no more; their batch norms keep their statistics."""
        self.frozen = [*self.frozen, *(part.requires_grad_(False) for part in parts)]

    def train(self, mode: bool = True) -> "Trunked":
        """As always, but for what is frozen."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def forward(self, picture: Tensor) -> Tensor:  # (clip, channel, bin, frame) -> (clip, genre)
        return self.head(self.trunk(picture))

    def embed(self, picture: Tensor) -> Tensor:  # (clip, channel, bin, frame) -> (clip, number)
        """What the network makes of a clip before it decides: the map's mean, or more."""
        return self.trunk(picture).mean((2, 3))

    def stages(self) -> list[list[nn.Module]]:
        """The trunk's parts, from the picture to the map; of networks that have weights.

        Raises:
            UserError: it has none.
        """
        raise UserError(
            "fit.trunk, trunk_rate and layer_decay are for networks that can start from weights, "
            "such as mn, fcn, timm and efficientnet: leave them out"
        )


def has_trunk(network: nn.Module) -> TypeGuard[Trunked]:
    """Whether a network, of this class or not, is in those two steps."""
    return hasattr(network, "trunk")


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
    own = chain(trunk.named_parameters(), trunk.named_buffers())
    tensors = {name: torch.empty_like(tensor, device="meta") for name, tensor in own}
    was_training = trunk.training
    trunk.eval()
    maps = torch.func.functional_call(trunk, tensors, (torch.empty(1, *shape, device="meta"),))
    trunk.train(was_training)
    return tuple(maps.shape[1:])


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

    Raises:
        Untrainable: the first layer has more than ``LARGEST`` weights.
    """
    if widths and width * widths[0] > LARGEST:
        raise Untrainable(
            f"a dense layer of {width:,} x {widths[0]:,} weights is too large: take smaller "
            "pictures, larger strides or fewer channels"
        )
    layers: list[nn.Module] = []
    each = list(dropout) * len(widths) if len(dropout) == 1 else list(dropout)
    for out, drop in zip(widths, each, strict=True):
        layers.append(nn.Linear(width, out))
        if batch_norm:
            layers.append(nn.BatchNorm1d(out))
        layers += [ACTIVATIONS[activation](), nn.Dropout(drop)]
        width = out
    return nn.Sequential(*layers)


def flat_head(
    trunk: nn.Module,
    shape: Shape,
    widths: Sequence[int],
    genres: int,
    dropout: Sequence[float],
    activation: str = "relu",
    batch_norm: bool = False,
) -> nn.Sequential:
    """A trunk's whole map, dense layers, logits. (clip, map, y, x) -> (clip, genre)"""
    flat = math.prod(map_shape(trunk, shape))
    dense = dense_layers(flat, widths, dropout, activation, batch_norm)
    return nn.Sequential(nn.Flatten(), dense, nn.Linear((flat, *widths)[-1], genres))


def initialise_as_keras(network: nn.Module) -> None:
    """Draw the weights as Keras does, for systems whose sources are written in it.

    Glorot-uniform kernels, orthogonal recurrent kernels, zero biases, forget gates open (1). With
    PyTorch's own smaller draws a deep stack of ReLUs without batch norm, such as basak's, stays
    at chance. Batch norms keep their weights, which are the same in both.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.RNNBase):
            _initialise_recurrent(module)


def _initialise_recurrent(module: nn.RNNBase) -> None:
    for name, values in module.named_parameters():
        if name.startswith("weight_ih"):
            nn.init.xavier_uniform_(values)
        elif name.startswith("weight_hh"):
            nn.init.orthogonal_(values)
        else:
            nn.init.zeros_(values)
            if isinstance(module, nn.LSTM) and name.startswith("bias_ih"):
                values.data[module.hidden_size : 2 * module.hidden_size] = 1.0


def steps_of(picture: Tensor) -> Tensor:
    """(clip, channel, bin, frame) -> (clip, frame, channel * bin), frames as a network's steps."""
    return picture.flatten(1, 2).transpose(1, 2)


def last_states(states: Tensor) -> Tensor:
    """(clip, step, 2 * units) -> (clip, 2 * units): last of the forward, first of the backward."""
    forward, backward = states.chunk(2, dim=-1)
    return torch.cat([forward[:, -1], backward[:, 0]], dim=1)
