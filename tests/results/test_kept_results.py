"""The scores of the documentation follow from what docs/results/ keeps."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gtzan_lightning.ladder.table import read_csv as read_ladder
from gtzan_lightning.results.by_artist import clusters, interval
from gtzan_lightning.results.predictions import pooled_scores, scores
from gtzan_lightning.results.reproductions import PUBLISHED
from gtzan_lightning.results.tables import read_csv

DOCS = Path(__file__).parent.parent.parent / "docs"
KEPT = sorted({file.name.split("-")[0] for file in (DOCS / "results").glob("*-seed*.csv.gz")})
ROWS = {row.recipe: row for row in read_csv(DOCS / "results.csv").rows}


@pytest.mark.parametrize("recipe", KEPT)
def test_a_row_follows_from_its_predictions(recipe):
    row = ROWS[recipe]
    seeds = [pd.read_csv(file) for file in sorted((DOCS / "results").glob(f"{recipe}-*.csv.gz"))]
    assert row.seeds == len(seeds)
    alone = [scores(table, "valid") for table in seeds]
    accuracy = sum(of_seed["song_accuracy"] for of_seed in alone) / len(alone)
    assert (row.n, row.accuracy) == (alone[0]["songs"], pytest.approx(accuracy, abs=1e-4))
    pooled = pooled_scores(seeds, "valid")
    for name in ("low", "high", "f1", "auroc", "artists"):
        assert getattr(row, name) == pytest.approx(pooled[name], abs=1e-3), name
    assert row.wilson_low == pytest.approx(alone[0]["song_accuracy_wilson_low"], abs=0.02)


def test_rows_without_predictions_claim_no_artists():
    assert set(KEPT) == {row.recipe for row in ROWS.values() if row.artists is not None}


LADDER = pd.read_csv(DOCS / "results" / "ladder.csv.gz").fillna({"artist": ""})
RUNGS = {(row.model, row.rung): row for row in read_ladder(DOCS / "ladder.csv")}


@pytest.mark.parametrize("key", RUNGS, ids=lambda key: " ".join(key))
def test_a_rung_follows_from_the_genres_that_were_predicted(key):
    row, own = RUNGS[key], LADDER[(LADDER["model"] == key[0]) & (LADDER["rung"] == key[1])]
    assert (own["seed"].nunique(), own["fold"].nunique()) == (row.seeds, row.folds)
    assert own["song"].nunique() == row.n
    assert of_answers(own) == pytest.approx((row.accuracy, row.low, row.high, row.artists))


def of_answers(own):
    """Accuracy, the ends of its interval and the number of artists, of one system's answers."""
    artists = own.groupby("song")["artist"].first()
    right = (own["genre"] == own["predicted"]).astype(float)
    answers = (
        right.groupby([own["seed"], own["song"]]).mean().unstack().reindex(columns=artists.index)
    )
    cluster = clusters(artists)
    return np.nanmean(answers), *interval(answers.to_numpy(), cluster), cluster.max() + 1


def test_every_rung_that_is_kept_is_shown():
    assert set(RUNGS) == set(zip(LADDER["model"], LADDER["rung"], strict=True))


FOLDS = pd.read_csv(DOCS / "results" / "folds.csv.gz").fillna({"artist": ""})
PROTOCOLS = " ".join((DOCS / "protocols.md").read_text().split())


@pytest.mark.parametrize("model", ["logistic_regression", "svm", "random_forest", "knn"])
def test_scores_of_folds_that_serve_to_choose(model):
    chosen = FOLDS["protocol"].str.startswith("filtered_folds") & (FOLDS["model"] == model)
    accuracy, low, high, artists = of_answers(FOLDS[chosen])
    assert artists == 192
    assert f"| {model} | {accuracy:.3f} [{low:.3f}, {high:.3f}] |" in PROTOCOLS


@pytest.mark.parametrize("model", ["logistic_regression", "svm"])
def test_what_finer_groups_than_artists_are_worth(model):
    means = {}
    for name in ("artist_groups", "artist"):
        own = FOLDS[FOLDS["protocol"].str.startswith(f"{name} ") & (FOLDS["model"] == model)]
        right = (own["genre"] == own["predicted"]).groupby(own["protocol"]).mean()
        assert len(right) == 5
        means[name] = right.to_numpy()
    finer, whole = means["artist_groups"], means["artist"]
    words = f"{finer.mean():.3f} on `artist_groups` and {whole.mean():.3f} on `artist`"
    shorter = f"{finer.mean():.3f} and {whole.mean():.3f}"
    assert words in PROTOCOLS or shorter in PROTOCOLS
    assert f"{np.std(finer - whole, ddof=1):.3f}" in PROTOCOLS


CELLS = sorted((DOCS / "results" / "reproductions").glob("*.csv.gz"))
TABLE = (DOCS / "reproductions.md").read_text()


@pytest.mark.parametrize("file", CELLS, ids=lambda file: file.name.split("-")[0])
def test_a_cell_of_the_reproductions_follows_from_its_predictions(file):
    predictions = pd.read_csv(file)
    got = scores(predictions, predictions["part"].iloc[0])
    ends = f"{got['song_accuracy_low']:.3f}, {got['song_accuracy_high']:.3f}"
    lines = re.findall(rf"{got['song_accuracy']:.3f} \[{ends}\], ([^|<]*)", TABLE)
    assert any(f"n = {got['songs']}" in line for line in lines)
    reported = {name for names in PUBLISHED.values() for name in names.values()}
    for name, metric in (("single clips", "clip_accuracy"), ("precision", "song_precision")):
        shown = [line for line in lines if name in line]
        assert not shown or any(f"{name} {got[metric]:.3f}" in line for line in shown)
        assert name in reported


def test_every_filled_cell_has_its_predictions():
    kept = set()
    for file in CELLS:
        predictions = pd.read_csv(file)
        got = scores(predictions, predictions["part"].iloc[0])
        names = ("song_accuracy", "song_accuracy_low", "song_accuracy_high")
        kept.add(tuple(f"{got[name]:.3f}" for name in names))
    number = r"(\d\.\d{3})"
    filled = re.findall(rf"\| {number} \[{number}, {number}\][^|]* gtzan-pictures", TABLE)
    assert len(filled) > 10
    assert set(filled) == kept
