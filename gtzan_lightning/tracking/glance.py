"""A glance into a store on this machine, without MLflow, whose import takes seconds."""

import contextlib
import sqlite3
from pathlib import Path

from gtzan_lightning.recipe.command_line import BEST, LAST, READY
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tracking.place import SQLITE, store_uri

_KNOWN = "SELECT EXISTS (SELECT 1 FROM runs WHERE run_uuid LIKE ? || '%' OR name = ?)"


def is_elsewhere(word: str) -> bool:
    """Whether a word names a checkpoint that is no run: a file, the package's own, a registry's."""
    return word == READY or "://" in word or word.startswith("models:/") or Path(word).is_file()


def why_no_run(word: str, track: TrackSettings) -> str:
    """Why a word can't mean a run of the store, or "" where it may.

    Only whoever imports MLflow can tell for certain: of a server nothing is known here.
    """
    uri = store_uri(track)
    if not uri.startswith(SQLITE) or word in (LAST, BEST) or ":/" in word:
        return ""
    file = Path(uri.removeprefix(SQLITE))
    if not file.exists():
        return f"no such checkpoint, and there are no runs in {file.parent}"
    if not file.is_file():
        return ""
    with contextlib.suppress(sqlite3.Error):
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as store:
            ((known,),) = store.execute(_KNOWN, (word, word))
        if not known:
            return f"no such checkpoint or run in {file.parent}: gtzan runs lists them"
    return ""
