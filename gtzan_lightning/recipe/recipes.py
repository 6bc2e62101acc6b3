"""Recipes: everything a run is made from.

Each overrides those before it: defaults, ``models/MODEL.yaml``, every ``--config``, the flags.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Union

import yaml
from pydantic import Field, ValidationError, model_validator

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.baseline_settings import ClassicalSettings
from gtzan_lightning.recipe.bounded import yaml_of
from gtzan_lightning.recipe.expected import (
    Layer,
    origin,
    unexpected,
    with_conditions,
    with_expected,
)
from gtzan_lightning.recipe.fit_settings import FitSettings
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS, CustomSettings
from gtzan_lightning.recipe.section import ModelSettings, Section, Seed, part, place
from gtzan_lightning.recipe.settings import AugmentSettings, DataSettings, TrackSettings

MODEL_RECIPES = Path(__file__).parent / "models"
SECTIONS: dict[str, type[Section]] = {
    "data": DataSettings,
    "augment": AugmentSettings,
    "fit": FitSettings,
    "track": TrackSettings,
}
_ANY_MODEL: dict[str, type[ModelSettings]] = {**MODEL_SETTINGS, "custom": CustomSettings}


class Recipe(Section):
    """Everything a run is made from; the same recipe and songs give the same scores.

    ``Recipe.load`` makes one. Every section is required, so that a recipe written by hand cannot
    train a model with plain defaults in place of the model's own recipe.
    """

    model: Annotated[Union[tuple(_ANY_MODEL.values())], Field(discriminator="name")]  # type: ignore[valid-type]  # noqa: UP007
    data: DataSettings
    augment: AugmentSettings
    fit: FitSettings
    track: TrackSettings
    seed: Seed = place(0)
    """seed of weights, clips, augmentation and dropout"""
    tuned_on: str = place("")
    """songs on which these settings were chosen, such as "filtered, valid"; tables say it"""
    quick: bool = part(False)
    """a trial of minutes (--quick): tables mark it"""

    @model_validator(mode="after")
    def _picture_as_expected(self) -> "Recipe":
        expected = {**self.data.expected(), **self.model.expected()}
        for name, value in expected.items():
            if getattr(self.data, name) != value:
                raise ValueError(unexpected(name, getattr(self.data, name), value))
        if self.data.embedding and not isinstance(self.model, ClassicalSettings):
            raise ValueError(
                "data.features embedding is for knn, svm, logistic_regression and random_forest: "
                f"a network learns from sound, as --model {self.data.embedding} does"
            )
        return self

    @model_validator(mode="after")
    def _registers_a_network(self) -> "Recipe":
        if self.track.register and isinstance(self.model, ClassicalSettings | CustomSettings):
            raise ValueError(f"track.register: a model is logged of networks, not {self.title}")
        return self

    @property
    def title(self) -> str:
        """What tables call the model."""
        return getattr(self.model, "title", self.model.name)

    @classmethod
    def load(
        cls,
        model: str,
        settings: Mapping[str, Any] | None = None,
        configs: Sequence[str | Path] = (),
    ) -> "Recipe":
        """The recipe of ``run.py --model MODEL``, with the same names for the same settings.

        Args:
            model: a name that ``run.py --list models`` prints; or ``custom``, for a network of
                your own, on the package's plain defaults.
            settings: laid over everything, such as ``{"data.root": "songs", "seed": 1}``.
            configs: recipe files laid over the model's own, in their order.

        Raises:
            UserError: an unknown model or setting, a value out of bounds, a file that is no recipe.
        """
        given = [(str(file), read_recipe(Path(file))) for file in configs]
        return build_recipe(model, layers_of(model, given), nested(settings or {}))


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """``section.name`` -> value as section -> name -> value."""
    sections: dict[str, Any] = {}
    for flag, value in settings.items():
        section, dot, name = flag.partition(".")
        if dot:
            sections.setdefault(section, {})[name] = value
        else:
            sections[flag] = value
    return sections


def own_recipe(model: str) -> list[Layer]:
    """The recipe that a model of the package has, as a layer.

    Raises:
        UserError: no such model, or its recipe is not installed.
    """
    if model == "custom":
        return []
    if str(model) not in MODEL_SETTINGS:
        hint = near(model, MODEL_SETTINGS) or f": there are {', '.join(MODEL_SETTINGS)}"
        raise UserError(f"unknown model {model!r}{hint}")
    file = MODEL_RECIPES / f"{model}.yaml"
    return [(str(file), read_recipe(file))]


def layers_of(model: str, given: list[Layer]) -> list[Layer]:
    """The model's own recipe and those that are given, in the order in which they are laid.

    A recipe that says ``base: plain`` is whole by itself: it lies over the package's plain
    defaults, and the model's own recipe, which may have been tuned, is left out.

    Raises:
        UserError: as ``own_recipe`` does; or a base that there is not.
    """
    bases = [layer.get("base", "model") for _, layer in given]
    for base, (where, _) in zip(bases, given, strict=True):
        if base not in ("plain", "model"):
            raise UserError(f"recipe {where}: base is plain or model, not {base!r}")
    own = own_recipe(model)
    layers = [(where, {k: v for k, v in layer.items() if k != "base"}) for where, layer in given]
    return layers if "plain" in bases else [*own, *layers]


def interrupted_recipe(track_folder: str, run_id: str, open_test: bool = False) -> Recipe:
    """The recipe of a run that is to be resumed, from its folder.

    Args:
        open_test: measure it on the test part too, also if it is complete but for that.

    Raises:
        UserError: no such run, it is complete, or it is of a version with other settings.
    """
    folder = Path(track_folder) / "runs" / run_id
    if not re.fullmatch(r"[\w-]{1,64}", run_id) or not (folder / "recipe.yaml").exists():
        raise UserError(f"there is no run to resume at {folder}: gtzan runs lists them")
    values = read_recipe(folder / "recipe.yaml")
    try:
        values["track"] = {**values.get("track", {}), "folder": track_folder}  # it may have moved
        recipe = stored_recipe(values)
        opens = open_test and not recipe.fit.open_test
        if (folder / "done").exists() and not opens:
            raise UserError(f"run {folder.name} is complete: there is nothing to resume")
        fit = recipe.fit.model_copy(update={"open_test": open_test or recipe.fit.open_test})
        return recipe.model_copy(update={"fit": fit})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = complaint(error) if isinstance(error, ValidationError) else str(error)
        raise UserError(f"run {run_id} is of another version: {why}") from None


def stored_recipe(values: dict[str, Any]) -> Recipe:
    """The recipe that a run or a checkpoint keeps, of this or an earlier version.

    Raises:
        ValidationError, KeyError, TypeError: of a version with other settings.
    """
    model, data, fit = (dict(values[section]) for section in ("model", "data", "fit"))
    if model.get("variant") == "seed_001":  # the sources had numbers before they had names
        model["variant"] = "basak"
    if model["name"] == "cnn" and isinstance(model.get("dense_dropout"), float):
        model["dense_dropout"] = [model["dense_dropout"]] * 3
    if "fixed_windows" in data:
        data["windows"] = "once" if data.pop("fixed_windows") else "random"
    if "test" in fit:  # the test part was once open unless told otherwise
        fit["open_test"] = fit.pop("test")
    values = {**values, "model": model, "data": data, "fit": fit}
    return Recipe.model_validate(values)


def read_recipe(path: Path) -> dict[str, Any]:
    """A recipe file as nested dicts; UserError if it is none."""
    recipe = yaml_of(path, "recipe")
    if not isinstance(recipe, dict | None):
        raise UserError(f"recipe {path} must be sections with keys, such as 'fit:'")
    return recipe or {}


def build_recipe(model: str, layers: list[Layer], flags: dict[str, Any]) -> Recipe:
    """Lay recipes and flags over the defaults and check everything once."""
    merged: dict[str, Any] = {}
    laid = with_conditions([*layers, ("", flags)])
    for where, layer in laid:
        for key, value in layer.items():
            if key == "model" and isinstance(value, str):
                value = {"name": value}
            if isinstance(value, dict):
                # a recipe of another model still gives its data, augment and fit sections
                if key == "model" and value.get("name", model) != model:
                    continue
                merged[key] = {**merged.get(key, {}), **value}
            else:
                merged[key] = value
        _check_keys(merged, model, where)
    merged["model"] = {**merged.get("model", {}), "name": model}
    merged["data"] = with_expected(_ANY_MODEL[model], merged["model"], merged.get("data", {}))
    try:
        return Recipe.model_validate({**{name: {} for name in SECTIONS}, **merged})
    except ValidationError as error:
        place = [str(word) for word in error.errors()[0]["loc"] if word not in _ANY_MODEL]
        raise UserError(f"{origin(place, laid)}{complaint(error)}") from None


def with_settings(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """The recipe with other values, such as ``{"data.fold": 1}``.

    Raises:
        UserError: a value out of bounds.
    """
    values = recipe.model_dump(mode="json")
    for key, of_section in nested(settings).items():
        is_section = isinstance(of_section, dict)
        values[key] = {**values[key], **of_section} if is_section else of_section
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise UserError(complaint(error)) from None


def dump(recipe: Recipe) -> str:
    """The recipe as YAML that ``--config`` reads back to the same recipe."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)


