"""Song votes while training, and every figure recomputed from ``predictions.csv``.

Macro figures are averages over the genres that a part has songs of.
A clip's prediction is its ten log-probabilities. A song is voted by its clips in three ways: the
mean log-probability (the headline; a product of experts), the mean probability, and the hard
majority (ties go to the clips' mean log-probability).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn import metrics as sk

VOTES = ("log_mean", "mean", "hard")
KEYS = ("part", "song", "start", "genre")


@dataclass(frozen=True)
class ClipPredictions:
    """A model's predictions for the clips of one part.

    Attributes:
        log_probs: (clip, genre) log-probabilities.
        song: (clip,) rows of the songs in the corpus.
        start: (clip,) starts of the clips in steps of the corpus.
        genre: (clip,) numbers of the true genres.
    """

    log_probs: np.ndarray
    song: np.ndarray
    start: np.ndarray
    genre: np.ndarray

    @classmethod
    def joined(cls, shares: Sequence["ClipPredictions"]) -> "ClipPredictions":
        """The clips of several processes, one after another."""
        return cls(*map(np.concatenate, zip(*(vars(s).values() for s in shares), strict=True)))

    def table(
        self, part: str, songs: Sequence[str], genres: Sequence[str], seconds_per_step: float = 1
    ) -> pd.DataFrame:
        """Columns part, song, start (seconds), genre and one log-probability for each genre.

        A clip that several processes predicted has one row.

        Args:
            songs: ids of the corpus' songs.
        """
        keys = {
            "part": part,
            "song": [songs[row] for row in self.song],
            "start": (self.start * seconds_per_step).round(3),
            "genre": [genres[number] for number in self.genre],
        }
        table = pd.DataFrame(keys)
        table[list(genres)] = self.log_probs.astype(np.float64)
        table = table.drop_duplicates(["part", "song", "start"])
        return table.sort_values(["part", "song", "start"], ignore_index=True)


def genre_columns(predictions: pd.DataFrame) -> list[str]:
    return [column for column in predictions.columns if column not in KEYS]


def vote(predictions: pd.DataFrame, how: str = "log_mean") -> pd.DataFrame:
    """Predictions of one part -> a row for each song: its genre and a score for each genre."""
    genres = genre_columns(predictions)
    scores = predictions[genres].astype(float)
    clips = predictions[["song", "genre"]]
    log_mean = pd.concat([clips, scores], axis=1).groupby(["song", "genre"]).mean()
    if how == "log_mean":
        return log_mean.reset_index()
    values = np.exp(scores) if how == "mean" else _one_hot(scores)
    songs = pd.concat([clips, values], axis=1).groupby(["song", "genre"]).mean()
    return (songs + (0 if how == "mean" else np.exp(log_mean) * 1e-6)).reset_index()


def figures(predictions: pd.DataFrame, part: str) -> dict[str, float]:
    """Every figure of a part: per clip and per song, with n and the headline's interval."""
    rows = predictions[predictions["part"] == part]
    if rows.empty:
        return {}
    songs = vote(rows)
    found: dict[str, float] = {"songs": len(songs), "clips": len(rows)}
    for level, table in (("clip", rows), ("song", songs)):
        found |= {f"{level}_{name}": value for name, value in _scores(table).items()}
    for how in ("mean", "hard"):
        found[f"song_accuracy_{how}"] = _scores(vote(rows, how))["accuracy"]
    found["song_accuracy_low"], found["song_accuracy_high"] = wilson(
        found["song_accuracy"], len(songs)
    )
    return found


def per_genre(predictions: pd.DataFrame, part: str) -> pd.DataFrame:
    """Precision, recall, F1 and support (songs) of each genre, headline vote."""
    songs = vote(predictions[predictions["part"] == part])
    genres = genre_columns(songs)
    columns = sk.precision_recall_fscore_support(
        songs["genre"], _decided(songs), labels=genres, zero_division=0
    )
    table = dict(zip(("precision", "recall", "f1", "support"), columns, strict=True))
    return pd.DataFrame({"genre": genres, **table})


def confusion(predictions: pd.DataFrame, part: str) -> np.ndarray:
    """(genre, genre) songs of a genre (row) that were heard as another (column)."""
    songs = vote(predictions[predictions["part"] == part])
    return sk.confusion_matrix(songs["genre"], _decided(songs), labels=genre_columns(songs))


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of n songs."""
    interval = binomtest(round(share * n), n).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def _scores(table: pd.DataFrame) -> dict[str, float]:
    genres = genre_columns(table)
    truth, decided = table["genre"], _decided(table)
    present = [g for g in genres if (truth == g).any()]
    areas = [
        sk.roc_auc_score(truth == g, _softmax(table[genres])[g])
        for g in present
        if len(present) > 1
    ]
    return {
        "accuracy": float(sk.accuracy_score(truth, decided)),
        "f1": float(sk.f1_score(truth, decided, labels=present, average="macro", zero_division=0)),
        "auroc": float(np.mean(areas)) if areas else float("nan"),
    }


def _decided(table: pd.DataFrame) -> np.ndarray:
    genres = genre_columns(table)
    return np.array(genres)[table[genres].to_numpy().argmax(1)]


def _softmax(scores: pd.DataFrame) -> pd.DataFrame:
    e = np.exp(scores.sub(scores.max(axis=1), axis=0))
    return e.div(e.sum(axis=1), axis=0)


def _one_hot(scores: pd.DataFrame) -> pd.DataFrame:
    hot = np.eye(scores.shape[1])[scores.to_numpy().argmax(1)]
    return pd.DataFrame(hot, columns=scores.columns, index=scores.index)
