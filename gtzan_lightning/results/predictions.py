"""Every score, recomputed from ``predictions.csv``.

Macro scores are averages over the genres that a part has songs of.
A clip's prediction is its ten log-probabilities. A song is voted by its clips in three ways: the
mean log-probability (the headline; a product of experts), the mean probability, and the hard
majority (ties go to the clips' mean log-probability).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import log_softmax
from sklearn import metrics as sk

from gtzan_lightning.recipe.predictions_csv import KEYS
from gtzan_lightning.results.by_artist import artist_of, clusters, interval, luck
from gtzan_lightning.results.intervals import wilson

VOTES = ("log_mean", "mean", "hard")


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
        self,
        part: str,
        songs: Sequence[str],
        genres: Sequence[str],
        seconds_per_step: float = 1,
        artists: Mapping[str, str] | None = None,
    ) -> pd.DataFrame:
        """Columns part, song, artist, start (seconds), genre, a log-probability for each genre.

        A clip that several processes predicted has one row.

        Args:
            songs: ids of the corpus' songs.
            artists: artist of each song by id, "" where unknown.
        """
        ids = [songs[row] for row in self.song]
        table = pd.DataFrame({
            "part": part,
            "song": ids,
            "artist": [(artists or {}).get(song, "") for song in ids],
            "start": (self.start * seconds_per_step).round(3),
            "genre": [genres[number] for number in self.genre],
        })  # fmt: skip
        table[list(genres)] = self.log_probs.astype(np.float64)
        clip = ["part", "song", "start"]
        return table.drop_duplicates(clip).sort_values(clip, ignore_index=True)


def genre_columns(predictions: pd.DataFrame) -> list[str]:
    """The genres, in the order of the columns."""
    return [column for column in predictions.columns if column not in KEYS]


def vote(predictions: pd.DataFrame, how: str = "log_mean") -> pd.DataFrame:
    """Predictions of one part -> a row for each song: song, genre and a score for each genre.

    ``how`` is one of ``VOTES``.
    """
    log_probs = predictions[genre_columns(predictions)].astype(float)
    songs = [predictions["song"], predictions["genre"]]
    log_mean = log_probs.groupby(songs).mean()
    if how == "log_mean":
        voted = log_mean
    elif how == "mean":
        voted = log_probs.transform(np.exp).groupby(songs).mean()
    else:  # of a tie, the genre that the headline vote prefers: its share is below one clip's
        hot = np.eye(log_probs.shape[1])[log_probs.to_numpy().argmax(1)]
        hard = pd.DataFrame(hot, log_probs.index, log_probs.columns).groupby(songs).mean()
        voted = hard + log_mean.transform(np.exp) * 1e-6
    return voted.reset_index()


def predicted(table: pd.DataFrame) -> np.ndarray:
    """(row,) the genre of the highest score, of clips or of voted songs."""
    genres = genre_columns(table)
    return np.array(genres)[table[genres].to_numpy().argmax(1)]


def scores(predictions: pd.DataFrame, part: str) -> dict[str, float]:
    """Every score of a part: per clip and per song, with n and the headline's interval."""
    clips = predictions[predictions["part"] == part]
    if clips.empty:
        return {}
    songs = vote(clips)
    values: dict[str, float] = {"songs": len(songs), "clips": len(clips)}
    for level, table in (("clip", clips), ("song", songs)):
        values |= {f"{level}_{name}": value for name, value in _scores(table).items()}
    own = clips[genre_columns(clips)].to_numpy()[np.arange(len(clips)), _numbers(clips)]
    values["clip_loss"] = float(-own.mean())
    for how in ("mean", "hard"):
        values[f"song_accuracy_{how}"] = _scores(vote(clips, how))["accuracy"]
    return values | _intervals(songs, artist_of(clips))


def _intervals(songs: pd.DataFrame, artists: pd.Series) -> dict[str, float]:
    """The headline's interval: by artist where any is known, else Wilson's, which stands beside."""
    right = (songs["genre"] == predicted(songs)).to_numpy(dtype=float)
    low, high = own = wilson(float(right.mean()), len(right))
    cluster = clusters(artists.reindex(songs["song"]))
    values = {"song_accuracy_wilson_low": low, "song_accuracy_wilson_high": high}
    if (artists != "").any():
        own = interval(right[None], cluster)
        values["artists"] = int(cluster.max()) + 1
    return values | {"song_accuracy_low": own[0], "song_accuracy_high": own[1]}


