"""What makes two runs the same recipe."""

import json
from pathlib import Path
from typing import Any

from gtzan_lightning.files import digest
from gtzan_lightning.recipe.settings import Recipe, TrainerSettings

# Trainer settings that change the figures; the others only say where and how fast
_MATTER = {"max_epochs", "max_time", "precision", "gradient_clip_val", "accumulate_grad_batches"}
_MATTER |= {"limit_train_batches", "check_val_every_n_epoch", "devices", "num_nodes"}
_PLACES = {"seed", "data.fold", "data.root", "data.packed", "data.corpus", "data.workers"}
_PLACES |= {"data.resident"}
_FILES = ("model.table", "model.weights")  # wherever they are
# songs and protocol have tags of their own; these only draw parts, where the parts are not a list
_OF_SYNTHETIC = {"data.synthetic_songs", "data.synthetic_seconds", "data.synthetic_seed"}
_OF_DRAWS = {"data.fractions", "data.valid_fraction", "data.folds", "data.split_seed"}


def flat(recipe: Recipe) -> dict[str, Any]:
    """The recipe as ``section.name`` -> value."""
    found: dict[str, Any] = {}
    for section, values in recipe.model_dump(mode="json").items():
        if isinstance(values, dict):
            found |= {f"{section}.{name}": value for name, value in values.items()}
        else:
            found[section] = values
    return found


def recipe_key(recipe: Recipe) -> str:
    """The same for two runs that differ in nothing but seed, fold, places and hardware."""
    plain = flat(recipe)
    plain |= {name: Path(plain[name]).name for name in _FILES if plain.get(name)}
    unused = _PLACES | _OF_SYNTHETIC | (_OF_DRAWS if recipe.data.split == "filtered" else set())
    places = set(TrainerSettings.model_fields) - _MATTER
    kept = {
        name: value
        for name, value in plain.items()
        if name not in unused
        and not name.startswith("track.")
        and name.removeprefix("fit.") not in places
    }
    return digest(json.dumps(kept, sort_keys=True).encode())[:6]
