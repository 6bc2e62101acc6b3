import numpy as np
import pandas as pd
import pytest

from gtzan_lightning.results import by_genre
from gtzan_lightning.results.together import accuracy, markdown

SONGS = [f"s{n}" for n in range(8)]


def table(right, songs=SONGS):
    """Predictions of rock songs; ``right`` gives each song's probability of rock."""
    rows = zip(songs, right, strict=True)
    return pd.DataFrame(
        [["test", s, "", 0.0, "rock", np.log(1 - p), np.log(p)] for s, p in rows],
        columns=["part", "song", "artist", "start", "genre", "jazz", "rock"],
    )  # fmt: skip


TABLES = {
    "1": table([0.9] * 6 + [0.4] * 2),  # 6 of 8
    "2": table([0.45] * 4 + [0.9] * 4),  # 4 of 8, unsure where it is wrong
    "3": table([0.01] * 8),
}
LINES = pd.DataFrame(
    [
        {"run_id": run, "model": model, "features": "mel", "recipe": "a", "precision": "",
         "seed": "0", "fold": "0", "form": ""}
        for run, model in (("1", "mn"), ("2", "cnn"), ("3", "knn"))
    ]
)  # fmt: skip


def test_the_best_are_joined_one_by_one():
    lines = markdown(LINES, TABLES.get, "test").splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [(name, score) for name, _, _, score, _ in cells] == [
        ("mn: mel", "0.750"),
        ("cnn: mel", "0.500"),
        ("knn: mel", "0.000"),
        ("the first 2 together", "1.000"),
        ("the first 3 together", "0.000"),
    ]
    assert markdown(LINES, lambda run: None, "test") == "Not measured yet."


def test_a_vote_stands_beside_the_same_seeds_of_its_members():
    """mn's second seed, 0 of 8, has no counterpart, and svm's only seed none among the better."""
    again = pd.DataFrame([
        {**LINES.iloc[0], "run_id": "3", "seed": "1"},
        {**LINES.iloc[0], "run_id": "2", "seed": "7", "model": "svm"},
    ])  # fmt: skip
    lines = markdown(pd.concat([LINES.iloc[:2], again]), TABLES.get, "test")
    assert "| mn: mel              | 8   | 1       | 0.750 " in lines
    assert "svm" not in lines


def test_of_several_recipes_a_models_own_counts():
    lines = LINES.assign(model="mn", recipe=["newest", "own", "other"], form=["", "own", ""])
    assert "0.500" in markdown(lines, TABLES.get, "test")


def test_folds_are_one_test_and_seeds_are_averaged():
    first, rest = TABLES["1"].iloc[:2], TABLES["1"].iloc[2:]
    runs = {("0", "0"): first, ("0", "1"): rest, ("1", "0"): TABLES["2"]}
    own = accuracy(runs, "test")
    assert (own.songs, own.accuracy) == (8, pytest.approx((0.75 + 0.5) / 2))
    assert own.low < own.accuracy < own.high


def test_each_genre_has_its_share_and_what_it_is_taken_for():
    runs = {("0", "0"): TABLES["1"], ("1", "0"): TABLES["2"]}
    last = by_genre.markdown(runs, "test").splitlines()[-1]
    assert [cell.strip() for cell in last.strip("|").split("|")] == [
        "rock", "8", "0.62", "jazz 0.38",
    ]  # fmt: skip
    assert by_genre.markdown({}, "test") == "Not measured yet."
