"""Recipes: YAML files laid over one another -> one frozen, checked ``Recipe``, and back to YAML.

Values lie over one another: defaults, ``models/MODEL.yaml``, every ``--config`` in its order, then
the flags.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS
from gtzan_lightning.recipe.section import Section
from gtzan_lightning.recipe.settings import Recipe

MODEL_RECIPES = Path(__file__).parent / "models"
SECTIONS = ("data", "augment", "fit", "track")


def resumed_recipe(track_folder: str, run_id: str) -> Recipe:
    """The recipe of an interrupted run, from its folder.

    Raises:
        UserError: no such run, it is complete, or it is of a version with other settings.
    """
    folder = Path(track_folder) / "runs" / run_id
    if not (folder / "recipe.yaml").exists():
        raise UserError(f"there is no run to resume at {folder}: see experiments/compare.py")
    if (folder / "done").exists():
        raise UserError(f"run {folder.name} is complete: there is nothing to resume")
    recipe = read_recipe(folder / "recipe.yaml")
    # the folder may have been moved, or be named from another place now
    recipe["track"] = {**recipe.get("track", {}), "folder": track_folder}
    try:
        return Recipe.model_validate(recipe)
    except ValidationError as error:
        raise UserError(f"run {run_id} is of another version: {_first_complaint(error)}") from None


def read_recipe(path: Path) -> dict[str, Any]:
    """A recipe file as nested dicts."""
    try:
        recipe = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"recipe {path} can't be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"recipe {path} is not YAML: {' '.join(str(error).split())}") from None
    if recipe is not None and not isinstance(recipe, dict):
        raise UserError(f"recipe {path} must be sections with keys, such as 'fit:'")
    return recipe or {}


def build_recipe(
    model: str, layers: list[tuple[str, dict[str, Any]]], flags: dict[str, Any]
) -> Recipe:
    """Lay recipes and flags over the defaults and check everything once."""
    merged: dict[str, Any] = {}
    for where, layer in [*layers, ("", flags)]:
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
    try:
        return Recipe.model_validate(merged)
    except ValidationError as error:
        raise UserError(_first_complaint(error)) from None


def dump(recipe: Recipe) -> str:
    """The recipe as YAML that ``--config`` reads back to the same recipe."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)


def section_of(key: str, model: str) -> type[Section] | None:
    """The settings class of a recipe's section; None where a key is no section."""
    if key == "model":
        return MODEL_SETTINGS[model]
    return type(Recipe.model_fields[key].default) if key in SECTIONS else None


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
                raise UserError(
                    f"{source}unknown key '{key}.{name}'{near(str(name), cls.model_fields)}"
                )


def _model_name(recipe: dict[str, Any]) -> str | None:
    model = recipe.get("model")
    return model.get("name") if isinstance(model, dict) else model


def _first_complaint(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(p) for p in first["loc"] if p not in MODEL_SETTINGS)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error" and "." in message.split(" ")[0]:
        return message  # a contradiction names its own fields
    return f"--{place}: {message[0].lower()}{message[1:]}, not {first['input']!r}"


def near(word: object, known: Iterable[str]) -> str:
    """``": did you mean X?"`` or nothing."""
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f": did you mean {close[0]!r}?" if close else ""


def doc(cls: type[Section]) -> str:
    """A class's docstring in one line."""
    return " ".join((cls.__doc__ or "").split())
