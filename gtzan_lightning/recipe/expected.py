"""What a recipe says of some runs alone, and the picture that weights expect."""

import contextlib
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.section import ModelSettings
from gtzan_lightning.recipe.settings import DataSettings

Layer = tuple[str, dict[str, Any]]  # where a recipe was read, and its nested values


def with_conditions(layers: list[Layer]) -> list[Layer]:
    """Layers with what they say of some runs alone, where the run is one of these.

    ``from_weights`` is of networks that start from weights, ``when_quick`` of trials of minutes.

    Raises:
        UserError: these are no sections.
    """
    model: dict[str, Any] = {}
    for _, layer in layers:
        own = layer.get("model")
        model |= own if isinstance(own, dict) else {}
    starts = str(model.get("pretrained", False)).lower() == "true" or model.get("weights")
    is_quick = any(layer.get("quick") for _, layer in layers)
    holds = {"from_weights": starts, "when_quick": is_quick}
    laid: list[Layer] = []
    for where, layer in layers:
        laid.append((where, {k: v for k, v in layer.items() if k not in holds}))
        for name in holds:
            if not isinstance(layer.get(name, {}), dict):
                raise UserError(f"recipe {where}: {name} must be sections with keys, such as fit:")
            laid += [(where, layer[name])] if holds[name] and name in layer else []
    return laid


def origin(place: Sequence[str], layers: Sequence[Layer]) -> str:
    """Such as ``recipe FILE: ``: the last recipe that gives a setting; "" of a flag or of none.

    Args:
        place: section and name.
    """
    key, *name = place[:2] or [""]
    for where, layer in reversed(layers):
        section = layer.get(key)
        if key in layer and (not name or not isinstance(section, dict) or name[0] in section):
            return f"recipe {where}: " if where else ""
    return ""


def with_expected(
    cls: type[ModelSettings], model: dict[str, Any], data: dict[str, Any]
) -> dict[str, Any]:
    """A recipe's data section over the picture that its weights expect.

    Raises:
        UserError: the section asks for another picture.
    """
    expected = _expected(cls, model, data)
    for name, value in expected.items():
        # said before bounds, which depend on one another, are checked
        if name in data and str(data[name]) not in (str(value), _short(value)):
            raise UserError(unexpected(name, data[name], value))
    return {**expected, **data}


def unexpected(name: str, given: object, wanted: object) -> str:
    """What to say of a setting that the weights refuse."""
    word = "none" if wanted is None else _short(wanted)
    return f"data.{name} {given}: the weights of the network expect {word}: leave it out"


def _expected(
    cls: type[ModelSettings], model: dict[str, Any], data: dict[str, Any]
) -> dict[str, Any]:
    """Of sections that may be wrong elsewhere, which is said when they are checked."""
    with contextlib.suppress(ValidationError):
        if expected := cls.model_validate(model).expected():
            return expected
    chosen = {name: data[name] for name in ("features", "embedding") if name in data}
    with contextlib.suppress(ValidationError):
        return DataSettings.model_validate(chosen).expected()
    return {}


def _short(value: object) -> str:
    """A number as the command line may give it."""
    return f"{value:g}" if isinstance(value, float) else str(value)
