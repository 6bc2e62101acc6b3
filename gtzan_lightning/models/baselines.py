"""scikit-learn baselines: a number vector for every clip, a classifier, the same votes.

Sources: basak (SVM on flattened MFCCs after PCA; logistic regression on a feature table), zhang
(KNN and SVM on waveforms, time-averaged STFT and mel pictures; a random forest in its
literature row). Scaler and PCA are fitted on the training part alone.
"""

import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rich.progress import track
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from gtzan_lightning.data.module import GenreData
from gtzan_lightning.data.telltale import tell_tale_columns
from gtzan_lightning.errors import NoNumber, UserError
from gtzan_lightning.models.embeddings import embeddings
from gtzan_lightning.recipe.baseline_settings import (
    ClassicalSettings,
    KnnSettings,
    LogisticRegressionSettings,
    RandomForestSettings,
    SvmSettings,
)
from gtzan_lightning.recipe.bounded import csv_of
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.results.predictions import ClipPredictions

Vectors = Callable[[str], dict[str, np.ndarray]]  # part -> vector, song, start, genre of its clips

# share of every probability that is spread over all genres: a neighbour's or a tree's "never"
# would silence all other clips in a vote of log-probabilities
DOUBT = 0.01
LARGEST = 1e30  # of a feature: the square of a larger one is infinite
MOST_BINS = 256  # of a covariance
NO_FEATURES = ("filename", "id", "label", "genre", "length")


