"""How far a model's confidence can be believed: pure functions of predictions.

A model's confidence is the probability of the genre that it predicts. A temperature divides all
logits before the softmax (Guo et al., ICML 2017). The headline vote is a mean of log-probabilities,
so cooling the clips and cooling their vote give a song the same probabilities, and the same genre.

The temperature minimises the songs' negative log-probability on the valid part: songs are what is
asked for, and clips of one song are no independent evidence. That part also chose a network's
epoch, so its raw confidence is optimistic there, and the temperature is too low rather than high.
"""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from gtzan_lightning.results.by_artist import artist_of, clusters
from gtzan_lightning.results.predictions import genre_columns, vote

BINS = 15  # of equal numbers of predictions; equally confident ones share a bin
COVERAGES = (50, 80, 90)  # percent
LEAST, MOST = 0.1, 10.0  # temperatures; a part that is all right would ask for 0
FOLDS = 5
DRAWS = 200


def calibration(predictions: pd.DataFrame, part: str) -> dict[str, float]:
    """Scores of a part's confidence, of single clips and of songs by the headline vote.

    ``song_nll_calibrated`` and ``song_ece_calibrated`` are after a temperature of the valid part;
    on that part itself each fifth of the artists gets the temperature of the others.
    """
    clips = predictions[predictions["part"] == part]
    if clips.empty:
        return {}
    values: dict[str, float] = {}
    for level, table in (("clip", clips), ("song", vote(clips))):
        values |= {f"{level}_{n}": v for n, v in _scores(*arrays(table)).items()}
    log_probs = calibrated(predictions, part)
    if log_probs is not None:
        truth = arrays(vote(clips))[1]
        values["song_nll_calibrated"] = nll(log_probs, truth)
        values["song_ece_calibrated"] = ece(*answers(log_probs, truth))
    return values


def reliabilities(predictions: pd.DataFrame, part: str) -> dict[str, pd.DataFrame]:
    """``reliability`` of a part's songs, raw and after the temperature."""
    raw, truth = arrays(vote(predictions[predictions["part"] == part]))
    each = {"raw": raw, "with the temperature": calibrated(predictions, part)}
    return {n: reliability(*answers(p, truth)) for n, p in each.items() if p is not None}


def temperature(predictions: pd.DataFrame) -> float:
    """The temperature of the valid part; 1 without such songs."""
    valid = predictions[predictions["part"] == "valid"]
    return 1.0 if valid.empty else fit(*arrays(vote(valid)))


def calibrated(predictions: pd.DataFrame, part: str) -> np.ndarray | None:
    """(song, genre) log-probabilities of a part after a temperature that is not of these songs.

    None where there are too few valid songs for one.
    """
    clips = predictions[predictions["part"] == part]
    songs = vote(clips)
    log_probs, truth = arrays(songs)
    if part != "valid":
        has_valid = (predictions["part"] == "valid").any()
        return cooled(log_probs, temperature(predictions)) if has_valid else None
    cluster = clusters(artist_of(clips).reindex(songs["song"]))
    folds = min(FOLDS, int(cluster.max()) + 1)
    if folds < 2:
        return None
    fold = (np.random.default_rng(0).permutation(cluster.max() + 1) % folds)[cluster]
    each = [fit(log_probs[fold != f], truth[fold != f]) for f in range(folds)]
    return cooled(log_probs, np.array(each)[fold][:, None])


def arrays(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Clips or voted songs -> (row, genre) log-probabilities, (row,) numbers of true genres."""
    genres = genre_columns(table)
    truth = pd.Index(genres).get_indexer(pd.Index(table["genre"]))
    return cooled(table[genres].to_numpy(float), 1.0), truth


def cooled(log_probs: np.ndarray, degrees: float | np.ndarray) -> np.ndarray:
    """(row, genre) log-probabilities at a temperature, or at one for each row (row, 1)."""
    logits = log_probs / degrees
    logits = logits - logits.max(1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def fit(log_probs: np.ndarray, truth: np.ndarray) -> float:
    """The temperature, between 0.1 and 10, at which (row, genre) have the least ``nll``."""

    def loss(log_degrees: float) -> float:
        return nll(cooled(log_probs, np.exp(log_degrees)), truth)

    return float(np.exp(minimize_scalar(loss, bounds=(math.log(LEAST), math.log(MOST))).x))


def nll(log_probs: np.ndarray, truth: np.ndarray) -> float:
    """Mean negative log-probability of the true genre, in nats."""
    return float(-log_probs[np.arange(len(truth)), truth].mean())


def answers(log_probs: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(row,) confidences, and (row,) 1 where the predicted genre is right."""
    return np.exp(log_probs.max(1)), (log_probs.argmax(1) == truth).astype(float)


def ece(confidence: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over the bins."""
    bins = _bins(confidence)
    return float(np.abs(np.bincount(bins, confidence - right)).sum() / len(right))


def reliability(confidence: np.ndarray, right: np.ndarray) -> pd.DataFrame:
    """A row for each bin: confidence, accuracy, and the number of predictions ``n``."""
    table = pd.DataFrame({"confidence": confidence, "accuracy": right, "n": 1})
    return table.groupby(_bins(confidence)).agg(
        {"confidence": "mean", "accuracy": "mean", "n": "sum"}
    )


def selective(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(row,) accuracy of the 1, 2, ... most confident predictions; ties count as their mean."""
    shared = pd.Series(right).groupby(confidence).transform("mean").to_numpy()
    return shared[np.argsort(-confidence)].cumsum() / np.arange(1, len(right) + 1)


def sentence(scores: Mapping[str, float]) -> str:
    """One line of the songs' confidence, of a part's scores."""
    after = "song_nll_calibrated" in scores

    def both(name: str) -> str:
        now = f"{scores[f'song_{name}']:.3f}"
        return f"{now} -> {scores[f'song_{name}_calibrated']:.3f}" if after else now

    halves = f"{scores['song_accuracy_at_50']:.3f}, {scores['song_accuracy_at_80']:.3f}"
    return (
        f"confidence{' (-> with the temperature)' * after}: NLL {both('nll')}, ECE {both('ece')} "
        f"(of a perfectly calibrated model on as many songs {scores['song_ece_by_chance']:.3f}); "
        f"top-2 {scores['song_top2']:.3f}; accuracy of the most confident 50, 80 % {halves}"
    )


def _scores(log_probs: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    confidence, right = answers(log_probs, truth)
    random = np.random.default_rng(0)
    draws = random.random((DRAWS, len(right))) < confidence
    at = selective(confidence, right)
    wanted = np.eye(log_probs.shape[1])[truth]
    best = np.argsort(-log_probs, axis=1, kind="stable")[:, :2]
    kept = {c: max(1, -(-c * len(right) // 100)) for c in COVERAGES}
    return {
        "nll": nll(log_probs, truth),
        "brier": float(((np.exp(log_probs) - wanted) ** 2).sum(1).mean()),
        "ece": ece(confidence, right),
        "ece_by_chance": float(np.mean([ece(confidence, draw) for draw in draws])),
        "top2": float((best == truth[:, None]).any(1).mean()),
        **{f"accuracy_at_{c}": float(at[n - 1]) for c, n in kept.items()},
        "risk_area": float(1 - at.mean()),
    }


def _bins(confidence: np.ndarray) -> np.ndarray:
    edges = np.unique(np.quantile(confidence, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.searchsorted(edges, confidence, side="right")
