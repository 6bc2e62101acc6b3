"""Honest music genre classification on GTZAN with PyTorch Lightning and MLflow."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["Tagger"]


def __getattr__(name: str) -> Any:
    """``gtzan_lightning.Tagger``, imported when it is asked for: torch takes seconds."""
    if name == "Tagger":
        from gtzan_lightning.tagger import Tagger

        return Tagger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
