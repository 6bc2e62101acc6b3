"""Two or more systems on the same songs: can they be told apart?

A system is all runs of one recipe, over seeds (and folds, which test different songs). Its answer
for a song is the share of its runs that got the song right, so seeds do not count as songs. Systems
are paired by song:

- difference of accuracy, with the 95 % interval of a bootstrap over songs;
- permutation test: the sign of each song's difference is flipped at random;
- McNemar's exact test on songs that one system gets right in most of its runs and the other wrong
  in most of its own (a song on which half of an even number of runs are right counts for neither);
- with more than two systems every p of the permutation test is Holm's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from gtzan_lightning.errors import UserError
from gtzan_lightning.results.predictions import predicted, vote

DRAWS = 10_000
ALPHA = 0.05


@dataclass(frozen=True)
class System:
    """A name, its number of runs, and for every song the share of the runs that got it right."""

    name: str
    runs: int
    right: pd.Series  # index: song


@dataclass(frozen=True)
class Pair:
    """What the tests say of two systems; ``p`` is the permutation test's, after Holm."""

    first: str
    second: str
    songs: int
    difference: float
    low: float
    high: float
    p: float
    mcnemar: float

    def sentence(self) -> str:
        """Such as "a and b cannot be told apart on these 197 songs: …"."""
        numbers = (
            f"difference {self.difference:+.3f} [{self.low:+.3f}, {self.high:+.3f}], permutation "
            f"p = {self.p:.3g}, McNemar p = {self.mcnemar:.3g}"
        )
        if self.p >= ALPHA:
            verdict = f"{self.first} and {self.second} cannot be told apart"
        elif self.difference < 0:
            verdict = f"{self.second} is better than {self.first}"
        else:
            verdict = f"{self.first} is better than {self.second}"
        return f"{verdict} on these {self.songs} songs: {numbers}"


def system(name: str, predictions: Sequence[pd.DataFrame], part: str) -> System:
    """A system from the predictions of its runs.

    Raises:
        UserError: a run has no predictions of that part.
    """
    columns = []
    for table in predictions:
        rows = table[table["part"] == part]
        if rows.empty:
            raise UserError(f"a run of {name} has no predictions of the {part} part")
        songs = vote(rows).set_index("song")
        columns.append(songs["genre"] == predicted(songs))
    # folds test different songs: a song counts the runs that tested it
    right = pd.concat(columns, axis=1).mean(axis=1).astype(float)
    return System(name, len(predictions), right)


def compare(a: pd.DataFrame, b: pd.DataFrame, part: str = "test") -> Pair:
    """Two runs, each as the table of its predictions.csv, on the songs of a part.

    Raises:
        UserError: they were not measured on the same songs, or on none of that part.
    """
    return pairs([system("a", [a], part), system("b", [b], part)])[0]


def pairs(systems: Sequence[System], seed: int = 0) -> list[Pair]:
    """Every pair of systems, in their order.

    Raises:
        UserError: two systems were not measured on the same songs.
    """
    songs = systems[0].right.index.sort_values()
    for other in systems[1:]:
        if not songs.equals(other.right.index.sort_values()):
            raise UserError(
                f"{systems[0].name} and {other.name} were not measured on the same songs: only "
                "runs of one corpus and protocol can be paired"
            )
    return _holm([
        _pair(a, b, (a.right[songs] - b.right[songs]).to_numpy(), seed)
        for a, b in combinations(systems, 2)
    ])  # fmt: skip


def mcnemar(a: System, b: System) -> float:
    """p of McNemar's exact test; both systems were measured on the same songs."""
    of_b = b.right.reindex(a.right.index)
    only_a = int(((a.right > 0.5) & (of_b < 0.5)).sum())
    only_b = int(((of_b > 0.5) & (a.right < 0.5)).sum())
    return float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def _pair(a: System, b: System, difference: np.ndarray, seed: int) -> Pair:
    draws: dict[str, Any] = {"n_resamples": DRAWS, "rng": np.random.default_rng(seed)}
    low, high, p = 0.0, 0.0, 1.0
    if difference.any():
        bounds = stats.bootstrap((difference,), np.mean, method="percentile", **draws)
        low, high = map(float, bounds.confidence_interval)
        p = stats.permutation_test(
            (difference,), np.mean, permutation_type="samples", **draws
        ).pvalue  # fmt: skip
    numbers = (float(difference.mean()), low, high, float(p), mcnemar(a, b))
    return Pair(a.name, b.name, len(difference), *numbers)


def _holm(pairs: list[Pair]) -> list[Pair]:
    """Holm's step-down correction: the k-th smallest of m is multiplied by m - k, in order."""
    order = np.argsort([pair.p for pair in pairs], kind="stable")
    corrected, least = list(pairs), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, pairs[index].p * (len(pairs) - rank)))
        corrected[index] = replace(pairs[index], p=least)
    return corrected
