"""Which recorded run a word means: an id or its beginning, a name, ``last`` or ``best``."""

import re
import sys
from pathlib import Path

import pandas as pd

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import BEST, LAST, SHORT
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.terminal import shown
from gtzan_lightning.tracking.reading import all_runs, find_checkpoint, has_store, store_uri

LEAST = 4  # digits of an id that are taken for its beginning
LISTED = 5  # runs that a message names
SCORE = "final/valid/song_accuracy"


def checkpoint_of(word: str, track: TrackSettings, folder: str) -> Path:
    """The checkpoint of the run that a word means, or of a model of MLflow (``models:/NAME/1``).

    Args:
        folder: where it is put.

    Raises:
        UserError: as ``run_id`` or ``find_checkpoint`` does.
    """
    is_run = has_store(track) and not word.startswith("models:/")
    return find_checkpoint(run_id(word, track) if is_run else word, track, folder)


def run_id(word: str, track: TrackSettings) -> str:
    """The id of the run that a word means, of all experiments of the store.

    ``last`` is the newest finished run of a network. ``best`` is the finished run of a network
    with the highest song accuracy on valid songs: leaky runs don't count, nor do quick ones and
    those on synthetic songs where there are others. Which one it is goes to stderr.

    Raises:
        UserError: it means none, or several, which are listed; or there is no store.
    """
    if re.fullmatch("[0-9a-f]{32}", word):
        return word
    runs = all_runs(track)
    if word in (LAST, BEST):
        ended = _networks(runs, track)
        return _told(word, ended.iloc[0] if word == LAST else _best(ended, track))
    return str(one(runs, word)["run_id"])


def one(runs: pd.DataFrame, word: str) -> pd.Series:
    """The row of the run that an id, its beginning or a name means.

    Raises:
        UserError: it means none, or several, which are listed.
    """
    if runs.empty:  # it has no columns
        raise UserError("there are no runs yet: gtzan run makes one")
    begins = len(word) >= LEAST and re.fullmatch("[0-9a-f]+", word) is not None
    meant = runs[(runs["name"] == word) | (begins & runs["run_id"].str.startswith(word))]
    if meant.empty:
        raise UserError(
            f"no run is meant by {word!r}: give a name, or {LEAST} or more digits of an id; gtzan "
            "runs lists them"
        )
    if len(meant) > 1:
        listed = "; ".join(line(run) for _, run in meant.head(LISTED).iterrows())
        more = f"; {len(meant) - LISTED} more" if len(meant) > LISTED else ""
        raise UserError(f"{word!r} means {len(meant)} runs, give more of the id: {listed}{more}")
    return meant.iloc[0]


def line(run: pd.Series) -> str:
    """A run on one line: short id, when it began (UTC), model, corpus, protocol and score."""
    words = [run.get(name) for name in ("model", "corpus", "protocol", "warning")]
    texts = [word.partition(":")[0] for word in words if isinstance(word, str)]  # such as QUICK
    what = " ".join(filter(None, texts)) or run["name"]
    score = run.get(SCORE)
    told = run["status"].lower() if pd.isna(score) else f"valid {score:.3f}"
    return f"{run['run_id'][:SHORT]}  {run['began']:%Y-%m-%d %H:%M}  {what}: {told}"


def _networks(runs: pd.DataFrame, track: TrackSettings) -> pd.DataFrame:
    """The finished runs that left a checkpoint, the newest first."""
    if "parameters" in runs:
        runs = runs[(runs["status"] == "FINISHED") & runs["parameters"].notna()]
        if len(runs):
            return runs
    raise UserError(f"no network has ended in {shown(store_uri(track))}: gtzan run trains one")


def _best(ended: pd.DataFrame, track: TrackSettings) -> pd.Series:
    warned = ended.get("warning", pd.Series("", ended.index)).fillna("")
    is_real = ended.get("corpus", pd.Series("", ended.index)) != "synthetic"
    scored = ended.get(SCORE, pd.Series(float("nan"), ended.index)).notna()
    honest, quick = warned == "", warned.str.startswith("QUICK")
    for kind in (honest & is_real, honest, quick & is_real, quick):
        if len(counted := ended[kind & scored]):
            return counted.sort_values(SCORE, ascending=False).iloc[0]
    raise UserError(
        f"no run in {shown(store_uri(track))} has a score that counts as best (leaky ones do not): "
        "give a run's id, gtzan runs lists them"
    )


def _told(word: str, run: pd.Series) -> str:
    print(f"{word}: {line(run)}", file=sys.stderr)
    return str(run["run_id"])
