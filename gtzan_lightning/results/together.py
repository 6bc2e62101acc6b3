"""What the best systems of a ledger say together."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from tabulate import tabulate

from gtzan_lightning.results.ensemble import Runs, shared_runs
from gtzan_lightning.results.intervals import wilson
from gtzan_lightning.results.predictions import answers, pooled_scores
from gtzan_lightning.results.rows import Reader

MOST = 4


@dataclass(frozen=True)
class Accuracy:
    """Song accuracy of a system over its seeds, each of all its folds, with its 95 % interval."""

    songs: int
    accuracy: float
    low: float
    high: float


def accuracy(runs: Runs, part: str) -> Accuracy:
    """Of the predictions of a system's seeds and folds; the interval is by artist where known."""
    seeds: dict[str, list[pd.DataFrame]] = {}
    for (seed, _), table in runs.items():
        seeds.setdefault(seed, []).append(table[table["part"] == part])
    tables = [pd.concat(folds, ignore_index=True) for folds in seeds.values()]
    songs = pd.Index(tables[0]["song"].unique())
    share = float(np.nanmean(answers(tables, songs)))
    ends = pooled_scores(tables, part)
    low, high = (ends["low"], ends["high"]) if "low" in ends else wilson(share, len(songs))
    return Accuracy(len(songs), share, low, high)


def one_recipe(lines: pd.DataFrame) -> pd.DataFrame:
    """Of a system's lines those of its own recipe, else of the newest; of the newest precision."""
    own = lines[lines["form"].str.contains(r"\bown\b")]
    lines = own if len(own) else lines
    for column in ("recipe", "precision"):
        lines = lines[lines[column] == lines[column].iloc[0]]
    return lines


def with_predictions(lines: pd.DataFrame, read: Reader, part: str) -> tuple[pd.DataFrame, Runs]:
    """``one_recipe`` of a system's lines with predictions of a part; these by seed and fold."""
    tables = {run: table for run in lines["run_id"] if (table := read(run)) is not None}
    tables = {run: table for run, table in tables.items() if (table["part"] == part).any()}
    lines = lines[lines["run_id"].isin(list(tables))]
    if lines.empty:
        return lines, {}
    lines = one_recipe(lines)
    keys = zip(lines["seed"].astype(str), lines["fold"].astype(str), strict=True)
    return lines, dict(zip(keys, (tables[run] for run in lines["run_id"]), strict=True))


def runs_of(lines: pd.DataFrame, read: Reader, part: str) -> Runs:
    """Predictions of a system's lines, as ``with_predictions`` chooses them."""
    return with_predictions(lines, read, part)[1]


def markdown(lines: pd.DataFrame, read: Reader, part: str) -> str:
    """A row for each of the best systems, then for the best two, three and four together.

    All rows are of the seeds and folds that these systems share, so that a vote can be held against
    its members; a system that shares none with better ones is left out.

    Args:
        lines: of a ledger, of one protocol and corpus; a system is a model with a kind of picture.
        part: the part that is scored.
    """
    named = lines["model"] + ": " + lines["features"]
    systems = {str(name): runs_of(own, read, part) for name, own in lines.groupby(named)}
    scored = {name: accuracy(runs, part) for name, runs in systems.items() if runs}
    ranked: list[str] = []
    shared: set[tuple[str, str]] = set()
    for name in sorted(scored, key=lambda name: -scored[name].accuracy):
        keys = shared.intersection(systems[name]) if ranked else set(systems[name])
        if keys and len(ranked) < MOST:
            ranked, shared = [*ranked, name], keys
    if not ranked:
        return "Not measured yet."
    same = [{key: systems[name][key] for key in sorted(shared)} for name in ranked]
    rows = [[name, *_cells(runs, part)] for name, runs in zip(ranked, same, strict=True)]
    rows += [
        [f"the first {number} together", *_cells(shared_runs(same[:number]), part)]
        for number in range(2, len(same) + 1)
    ]
    headers = ["system", "n", "seeds", "song accuracy", "95 % interval"]
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)


def _cells(runs: Runs, part: str) -> list[str]:
    scored = accuracy(runs, part)
    ends = f"{scored.low:.3f}-{scored.high:.3f}"
    seeds = len({seed for seed, _ in runs})
    return [str(scored.songs), str(seeds), f"{scored.accuracy:.3f}", ends]
