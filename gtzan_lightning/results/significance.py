"""Two or more systems on the same songs: can they be told apart?

A system is all runs of one recipe, over seeds (and folds, which test different songs). Its answer
for a song is the share of its runs that got the song right, so seeds do not count as songs. Systems
are paired by song, and songs of one artist are resampled together (``by_artist``):

- difference of accuracy, with the interval of a bootstrap over seeds and artists;
- sign flips: the sign of each artist's differences is flipped at random;
- McNemar's exact test on songs that one system gets right in most of its runs and the other wrong
  in most of its own (a song on which half of an even number of runs are right counts for neither).
  It takes songs as independent, which songs of one artist are not;
- with more than two systems both p are Holm's, and intervals have the level of the same step.

Two systems are told apart where the test says so and the interval leaves out zero.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist

import numpy as np
import pandas as pd
from scipy import stats

from gtzan_lightning.errors import UserError
from gtzan_lightning.results.by_artist import DRAWS, artist_of, clusters, resampled, sign_flips
from gtzan_lightning.results.ensemble import Runs
from gtzan_lightning.results.predictions import predicted, vote

ALPHA = 0.05
POWER = 0.8


@dataclass(frozen=True)
class System:
    """A name, its number of runs, and for every song the share of the runs that got it right."""

    name: str
    runs: int
    right: pd.Series  # index: song
    # (seed, song): the answers of each seed, all folds joined; none where there is one seed
    seeds: pd.DataFrame | None = None
    artists: pd.Series | None = None  # song -> artist, "" where unknown


@dataclass(frozen=True)
class Pair:
    """What the tests say of two systems.

    Attributes:
        artists: of the songs; None where no artist is known, then songs are resampled.
        low, high: interval of the difference, at the level of the Holm step.
        p: of the sign flips, after Holm; never below what so many draws can tell.
        floor: the least p that the draws could have given, after Holm.
        mcnemar: McNemar's p, after Holm.
        visible: the smallest difference that would be seen in four of five such comparisons.
        remark: unequal numbers of runs, or "".
    """

    first: str
    second: str
    songs: int
    artists: int | None
    difference: float
    low: float
    high: float
    level: float
    p: float
    floor: float
    mcnemar: float
    visible: float
    remark: str = ""

    @property
    def apart(self) -> bool:
        """Whether the two can be told apart."""
        return self.p < ALPHA and not self.low <= 0 <= self.high

    @property
    def p_text(self) -> str:
        """Such as ``= 0.0312`` or ``< 1e-4``."""
        return _shown(self.p, self.floor)

    @property
    def mcnemar_text(self) -> str:
        """As ``p_text``, of McNemar's test."""
        return _shown(self.mcnemar)

    def from_better(self) -> "Pair":
        """The same pair, with the system of the higher accuracy first."""
        if self.difference >= 0:
            return self
        return replace(
            self, first=self.second, second=self.first, difference=-self.difference,
            low=-self.high, high=-self.low,
        )  # fmt: skip

    def sentence(self, context: str = "") -> str:
        """Such as "b is better than a on these 197 songs (74 artists): …".

        The difference is the first named system's less the other's.

        Args:
            context: such as the part, protocol and corpus; stands behind the songs.
        """
        own = self.from_better()
        better, other, difference = own.first, own.second, own.difference
        by = "artists unknown" if self.artists is None else f"{self.artists} artists"
        songs = f"on these {self.songs} songs ({by}){context}"
        numbers = (
            f"difference {difference:+.3f} [{own.low:+.3f}, {own.high:+.3f}] "
            f"({self.level:.3g} % interval), sign flips p {self.p_text}, McNemar of single songs p "
            f"{self.mcnemar_text}{self.remark}"
        )
        if self.apart:
            return f"{better} is better than {other} {songs}: {numbers}"
        return (
            f"{better} and {other} cannot be told apart {songs}: {numbers}; a difference below "
            f"{self.visible:.3f} would be missed in more than one of five such comparisons"
        )


def _shown(p: float, floor: float = 0.0) -> str:
    """Such as ``= 0.0312``, or ``< 1e-4`` where it is the least that can be told."""
    if p <= floor:
        return f"< {math.ceil(floor * 1e5) / 1e5:.0e}".replace("e-0", "e-")
    return f"= {p:.3g}"


