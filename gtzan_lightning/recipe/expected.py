"""Pictures that weights expect: laid under what a recipe says of data, and held to it."""

import contextlib
from typing import Any

from pydantic import ValidationError

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.section import ModelSettings
from gtzan_lightning.recipe.settings import DataSettings


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