def fit_and_predict(recipe: Recipe, data: GenreData) -> tuple[dict[str, ClipPredictions], float]:
    """Fit on the training clips; predict the parts that the recipe measures.

    Returns:
        The predictions of each part, and the minutes that it took.

    Raises:
        UserError: a feature table that can't be used, fewer clips than neighbours or components,
            or features that are no numbers.
    """
    start = time.monotonic()
    settings = recipe.model
    vectors = _of_table(settings, data) if settings.table else _of_clips(settings, data)
    train = _of_numbers(vectors("train"), data)
    least = max(getattr(settings, "neighbours", 1), settings.components or 1)
    if min(train["vector"].shape) < (settings.components or 1) or len(train["vector"]) < least:
        raise UserError(
            f"{len(train['vector'])} training clips of {train['vector'].shape[1]} numbers are too "
            "few for model.neighbours or model.components: ask for fewer"
        )
    fitted = pipeline(settings, recipe.seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        fitted.fit(train["vector"], train["genre"])
    if any(issubclass(w.category, ConvergenceWarning) for w in caught):
        print(f"stopped before it converged, after model.iterations {settings.iterations}")
    predictions = {}
    for part in data.measured_parts:
        clips = dict(train) if part == "train" else _of_numbers(vectors(part), data)
        scores = log_probabilities(fitted, clips.pop("vector"), data.genres)
        predictions[part] = ClipPredictions(scores, **clips)
    return predictions, (time.monotonic() - start) / 60


def _of_numbers(clips: dict[str, np.ndarray], data: GenreData) -> dict[str, np.ndarray]:
    """The vectors of clips. Raises NoNumber where one is NaN or infinite; names the song."""
    bad = np.flatnonzero(~np.isfinite(clips["vector"]).all(1))
    if len(bad):
        song = data.corpus.ids[int(clips["song"][bad[0]])]
        raise NoNumber(
            f"the features of {len(bad)} of {len(clips['song'])} clips are no numbers, such as one "
            f"of song {song}: leave that song out, or take other data.features"
        )
    return clips


def _of_clips(settings: ClassicalSettings, data: GenreData) -> Vectors:
    heard = embeddings(data) if data.recipe.data.features == "embedding" else None

    @torch.inference_mode()
    def vectors(part: str) -> dict[str, np.ndarray]:
        columns: dict[str, list[np.ndarray]] = {"vector": [], "song": [], "start": [], "genre": []}
        hidden = not sys.stdout.isatty()
        for batch in track(data.batches(part), f"{part} clips", transient=True, disable=hidden):
            if heard:
                heard.learn(batch)
                columns["vector"].append(heard.of(batch))
            else:
                picture = data.features.plain(batch["clip"])
                columns["vector"].append(summarise(picture, settings.summary))
            for name in ("song", "start", "genre"):
                columns[name].append(batch[name].numpy())
        if heard:
            heard.keep()
        return {name: np.concatenate(values) for name, values in columns.items()}

    return vectors


def _of_table(settings: ClassicalSettings, data: GenreData) -> Vectors:
    if data.split.by_clip:
        raise UserError("model.table has no clips that data.split clips could cut")
    ids, genres = data.corpus.ids, data.genre_numbers.numpy()
    # songs of a folder of your own have a suffix
    table = read_table(settings).rename(index={_bare(song): song for song in ids})
    lacking = [song for song in ids if song not in table.index]
    if lacking:
        raise UserError(
            f"model.table {settings.table} lacks {len(lacking)} of {len(ids)} songs, such as "
            f"{lacking[0]}: it belongs to another corpus"
        )
    _refuse_tell_tale(settings, table, data)
    if settings.leaky_id:
        table["row number"] = np.arange(len(table), dtype=float)
    vector = dict(zip(table.index, table.to_numpy(), strict=True))

    def vectors(part: str) -> dict[str, np.ndarray]:
        data.open_part(part)
        rows = [ids.index(song) for song in data.split.songs(part)]
        return {
            "vector": np.stack([vector[ids[row]] for row in rows]),
            "song": np.array(rows),
            "start": np.zeros(len(rows), dtype=int),
            "genre": genres[rows],
        }

    return vectors


def pipeline(settings: ClassicalSettings, seed: int) -> Pipeline:
    """Scaler and PCA where asked for, classifier."""
    steps: list[Any] = [StandardScaler()] if settings.standardise else []
    if settings.components:
        steps.append(PCA(settings.components, random_state=seed))
    match settings:
        case KnnSettings():
            steps.append(KNeighborsClassifier(settings.neighbours))
        case SvmSettings():
            steps.append(SVC(kernel=settings.kernel, C=settings.penalty))
        case LogisticRegressionSettings():
            steps.append(LogisticRegression(C=settings.penalty, max_iter=settings.iterations))
        case RandomForestSettings():
            steps.append(RandomForestClassifier(settings.trees, n_jobs=-1, random_state=seed))
    return make_pipeline(*steps)


def log_probabilities(fitted: Pipeline, vectors: np.ndarray, genres: int) -> np.ndarray:
    """(clip, number) -> (clip, genre); an SVM's are the softmax of its decision values."""
    scores = np.full((len(vectors), genres), np.log(DOUBT / genres))
    if isinstance(fitted[-1], SVC):
        decision = np.asarray(fitted.decision_function(vectors), dtype=float)
        if decision.ndim == 1:  # two genres
            decision = np.stack([-decision, decision], axis=1)
        probabilities = np.exp(decision - decision.max(1, keepdims=True))
        probabilities /= probabilities.sum(1, keepdims=True)
    else:
        probabilities = fitted.predict_proba(vectors)
    scores[:, fitted.classes_] = np.log((1 - DOUBT) * probabilities + DOUBT / genres)
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


def summarise(picture: torch.Tensor, how: str) -> np.ndarray:
    """(clip, bin, frame) -> (clip, number): mean over time, mean and covariance, or everything.

    Raises:
        UserError: a covariance of more bins than a classifier of hundreds of songs can use.
    """
    if how == "flatten":
        return picture.flatten(1).numpy()
    mean = picture.mean(2)
    if how == "mean":
        return mean.numpy()
    bins = picture.shape[1]
    if bins > MOST_BINS:
        raise UserError(
            f"model.summary mean_covariance of {bins} bins is {bins * (bins + 3) // 2:,} numbers "
            "a clip: take model.summary mean"
        )
    centred = picture - mean.unsqueeze(2)
    covariance = centred @ centred.transpose(1, 2) / max(1, picture.shape[2] - 1)
    rows, columns = torch.triu_indices(*covariance.shape[1:])
    return torch.cat([mean, covariance[:, rows, columns]], dim=1).numpy()


def _bare(song: str) -> str:
    return song.removesuffix(".wav").removesuffix(".au")


def read_table(settings: ClassicalSettings) -> pd.DataFrame:
    """A feature table: a row for each song by its id, in the file's order; a column a number.

    Raises:
        UserError: no such file, no column that names songs, or a column that it does not have.
    """
    path = Path(str(settings.table))
    rows = csv_of(path, "model.table")
    names = list(rows[0]) if rows else []
    key = next((name for name in ("filename", "id", "song") if name in names), None)
    if key is None:
        raise UserError(f"model.table {path} has no rows with a filename or id column")
    columns = list(settings.columns) or [
        name for name in names if name not in NO_FEATURES and _is_number(rows[0][name])
    ]
    lacking = [name for name in columns if name not in names]
    if lacking:
        raise UserError(f"model.table {path} has no column {', '.join(lacking)}")
    table: dict[str, list[float]] = {}
    for line, row in enumerate(rows, 2):
        song = _bare(row[key])
        cells = {name: row[name] for name in columns}
        bad = [n for n, c in cells.items() if not (_is_number(c) and abs(float(c)) < LARGEST)]
        if bad or song in table:
            what = f"has {bad[0]} {cells[bad[0]]!r}, no number" if bad else "is there twice"
            raise UserError(
                f"model.table {path}, line {line}: {song} {what}: leave that song or column out"
            )
        table[song] = [float(cell) for cell in cells.values()]
    return pd.DataFrame.from_dict(table, orient="index", columns=columns)


def _refuse_tell_tale(settings: ClassicalSettings, table: pd.DataFrame, data: GenreData) -> None:
    """Raises UserError for a column that tells the genre without music."""
    genre_of = {song["id"]: song["genre"] for song in data.corpus.songs}
    here = table[table.index.isin(genre_of)]
    reasons = tell_tale_columns(here, [genre_of[song] for song in here.index])
    if not reasons or settings.leaky_columns:
        return
    words = [f"{name or '(no name)'} {why}" for name, why in reasons.items()]
    raise UserError(
        f"model.table {settings.table} tells the genre without music: {'; '.join(words)}. Leave "
        "such columns out (model.columns), or measure the leak with model.leaky_columns"
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
