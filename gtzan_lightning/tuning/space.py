"""Search spaces: files that say which settings of a recipe vary, and within what.

base: {model: {pretrained: true}}            # a recipe's sections, laid under every trial
space:
  model.trainable_layers: {int: [0, 8]}      # both included; step: and log: true as well
  fit.learning_rate: {float: [1.0e-5, 0.1], log: true}
  model.activation: [relu, selu, swish]      # one of these
  model.dense: {int: [10, 4098], layers: [0, 4]}           # that many layers of one width
  model.dropout: {float: [0.1, 0.5], layers: 3, each: true} # three layers, a value each
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import Field, ValidationError, model_validator

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.recipes import (
    Recipe,
    build_recipe,
    complaint,
    near,
    read_recipe,
    section_of,
)
from gtzan_lightning.recipe.section import Section
from gtzan_lightning.recipe.settings import TrackSettings

# what decides which songs are tested, or lets a leak in: trials must differ in the model alone
FIXED = (
    "data.corpus", "data.root", "data.split", "data.fractions", "data.valid_fraction",
    "data.folds", "data.fold", "data.split_seed", "data.leave_out", "data.min_seconds",
    "data.synthetic_songs", "data.synthetic_seconds", "data.synthetic_seed", "fit.open_test",
    "model.table", "model.leaky_columns", "model.leaky_id",
)  # fmt: skip
MOST = 100  # parameters of a space
Whole = Annotated[int, Field(strict=True, ge=-(10**9), le=10**9)]
Real = Annotated[float, Field(strict=True, ge=-1e12, le=1e12)]
Layers = Annotated[int, Field(strict=True, ge=0, le=32)]


class Range(Section):
    """What a space says of a number, or of the numbers of several layers."""

    whole: tuple[Whole, Whole] | None = Field(None, alias="int")
    real: tuple[Real, Real] | None = Field(None, alias="float")
    log: bool = False
    step: Annotated[float, Field(strict=True, gt=0, le=1e9)] | None = None
    layers: Layers | tuple[Layers, Layers] | None = None
    each: bool = False

    @model_validator(mode="after")
    def _can_be_drawn(self) -> "Range":
        bounds = self.whole or self.real
        if bounds is None or (self.whole and self.real):
            raise ValueError("one of int and float, and not both")
        ends = self.layers if isinstance(self.layers, tuple) else (0, 0)
        if bounds[0] > bounds[1] or ends[0] > ends[1]:
            raise ValueError("low must not be above high")
        if self.log and (bounds[0] <= 0 or self.step):
            raise ValueError("log needs low above 0, and takes no step")
        if self.whole and self.step and self.step % 1:
            raise ValueError("step of int must be a whole number")
        return self


class Suggests(Protocol):
    """What a space needs of an Optuna trial."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int: ...
    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float: ...
    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


@dataclass(frozen=True)
class Space:
    """A checked space of one model's recipe."""

    model: str
    layers: list[tuple[str, dict[str, Any]]]  # recipes under the trial, as build_recipe takes them
    dimensions: dict[str, list[Any] | Range]  # choices, or what a number may be

    @property
    def text(self) -> str:
        """Equal for equal spaces."""
        plain = {
            name: dimension.model_dump(by_alias=True, exclude_defaults=True)
            if isinstance(dimension, Range)
            else dimension
            for name, dimension in self.dimensions.items()
        }
        return json.dumps([self.model, [layer for _, layer in self.layers], plain])

    @property
    def track(self) -> TrackSettings:
        """Where the trials are recorded, which no trial varies."""
        return self.draw(Corner(0)).track

    def draw(self, trial: Suggests) -> Recipe:
        """The recipe that a trial proposes; the test part stays closed."""
        given: dict[str, Any] = {}
        for name, dimension in self.dimensions.items():
            section, _, key = name.partition(".")
            given.setdefault(section, {})[key] = _suggest(trial, name, dimension)
        closed = {"open_test": False, "score_train": False, "resumable": False}
        given["fit"] = {**given.get("fit", {}), **closed}
        given["track"] = {**given.get("track", {}), "log_model": False}
        recipe = build_recipe(self.model, self.layers, given)
        return recipe.model_copy(update={"tuned_on": f"{recipe.data.split}, valid"})


