"""Honest music genre classification on GTZAN with PyTorch Lightning and MLflow.

``docs/python.md`` and ``examples/first_steps.ipynb`` show how these are used together.
"""

from importlib import import_module
from typing import Any

from gtzan_lightning.version import __version__

# imported when they are asked for: torch takes seconds
_PUBLIC = {
    "Recipe": "recipe.recipes",
    "GenreData": "data.module",
    "make_model": "training.train",
    "train": "training.train",
    "predict": "training.train",
    "run_callbacks": "training.callbacks",
    "predictions": "commands.compare",
    "scores": "results.predictions",
    "compare": "commands.compare",
    "ensemble": "commands.compare",
    "Tagger": "inference.tagger",
    "Ensemble": "inference.ensemble",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"gtzan_lightning.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
