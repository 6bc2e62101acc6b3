"""Where runs are recorded: a store's address and its lock. MLflow is not imported."""

import contextlib
import os
from pathlib import Path
from typing import Any

from filelock import FileLock

from gtzan_lightning.recipe.settings import TrackSettings

SQLITE = "sqlite:///"


def store_uri(track: TrackSettings) -> str:
    """Where runs are recorded: the flag, MLFLOW_TRACKING_URI, or SQLite in ``track.folder``."""
    uri = track.uri or os.environ.get("MLFLOW_TRACKING_URI") or "local"
    return f"{SQLITE}{Path(track.folder).resolve()}/mlflow.db" if uri == "local" else uri


def is_sqlite(track: TrackSettings) -> bool:
    """Whether the store is a file."""
    return store_uri(track).startswith("sqlite")


def store_lock(track: TrackSettings) -> contextlib.AbstractContextManager[Any]:
    """One process at a time: two that create a SQLite store at once break each other."""
    if not is_sqlite(track):
        return contextlib.nullcontext()
    return FileLock(Path(track.folder).resolve() / ".store.lock")
