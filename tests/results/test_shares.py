import numpy as np
import pandas as pd
import pytest

from gtzan_lightning.results.plots import shares_plot
from gtzan_lightning.results.shares import apart, class_of, markdown, shares


def line(run, model, songs, accuracy, protocol, seed="0", recipe="a", minutes=2.0):
    return {
        "run_id": run, "model": model, "features": "mel 128", "recipe": recipe, "precision": "",
        "seed": seed, "fold": "0", "form": "", "protocol": protocol, "songs": songs,
        "final/valid/song_accuracy": accuracy, "final/valid/songs": 100.0,
        "minutes": minutes,
    }  # fmt: skip


LINES = pd.DataFrame([
    line("1", "mn", "train 442 of 443, valid 197", 0.8, "filtered"),
    line("2", "mn", "train 442 of 443, valid 197", 0.7, "filtered", seed="1", minutes=3.0),
    line("3", "mn", "train 44, valid 197", 0.5, "filtered, train 44", recipe="b"),
    line("4", "knn", "train 442 of 443, valid 197", 0.4, "filtered"),
    line("5", "cnn", "train 44, valid 197", 0.2, "filtered, train 44"),
    line("6", "cnn", "train 442 of 443, valid 197", 0.6, "filtered"),
    line("7", "cnn", "", 0.9, "filtered", recipe="lost"),
    line("8", "cnn", "train 90, valid 10", 0.9, "stratified"),
])  # fmt: skip


def test_systems_with_several_numbers_of_training_songs_have_a_curve():
    systems = shares(LINES, lambda run: None)
    assert list(systems) == ["cnn: mel 128", "mn: mel 128"]
    assert [(s.songs, s.accuracy, s.seeds) for s in systems["mn: mel 128"]] == [
        (44, 0.5, 1),
        (442, pytest.approx(0.75), 2),
    ]
    assert [s.accuracy for s in systems["cnn: mel 128"]] == [0.2, 0.6]
    one = systems["mn: mel 128"][0]
    assert one.low < 0.42 < 0.58 < one.high  # Wilson's, of 100 songs
    table = markdown(systems).splitlines()
    assert "44 songs" in table[0]
    assert "442 songs" in table[0]
    assert "0.750 [0.657, 0.825], 2 seeds" in table[3]
    assert table[3].split("|")[-2].strip() == "2.5"  # minutes, of all songs
    assert markdown({}) == "Not measured yet."


def answers(right):
    """Predictions of 60 jazz songs of as many artists; the first ones are right."""
    rows = [
        ["valid", f"s{n}", f"a{n}", 0.0, "jazz", *np.log([0.9, 0.1][:: 1 if n < right else -1])]
        for n in range(60)
    ]
    columns = ["part", "song", "artist", "start", "genre", "jazz", "rock"]
    return pd.DataFrame(rows, columns=columns)


def test_systems_that_can_be_told_apart_are_named_by_their_number_of_songs():
    right = {"1": 50, "2": 50, "3": 50, "5": 20, "6": 48}
    table = apart(LINES, {run: answers(n) for run, n in right.items()}.get)
    (row,) = table.splitlines()[2:]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:4] == ["44", "mn: mel 128", "cnn: mel 128", "0.500"]
    assert cells[-1] == "1"
    assert apart(LINES, lambda run: None) == "None can be told apart."


@pytest.mark.parametrize(
    ("system", "known"),
    [
        ("knn: mfcc 20, 3 s", "classical"),
        ("small_cnn: mel 128, 3.9 s", "from scratch"),
        ("own.module:Net: mel 128, 3.9 s", "from scratch"),
        ("efficientnet: mel 128, 3.9 s; saw ImageNet", "ImageNet"),
        ("mn: kaldi 128, 10 s; heard AudioSet", "heard before"),
        ("logistic_regression: embedding crnn of htk 96, 10 s; heard MSD", "heard before"),
    ],
)
def test_a_systems_class_is_what_it_has_learnt_from(system, known):
    assert class_of(system) == known


def test_the_plot_names_the_systems():
    figure = shares_plot(shares(LINES, lambda run: None))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "cnn: mel 128",
        "mn: mel 128",
    ]
    shares_plot({})  # before anything is measured