def section_of(key: str, model: str) -> type[Section] | None:
    """The settings class of a recipe's section; None where a key is no section."""
    return _ANY_MODEL[model] if key == "model" else SECTIONS.get(key)


def _check_keys(recipe: dict[str, Any], model: str, where: str) -> None:
    source = f"recipe {where}: " if where else ""
    top = list(Recipe.model_fields)
    for key, value in recipe.items():
        if key not in top:
            raise UserError(f"{source}unknown key {key!r}{near(key, top)}")
        cls = section_of(key, model)
        if cls is None:
            continue
        if not isinstance(value, dict):
            raise UserError(f"{source}{key} must be a section with keys")
        for name in value:
            if name not in cls.model_fields:
                hint = near(name, cls.model_fields)
                raise UserError(f"{source}unknown key '{key}.{name}'{hint}")


def complaint(error: ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors()[0]
    where = ".".join(str(word) for word in first["loc"] if word not in _ANY_MODEL)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error" and "." in message.split(" ")[0]:
        return message  # a contradiction names its own fields
    return f"{where}: {message[0].lower()}{message[1:]}, not {first['input']!r}"


def as_flags(message: str) -> str:
    """A message about settings with the dashes that they have on the command line."""
    sections = [*SECTIONS.items(), *(("model", cls) for cls in _ANY_MODEL.values())]
    known = {f"{key}.{name}" for key, cls in sections for name in cls.model_fields}
    return re.sub(
        r"(?<![\w.-])(?:data|augment|fit|track|model)\.\w+",
        lambda match: f"--{match[0]}" if match[0] in known else match[0],
        message,
    )


def near(word: object, known: Iterable[str]) -> str:
    """``": did you mean X?"`` or nothing."""
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f": did you mean {close[0]!r}?" if close else ""


def doc(cls: type[Section]) -> str:
    """A class's docstring in one line."""
    return " ".join((cls.__doc__ or "").split())
