"""What the best of many recipes on the same test songs is worth."""

import numpy as np
import pandas as pd
import pytest
from conftest import run

from gtzan_lightning.results.by_artist import luck
from gtzan_lightning.results.openings import is_closed, openings_of, part_words
from gtzan_lightning.results.tables import tables

KEY = ("gtzan", "abc", "filtered")


@pytest.mark.parametrize(("systems", "largest"), [(2, 0.564), (30, 2.043)])
def test_luck_is_the_expected_maximum_of_equally_good_independent_systems(systems, largest):
    """Of normal deviates: Teichroew (1956); each song has an artist of its own."""
    draws = np.random.default_rng(0)
    answers = [(draws.random((1, 290)) < 0.6).astype(float) for _ in range(systems)]
    expected = largest * np.sqrt(0.6 * 0.4 / 290)
    assert luck(answers, np.arange(290)) == pytest.approx(expected, rel=0.15)


def test_equal_systems_owe_nothing_to_luck_and_artists_make_it_larger():
    one = (np.random.default_rng(0).random((1, 300)) < 0.6).astype(float)
    assert luck([one, one], np.arange(300)) == 0
    artists = np.arange(300) // 10
    of_artists = [np.random.default_rng(n).random((1, 30)).repeat(10, axis=1) for n in range(5)]
    answers = [(of < 0.6).astype(float) for of in of_artists]
    assert luck(answers, artists) > 2 * luck(answers, np.arange(300))


def test_openings_count_the_ledger_and_runs_of_before_it():
    runs = pd.DataFrame([run("a", recipe="r1"), run("b", recipe="r2", model="other")])
    names = ("corpus", "songs_fingerprint", "protocol")
    entry = dict(zip(names, KEY, strict=True)) | {"model": "small_cnn", "recipe": "r3"}
    ledger = pd.DataFrame([
        entry | {"run": "a"}, entry | {"run": "a"}, entry | {"run": "deleted"},
        entry | {"run": "else", "protocol": "first20"},
    ])  # fmt: skip
    found = openings_of(KEY, runs, ledger)
    assert dict(found["model"].value_counts()) == {"small_cnn": 3, "other": 1}
    (table,) = tables(runs, None, ledger)
    assert table.opened_by == 2  # r3 and, of before the ledger, r2
    assert {row.model: row.opened for row in table.rows} == {"small_cnn": 3, "other": 1}
    assert "2 recipes were measured on these test songs" in table.markdown()


def test_songs_that_serve_to_choose_are_no_closed_part():
    assert part_words("test", "filtered_folds 5 seed 0 v2") == "folds left out"
    assert part_words("test", "filtered, CONTROL training_songs") == "training songs"
    assert part_words("test", "filtered") == "test part"
    assert part_words("valid", "filtered_folds 5 seed 0 v2") == "valid part"
    assert not is_closed("filtered_folds 5 seed 0 v2")
    assert not is_closed("filtered, CONTROL training_songs")
    assert is_closed("filtered, CONTROL shuffled_genres")
    assert is_closed("artist 5 seed 0 v2")