def system(name: str, runs: Runs, part: str) -> System:
    """A system from the predictions of its runs, by seed and fold.

    Raises:
        UserError: a run has no predictions of that part.
    """
    answers, artists = [], []
    seeds: dict[str, list[pd.Series]] = {}
    for (seed, _), table in runs.items():
        rows = table[table["part"] == part]
        if rows.empty:
            raise UserError(f"a run of {name} has no predictions of the {part} part")
        songs = vote(rows).set_index("song")
        right = (songs["genre"] == predicted(songs)).astype(float)
        answers.append(right)
        seeds.setdefault(seed, []).append(right)
        artists.append(artist_of(rows))
    # folds test different songs: a song counts the runs that tested it
    mean = pd.concat(answers, axis=1).mean(axis=1)
    known = pd.concat(artists).groupby(level=0).first()
    return System(name, len(runs), mean, _of_seeds(seeds), known)


def of_run(name: str, predictions: pd.DataFrame, part: str) -> System:
    """``system`` of a single run."""
    return system(name, {("", ""): predictions}, part)


def _of_seeds(seeds: dict[str, list[pd.Series]]) -> pd.DataFrame | None:
    """(seed, song): the answers of each seed's folds, joined."""
    joined = {seed: pd.concat(folds).groupby(level=0).mean() for seed, folds in seeds.items()}
    table = pd.DataFrame(joined).T
    return table if len(table) > 1 and table.notna().all(axis=None) else None


def compare(a: pd.DataFrame, b: pd.DataFrame, part: str = "test") -> Pair:
    """Two runs, each as the table of its predictions.csv, on the songs of a part.

    Raises:
        UserError: they were not measured on the same songs, or on none of that part.
    """
    return pairs([of_run("a", a, part), of_run("b", b, part)])[0]


def pairs(systems: Sequence[System]) -> list[Pair]:
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
    both = list(combinations(systems, 2))
    tests = [_Test.of(a, b, songs) for a, b in both]
    flips = holm([test.p for test in tests])
    single = holm([mcnemar(a, b) for a, b in both])
    return [
        test.pair(a, b, len(songs), p, factor, by_song)
        for (a, b), test, (p, factor), (by_song, _) in zip(both, tests, flips, single, strict=True)
    ]


def mcnemar(a: System, b: System) -> float:
    """p of McNemar's exact test; both systems were measured on the same songs."""
    of_b = b.right.reindex(a.right.index)
    only_a = int(((a.right > 0.5) & (of_b < 0.5)).sum())
    only_b = int(((of_b > 0.5) & (a.right < 0.5)).sum())
    return float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


@dataclass(frozen=True)
class _Test:
    """The resampled differences of two systems, before they are corrected for their number."""

    difference: float
    drawn: np.ndarray  # (draw,)
    p: float
    artists: int | None

    @classmethod
    def of(cls, a: System, b: System, songs: pd.Index) -> "_Test":
        artists = pd.Series("", index=songs) if a.artists is None else a.artists.reindex(songs)
        known = artists.fillna("") != ""
        cluster = clusters(artists.fillna(""))
        values = [_answers(one, songs) for one in (a, b)]
        # seeds of two systems are no pairs: each is drawn by itself, the artists are the same
        drawn = resampled(values[0], cluster, seed=1) - resampled(values[1], cluster, seed=2)
        means = [value.mean(axis=0) for value in values]
        differences = means[0] - means[1]
        p = sign_flips(differences, cluster)
        count = int(cluster.max()) + 1 if known.any() else None
        return cls(float(differences.mean()), drawn, p, count)

    def pair(self, a: System, b: System, songs: int, p: float, factor: int, by_song: float) -> Pair:
        """The pair, with an interval of the level at which ``p`` was corrected."""
        tail = ALPHA / factor
        low, high = np.percentile(self.drawn, [50 * tail, 100 - 50 * tail])
        normal = NormalDist()
        spread = (normal.inv_cdf(1 - tail / 2) + normal.inv_cdf(POWER)) * self.drawn.std()
        remark = "" if a.runs == b.runs else f"; runs: {a.name} {a.runs}, {b.name} {b.runs}"
        return Pair(
            a.name, b.name, songs, self.artists, self.difference, float(low), float(high),
            100 * (1 - tail), p, factor / (DRAWS + 1), by_song, float(spread), remark,
        )  # fmt: skip


def _answers(system: System, songs: pd.Index) -> np.ndarray:
    """(seed, song)"""
    if system.seeds is None:
        return system.right[songs].to_numpy(dtype=float)[None]
    return system.seeds[songs].to_numpy()


def holm(values: Sequence[float]) -> list[tuple[float, int]]:
    """Holm's step-down correction: (corrected p, the factor of the step that gave it).

    The k-th smallest of m is multiplied by m - k, in order, and none is below the one before.
    """
    order = np.argsort(values, kind="stable")
    corrected, least, step = [(1.0, 1)] * len(values), 0.0, len(values)
    for rank, index in enumerate(order):
        factor = len(values) - rank
        if values[index] * factor >= least:
            least, step = min(1.0, values[index] * factor), factor
        corrected[index] = (least, step)
    return corrected
