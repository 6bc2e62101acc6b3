"""Song votes while training, and every figure recomputed from ``predictions.csv``.

Macro figures are averages over the genres that a part has songs of.
A clip's prediction is its ten log-probabilities. A song is voted by its clips in three ways: the
mean log-probability (the headline; a product of experts), the mean probability, and the hard
majority (ties go to the clips' mean log-probability).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import binomtest
from sklearn import metrics as sk
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional import classification as tm

VOTES = ("log_mean", "mean", "hard")
KEYS = ("part", "song", "start", "genre")


class SongVotes(Metric):
    """Votes of clips for songs, as sums: right on any number of batches and processes.

    ``compute`` gives accuracy, macro F1 and macro AUROC of the songs that were seen (headline
    vote), the accuracies of the other two votes, and the mean negative log-probability.
    """

    full_state_update = False

    def __init__(self, songs: int, genres: int) -> None:
        super().__init__()
        self.genres = genres
        for name in VOTES:
            self.add_state(name, torch.zeros(songs, genres), dist_reduce_fx="sum")
        self.add_state("clips", torch.zeros(songs), dist_reduce_fx="sum")
        self.add_state("genre", torch.zeros(songs, dtype=torch.long), dist_reduce_fx="max")

    def update(self, log_probs: Tensor, song: Tensor, genre: Tensor) -> None:
        """log_probs (clip, genre); song (clip,) rows; genre (clip,)."""
        log_probs = log_probs.detach().to(self.log_mean.dtype)
        hard = torch.nn.functional.one_hot(log_probs.argmax(1), self.genres).to(log_probs)
        self.log_mean.index_add_(0, song, log_probs)
        self.mean.index_add_(0, song, log_probs.exp())
        self.hard.index_add_(0, song, hard)
        self.clips.index_add_(0, song, torch.ones_like(song, dtype=self.clips.dtype))
        self.genre[song] = genre

    def compute(self) -> dict[str, Tensor]:
        seen = self.clips > 0
        genre = self.genre[seen]
        log_mean = self.log_mean[seen] / self.clips[seen, None]
        figures = clip_figures(log_mean, genre, self.genres)
        figures["loss"] = torch.nn.functional.nll_loss(log_mean.log_softmax(1), genre)
        tie = 0.5 * log_mean.exp()  # below one vote
        for name, vote in (("mean", self.mean[seen]), ("hard", self.hard[seen] + tie)):
            figures[f"accuracy_{name}"] = (vote.argmax(1) == genre).float().mean()
        return figures


def clip_figures(log_probs: Tensor, genre: Tensor, genres: int) -> dict[str, Tensor]:
    """Accuracy, macro F1 and macro AUROC with torchmetrics; (row, genre), (row,)."""
    per_genre = {
        "accuracy": tm.multiclass_accuracy(log_probs, genre, genres, average="micro"),
        "f1": tm.multiclass_f1_score(log_probs, genre, genres, average=None),
        "auroc": tm.multiclass_auroc(log_probs.softmax(1), genre, genres, average=None),
    }
    return macro(per_genre, torch.bincount(genre, minlength=genres))


def macro(figures: dict[str, Tensor], support: Tensor) -> dict[str, Tensor]:
    """Average F1 and AUROC (genre,) over the genres that are there: support (genre,) above 0."""
    present = support > 0
    averaged = {name: figures[name][present].mean() for name in ("f1", "auroc")}
    return {"accuracy": figures["accuracy"], **averaged}


def predictions_table(rows: dict[str, Any], genres: Sequence[str]) -> pd.DataFrame:
    """Columns part, song, start (seconds), genre and one log-probability for each genre."""
    table = pd.DataFrame({key: rows[key] for key in KEYS})
    table[list(genres)] = np.asarray(rows["log_probs"], dtype=np.float64)
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
