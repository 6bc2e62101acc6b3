"""The scores of the documentation follow from what docs/results/ keeps."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gtzan_lightning.commands.results import measures
from gtzan_lightning.ladder.table import read_csv as read_ladder
from gtzan_lightning.results import ledger
from gtzan_lightning.results.by_artist import clusters, interval
from gtzan_lightning.results.predictions import scores

DOCS = Path(__file__).parent.parent.parent / "docs"
assert (DOCS / "results.sha256").exists()  # without which a change by hand would pass
LINES = ledger.read(DOCS / "results.csv").set_index("run_id")
NO_RUN = ("folds.csv.gz", "ladder.csv.gz")
KEPT = {f.name.split(".")[0]: f for f in (DOCS / "results").glob("*.gz") if f.name not in NO_RUN}


@pytest.mark.parametrize("run", KEPT)
def test_a_line_of_the_ledger_follows_from_its_predictions(run):
    line, predictions = LINES.loc[run], pd.read_csv(KEPT[run]).fillna({"artist": ""})
    assert set(predictions["part"]) <= {"valid", "test"}
    for part in set(predictions["part"]):
        for name, value in scores(predictions, part).items():
            column = f"final/{part}/{name}"
            if column in LINES:
                assert line[column] == pytest.approx(value, abs=1e-4), column


def test_every_line_says_what_its_recipe_measures_now():
    known = measures(DOCS.parent)
    for run, line in LINES.iterrows():
        assert (line["system"], line["form"]) == known.get(line["recipe"], ("", "")), run


def test_lines_without_predictions_claim_no_artists():
    parts = LINES[["final/valid/artists", "final/test/artists"]]
    assert set(KEPT) == set(LINES.index[parts.notna().any(axis=1)])


def test_lines_are_of_committed_code_and_say_what_leaks():
    for run, line in LINES.reset_index().set_index("run_id", drop=False).iterrows():
        assert line["n"] == line[f"final/{line['part']}/songs"], run
        if not run.startswith(("before-", "sealed-")):
            ledger.check(line)


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
