"""How a network that has learnt before is trained on: what of it, and how fast."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from torch import nn

from gtzan_lightning.errors import UserError
from gtzan_lightning.models.layers import Trunked
from gtzan_lightning.recipe.fit_settings import FitSettings


def freeze(network: nn.Module, fit: FitSettings) -> None:
    """Freeze what ``fit.trunk`` does not train.

    Raises:
        UserError: the network has no stages, or fewer than are asked for.
    """
    if fit.trunk == "all":
        return
    trunked = _trunked(network)
    stages = trunked.stages()
    trained = 0 if fit.trunk == "frozen" else int(fit.trunk.split()[1])
    if trained > len(stages):
        raise UserError(f"fit.trunk {fit.trunk}: the trunk has {len(stages)} stages")
    trunked.freeze([*chain(*stages[: len(stages) - trained])])


def parameter_groups(network: nn.Module, fit: FitSettings) -> list[dict[str, Any]]:
    """Trained parameters with their learning rate and weight decay, for an optimiser.

    The head learns at ``fit.learning_rate``, the trunk's last stage at ``fit.trunk_rate`` of it,
    each stage before at ``fit.layer_decay`` of the next one's. No biases and no norms decay.
    """
    groups = []
    for rate, parameters in _rates(network, fit):
        for decays in (True, False):
            own = [p for p in parameters if (p.ndim > 1) == decays]
            decay = fit.weight_decay if decays else 0.0
            groups.append({"params": own, "lr": rate * fit.learning_rate, "weight_decay": decay})
    return [group for group in groups if group["params"]]


def _rates(network: nn.Module, fit: FitSettings) -> Iterator[tuple[float, list[nn.Parameter]]]:
    trained = [p for p in network.parameters() if p.requires_grad]
    if fit.trunk_rate == fit.layer_decay == 1:
        yield 1.0, trained
        return
    stages = _trunked(network).stages()
    in_trunk: set[nn.Parameter] = set()
    for number, stage in enumerate(stages):
        own = {p for module in stage for p in module.parameters()}
        in_trunk |= own
        depth = len(stages) - 1 - number
        yield fit.trunk_rate * fit.layer_decay**depth, [p for p in trained if p in own]
    yield 1.0, [p for p in trained if p not in in_trunk]


def _trunked(network: nn.Module) -> Trunked:
    if not isinstance(network, Trunked):
        raise UserError(
            "fit.trunk, trunk_rate and layer_decay need a network with a trunk: leave them out"
        )
    return network