def read_space(
    file: Path, model: str, layers: list[tuple[str, dict[str, Any]]], flags: dict[str, Any]
) -> Space:
    """Read and check a space: names, kinds, and that its corners are recipes.

    Args:
        layers: recipes that lie under the space's own base.
        flags: settings given on the command line, over all of them.

    Raises:
        UserError: says the file and what is wrong.
    """
    content = read_recipe(file)
    dimensions = content.get("space")
    if set(content) - {"base", "space"} or not isinstance(dimensions, dict) or not dimensions:
        needs = "needs a section 'space' with parameters (and may have 'base')"
        raise UserError(f"space {file} {needs}")
    if len(dimensions) > MOST or not isinstance(content.get("base") or {}, dict):
        needs = f"takes {MOST} parameters at most, and a 'base' of sections with keys"
        raise UserError(f"space {file} {needs}")
    checked = {name: _checked(file, model, name, given) for name, given in dimensions.items()}
    under = [*layers, (str(file), content.get("base") or {}), ("", flags)]
    space = Space(model, under, checked)
    for end in (0, -1):
        space.draw(Corner(end))
    return space


def _checked(file: Path, model: str, name: object, dimension: object) -> list[Any] | Range:
    section, _, key = str(name).partition(".")
    cls = section_of(section, model)
    if cls is None or key not in cls.model_fields:
        known = [
            f"{part}.{field}"
            for part in ("model", "data", "augment", "fit")
            if (settings := section_of(part, model))
            for field in settings.model_fields
        ]
        raise UserError(f"space {file}: unknown parameter {name!r}{near(name, known)}")
    if name in FIXED:
        raise UserError(
            f"space {file}: {name} decides which songs are tested or what leaks, so that trials "
            "could not be compared: give it as a flag, for all of them"
        )
    if isinstance(dimension, list) and dimension:
        return dimension
    if not isinstance(dimension, dict):
        raise UserError(
            f"space {file}: {name} must be a list of choices, or int: or float: with bounds (and "
            "log, step, layers, each)"
        )
    try:
        return Range.model_validate(dimension)
    except ValidationError as error:
        raise UserError(
            f"space {file}: {name} needs int: [low, high] or float: [low, high] (and may have "
            f"log, step, layers, each): {complaint(error)}"
        ) from None


def _suggest(trial: Suggests, name: str, dimension: list[Any] | Range) -> Any:
    if isinstance(dimension, list):
        # Optuna's categories are plain values: a list of layers is named by its text
        texts = {json.dumps(choice): choice for choice in dimension}
        return texts[trial.suggest_categorical(name, list(texts))]
    count = dimension.layers
    if count is None:
        return _number(trial, name, dimension)
    if isinstance(count, tuple):
        count = trial.suggest_int(f"{name}.layers", *count, step=1, log=False)
    if dimension.each:
        return [_number(trial, f"{name}.{n + 1}", dimension) for n in range(count)]
    return [_number(trial, name, dimension)] * count


def _number(trial: Suggests, name: str, number: Range) -> float:
    if number.whole is not None:
        low, high = number.whole
        return trial.suggest_int(name, low, high, step=int(number.step or 1), log=number.log)
    assert number.real is not None  # _can_be_drawn
    return trial.suggest_float(name, *number.real, step=number.step, log=number.log)


class Corner:
    """Proposes the first or last of everything, to see whether the recipe allows it."""

    def __init__(self, end: int) -> None:
        self.end = end

    def suggest_int(self, name: str, low: int, high: int, **how: Any) -> int:
        return (low, high)[self.end]

    def suggest_float(self, name: str, low: float, high: float, **how: Any) -> float:
        return (low, high)[self.end]

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return choices[self.end]
