"""Resampling by artist: songs of one artist are right or wrong together, and do not count alone.

A song whose artist is unknown is an artist of its own. Of several trainings with different seeds
the seeds are drawn first and then the artists, so that both kinds of chance are in the interval.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from gtzan_lightning.results.intervals import wilson

DRAWS = 10_000


def artist_of(predictions: pd.DataFrame) -> pd.Series:
    """Song -> artist, "" where unknown; predictions of earlier versions name none."""
    artists = predictions.get("artist", pd.Series("", index=predictions.index))
    artists = artists.astype(object).fillna("")
    return artists.groupby(predictions["song"]).first()


def clusters(artists: pd.Series) -> np.ndarray:
    """(song,) the number of each song's artist."""
    own = artists.where(artists != "", "song " + artists.index.astype(str))
    return pd.factorize(own)[0]


def resampled(values: np.ndarray, cluster: np.ndarray, seed: int = 1) -> np.ndarray:
    """(draw,) means of drawn seeds and drawn artists.

    The artists of a draw are the same for whatever system, so that systems stay paired.

    Args:
        seed: of the seeds' draws.
        values: (seed, song), such as 1 where a song is right; NaN where a seed did not test it.
        cluster: (song,) numbers of the artists.
    """
    size = cluster.max() + 1
    known = ~np.isnan(values)
    sums, counts = (
        np.stack([np.bincount(cluster, row, size) for row in table])
        for table in (np.where(known, values, 0.0), known.astype(float))
    )
    share = np.full(len(values), 1 / len(values))
    seeds = np.random.default_rng(seed).multinomial(len(values), share, DRAWS)
    drawn = _drawn(size)
    return (drawn * (seeds @ sums)).sum(1) / (drawn * (seeds @ counts)).sum(1).clip(1)


@lru_cache(maxsize=2)
def _drawn(size: int) -> np.ndarray:
    """(draw, artist) how often each artist is drawn; the same for all systems of a table."""
    return np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), DRAWS).astype(float)


@lru_cache(maxsize=2)
def _signs(size: int) -> np.ndarray:
    return np.random.default_rng(0).choice([-1.0, 1.0], (DRAWS, size))


def interval(right: np.ndarray, cluster: np.ndarray) -> tuple[float, float]:
    """95 % interval of an accuracy, percentiles of ``resampled``; of (seed, song) answers.

    Where all are right or all are wrong there is nothing to draw: Wilson's of as many artists.
    """
    share = float(np.nanmean(right))
    if share in (0.0, 1.0):
        return wilson(share, int(cluster.max()) + 1)
    low, high = np.percentile(resampled(right, cluster), [2.5, 97.5])
    return float(low), float(high)


def sign_flips(differences: np.ndarray, cluster: np.ndarray) -> float:
    """Two-sided p of no difference: the sign of each artist's songs is flipped at random.

    Args:
        differences: (song,)
        cluster: (song,) numbers of the artists.
    """
    sums = np.bincount(cluster, differences)
    flipped = _signs(len(sums)) @ sums
    as_far = np.abs(flipped) >= abs(sums.sum()) - 1e-9
    return float((as_far.sum() + 1) / (DRAWS + 1))


def luck(systems: Sequence[np.ndarray], cluster: np.ndarray) -> float:
    """How far the best of several systems stands above their mean by chance alone.

    Were all equally good on music like this, their accuracies on these songs would still differ:
    each system's accuracy is drawn by artist around one mean, and the best of each draw counts.

    Args:
        systems: (seed, song) answers of each, of the same songs.
        cluster: (song,) numbers of the artists.
    """
    drawn = np.stack([resampled(s, cluster) - np.nanmean(s, axis=1).mean() for s in systems])
    return float((drawn.max(0) - drawn.mean(0)).mean())
