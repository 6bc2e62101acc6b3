"""What makes two runs the same recipe: declared at the fields (``section``), read here."""

import json
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from gtzan_lightning.files import digest
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.recipe.section import Section


def flat(recipe: Recipe) -> dict[str, Any]:
    """The recipe as ``section.name`` -> value."""
    values = recipe.model_dump(mode="json")
    sections = {key: of for key, of in values.items() if isinstance(of, dict)}
    single = {key: value for key, value in values.items() if key not in sections}
    return {f"{key}.{n}": value for key, of in sections.items() for n, value in of.items()} | single


def recipe_key(recipe: Recipe) -> str:
    """The same for two runs that differ in nothing but seed, fold, places and hardware.

    It is made of the values that are not defaults: a setting that a later version adds leaves the
    keys of older recipes as they are. Tables never mix the code of two versions.
    """
    values, plain = flat(recipe), defaults(recipe)
    data = recipe.data
    # nothing is drawn of its songs, unless some are left out or get other genres
    whole = data.train_share == 1 and not data.train_songs and not data.control
    fixed_lists = data.split == "filtered" and whole
    kept = {"model.name": recipe.model.name}
    for name, identity in identities(recipe).items():
        if name in plain and values[name] == plain[name]:
            continue
        if identity == "part" or (identity == "draw" and not fixed_lists):
            kept[name] = values[name]
        elif identity == "file":
            kept[name] = Path(values[name]).name if values[name] else values[name]
    return digest(json.dumps(kept, sort_keys=True).encode())[:6]


def defaults(recipe: Recipe) -> dict[str, Any]:
    """``section.name`` -> default, of the settings that have one."""
    fields: dict[str, FieldInfo] = dict(type(recipe).model_fields)
    for key in type(recipe).model_fields:
        section = getattr(recipe, key)
        if isinstance(section, Section):
            fields |= {f"{key}.{name}": f for name, f in type(section).model_fields.items()}
    return {
        name: json.loads(json.dumps(field.default))
        for name, field in fields.items() if not field.is_required()
    }  # fmt: skip


def identities(recipe: Recipe) -> dict[str, str]:
    """``section.name`` -> ``part``, ``place``, ``draw`` or ``file``.

    Raises:
        KeyError: a field that does not say which.
    """
    fields: dict[str, Any] = {}
    for key, field in type(recipe).model_fields.items():
        section = getattr(recipe, key)
        if isinstance(section, Section):
            fields |= {f"{key}.{name}": f for name, f in type(section).model_fields.items()}
        else:
            fields[key] = field
    return {name: (f.json_schema_extra or {})["identity"] for name, f in fields.items()}