def pooled_scores(seeds: Sequence[pd.DataFrame], part: str) -> dict[str, Any]:
    """Scores of several seeds, each the predictions of all its folds.

    F1 and AUROC are of all songs of a seed, averaged over seeds. Where artists are known, the
    interval of the accuracy is over seeds and artists.
    """
    parts = [table[table["part"] == part] for table in seeds]
    of_seeds = [_scores(vote(clips)) for clips in parts]
    values: dict[str, Any] = {
        name: float(np.mean([scores[name] for scores in of_seeds])) for name in ("f1", "auroc")
    }
    artists = artist_of(parts[0])
    if not (artists != "").any():
        return values
    cluster = clusters(artists)
    low, high = interval(answers(parts, artists.index), cluster)
    return values | {"low": low, "high": high, "artists": int(cluster.max()) + 1}


def answers(seeds: Sequence[pd.DataFrame], songs: pd.Index) -> np.ndarray:
    """(seed, song) 1 where the headline vote is right, else 0; NaN where a seed lacks the song.

    Args:
        seeds: predictions of one part by each seed.
    """
    right = []
    for clips in seeds:
        voted = vote(clips).set_index("song")
        right.append((voted["genre"] == predicted(voted)).astype(float).reindex(songs))
    return np.stack(right)


def luck_of_best(systems: Sequence[Sequence[pd.DataFrame]], part: str) -> float:
    """``by_artist.luck`` of several systems, each the predictions of its seeds."""
    of_part = [[table[table["part"] == part] for table in seeds] for seeds in systems]
    artists = pd.concat([artist_of(clips) for seeds in of_part for clips in seeds])
    artists = artists.groupby(level=0).first()
    return luck([answers(seeds, artists.index) for seeds in of_part], clusters(artists))


def per_genre(predictions: pd.DataFrame, part: str) -> pd.DataFrame:
    """Precision, recall, F1 and support (songs) of each genre, headline vote."""
    songs = vote(predictions[predictions["part"] == part])
    genres = genre_columns(songs)
    columns = sk.precision_recall_fscore_support(
        songs["genre"], predicted(songs), labels=genres, zero_division=0
    )
    table = dict(zip(("precision", "recall", "f1", "support"), columns, strict=True))
    return pd.DataFrame({"genre": genres, **table})


def confusion(predictions: pd.DataFrame, part: str) -> np.ndarray:
    """(genre, genre) songs of a genre (row) that were predicted as another (column)."""
    songs = vote(predictions[predictions["part"] == part])
    return sk.confusion_matrix(songs["genre"], predicted(songs), labels=genre_columns(songs))


def _scores(table: pd.DataFrame) -> dict[str, float]:
    genres = genre_columns(table)
    truth, answers = table["genre"], predicted(table)
    present = [g for g in genres if (truth == g).any()]
    # neighbours give equal probabilities; rounding keeps their ties from float noise
    ranks = pd.DataFrame(log_softmax(table[genres].to_numpy(), axis=1).round(6), columns=genres)
    areas = [
        sk.roc_auc_score(truth == g, ranks[g]) for g in present if len(present) > 1
    ]  # fmt: skip
    macro = sk.precision_recall_fscore_support(
        truth, answers, labels=present, average="macro", zero_division=0
    )
    return {
        "accuracy": float(sk.accuracy_score(truth, answers)),
        "f1": macro[2],
        "f1_weighted": float(sk.f1_score(truth, answers, average="weighted", zero_division=0)),
        "precision": macro[0],
        "recall": macro[1],
        "auroc": float(np.mean(areas)) if areas else float("nan"),
    }


def _numbers(table: pd.DataFrame) -> np.ndarray:
    """(row,) number of the true genre."""
    return np.array([genre_columns(table).index(genre) for genre in table["genre"]])
