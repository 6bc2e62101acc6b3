"""The trials of a study as a terminal shows them."""

import sys

import pandas as pd

from gtzan_lightning.recipe.command_line import SHORT
from gtzan_lightning.results.screen import drawn

OWN = ("trial", "state", "song accuracy", "like the best", "run")  # the other columns are settings


def shown(trials: pd.DataFrame, study: str) -> str:
    """The table of ``sweep.trials_table``: Markdown, or in a terminal one that fits it."""
    trials = trials.assign(run=trials["run"].str[:SHORT])
    if not sys.stdout.isatty():
        return str(trials.to_markdown(index=False, floatfmt=".4g"))
    return drawn(f"study {study}", [_cells(row) for _, row in trials.iterrows()])


def _cells(trial: pd.Series) -> dict[str, str]:
    is_complete = trial["state"] == "complete"
    return {
        "trial": str(trial["trial"]),
        "run": trial["run"],
        "song accuracy": f"{trial['song accuracy']:.3f}" if is_complete else trial["state"],
        "like best": trial["like the best"],
        "settings": ", ".join(f"{n} {_text(v)}" for n, v in trial.items() if n not in OWN),
    }


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
