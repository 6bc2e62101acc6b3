"""Honest music genre classification on GTZAN with PyTorch Lightning and MLflow."""

from typing import Any

from gtzan_lightning.version import __version__

__all__ = ["Tagger", "__version__"]


def __getattr__(name: str) -> Any:
    """``gtzan_lightning.Tagger``, imported when it is asked for: torch takes seconds."""
    if name == "Tagger":
        from gtzan_lightning.inference.tagger import Tagger

        return Tagger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
