from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gtzan_lightning.results import calibration as c
from gtzan_lightning.results.predictions import predicted, scores, vote

DOCS = Path(__file__).parents[2] / "docs"
GENRES = [f"g{n}" for n in range(10)]


def songs(count, temperature=1.0, seed=0, parts=("valid", "test"), clips=3):
    """Predictions whose songs are right as often as they say, once cooled by ``temperature``."""
    random = np.random.default_rng(seed)
    tables = []
    for part in parts:
        log_probs = c.cooled(random.normal(0, 2.5, (count, 10)), 1.0)
        drawn = (np.exp(log_probs).cumsum(1) < random.random((count, 1))).sum(1).clip(max=9)
        noise = random.normal(0, 0.5, (clips, count, 10))
        noise -= noise.mean(0)  # the clips' mean is the song's
        for number, shift in enumerate(noise):
            rows = pd.DataFrame(c.cooled((log_probs + shift) * temperature, 1.0), columns=GENRES)
            rows.insert(0, "part", part)
            rows.insert(1, "song", [f"{part}{n}" for n in range(count)])
            rows.insert(2, "start", float(number))
            rows.insert(3, "genre", np.array(GENRES)[drawn])
            tables.append(rows)
    return pd.concat(tables, ignore_index=True)


def test_a_calibrated_model_has_no_error_and_an_overconfident_one_the_known_one():
    random = np.random.default_rng(0)
    confidence = random.uniform(0.1, 1, 100_000)
    right = (random.random(100_000) < confidence).astype(float)
    assert c.ece(confidence, right) < 0.01
    assert c.ece(np.full(10, 0.9), np.repeat([1.0, 0.0], [6, 4])) == pytest.approx(0.3)
    # over and under must not cancel
    halves = np.repeat([0.2, 0.9], 50)
    assert c.ece(halves, np.full(100, 0.5) > np.tile([0.4, 0.6], 50)) == pytest.approx(0.35)


def test_an_ece_is_beside_what_a_calibrated_model_would_have_on_as_few_songs():
    few, many = (c.calibration(songs(n, parts=["test"]), "test") for n in (150, 3000))
    assert few["song_ece_by_chance"] > 3 * many["song_ece_by_chance"]
    assert many["song_ece"] < 2 * many["song_ece_by_chance"]


@pytest.mark.parametrize("truth", [0.5, 2.5])
def test_the_temperature_of_the_valid_songs_is_found_and_serves_the_test_songs(truth):
    table = songs(1500, truth)
    assert c.temperature(table) == pytest.approx(truth, rel=0.08)
    for part in ("valid", "test"):
        got = c.calibration(table, part)
        assert got["song_nll_calibrated"] < got["song_nll"] - 0.02
        assert got["song_ece_calibrated"] < 0.5 * got["song_ece"]
    only = table[table["part"] == "test"]
    assert "song_nll_calibrated" not in c.calibration(only, "test")
    assert c.temperature(only) == 1


def test_no_valid_song_gets_a_temperature_that_its_artist_chose():
    """Two artists, one of whom is always wrong: each gets what the other one asks for."""
    table = songs(40, parts=["valid"], clips=1)
    answers = predicted(table)
    wrong = np.arange(40) < 20
    table["genre"] = np.where(
        wrong, np.roll(GENRES, 1)[[GENRES.index(a) for a in answers]], answers
    )
    table.insert(2, "artist", np.where(wrong, "w", "r"))
    log_probs = dict(zip(vote(table)["song"], c.calibrated(table, "valid"), strict=True))
    sure = np.array([np.exp(log_probs[song].max()) for song in table["song"]])
    assert sure[wrong].mean() > 0.9 > 0.3 > sure[~wrong].max()


def test_a_temperature_changes_no_song_and_cooled_clips_vote_as_a_cooled_vote():
    table = songs(300, parts=["test"])
    cold = table.copy()
    cold[GENRES] = c.cooled(table[GENRES].to_numpy(), 3.7)
    assert list(predicted(vote(cold))) == list(predicted(vote(table)))
    before, after = (scores(t, "test")["song_accuracy"] for t in (table, cold))
    assert before == after
    of_clips, _ = c.arrays(vote(cold))
    of_songs = c.cooled(c.arrays(vote(table))[0], 3.7)
    np.testing.assert_allclose(of_clips, of_songs, atol=1e-9)


def test_scores_by_hand():
    p = np.array([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.4, 0.35, 0.25], [0.6, 0.3, 0.1]])
    table = pd.DataFrame(np.log(p), columns=["a", "b", "c"])
    table.insert(0, "genre", ["a", "b", "c", "a"])
    table.insert(0, "song", list("wxyz"))
    table.insert(0, "part", "test")
    table.insert(0, "start", 0.0)
    got = c.calibration(table, "test")
    assert got["song_nll"] == pytest.approx(-np.log([0.7, 0.3, 0.25, 0.6]).mean())
    brier = [0.3**2 + 0.2**2 + 0.1**2, 0.5**2 + 0.7**2 + 0.2**2]
    brier += [0.4**2 + 0.35**2 + 0.75**2, 0.4**2 + 0.3**2 + 0.1**2]
    assert got["song_brier"] == pytest.approx(np.mean(brier))
    assert got["song_top2"] == 0.75
    assert got["song_accuracy_at_50"] == 1  # of .7 and .6
    assert got["song_accuracy_at_80"] == got["song_accuracy_at_90"] == 0.5
    assert got["song_risk_area"] == pytest.approx(1 - np.mean([1, 1, 2 / 3, 1 / 2]))
    assert got["clip_nll"] == pytest.approx(got["song_nll"])


def test_equally_confident_songs_count_as_their_mean_in_whatever_order():
    confidence = np.array([0.9, 0.5, 0.5, 0.5, 0.5])
    for right in ([1, 1, 1, 0, 0], [1, 0, 0, 1, 1]):
        got = c.selective(confidence, np.array(right, float))
        assert got[1] == pytest.approx((1 + sum(right[1:]) / 4) / 2)


def test_the_line_of_a_run_says_before_and_after():
    line = c.sentence(c.calibration(songs(200, 2.0), "test"))
    assert line.startswith("confidence (-> with the temperature): NLL ")
    assert line.count("->") == 3
    raw = c.sentence(c.calibration(songs(200, parts=["test"]), "test"))
    assert "->" not in raw


def test_bins_of_the_reliability_plot_hold_every_song():
    tables = c.reliabilities(songs(197, 2.0), "test")
    assert list(tables) == ["raw", "with the temperature"]
    for table in tables.values():
        assert table["n"].sum() == 197
        assert table["n"].between(13, 14).all()
        assert table["confidence"].is_monotonic_increasing


def test_the_page_of_scores_is_what_the_kept_predictions_give():
    page = (DOCS / "scores.md").read_text()
    lines = page[page.index("| model | predictions |") :].split("\n\n")[0].splitlines()[2:]
    assert len(lines) == 6
    for line in lines:
        kept, *cells = (cell.strip() for cell in line.split("|")[2:-1])
        (file,) = (DOCS / "results").glob(f"{kept}*.csv.gz")
        table = pd.read_csv(file)
        s = scores(table, "valid") | c.calibration(table, "valid")
        names = [("accuracy",), ("nll", "nll_calibrated"), ("ece", "ece_calibrated")]
        names += [("ece_by_chance",), ("top2",), ("accuracy_at_50", "accuracy_at_80")]
        got = [", ".join(f"{s[f'song_{name}']:.3f}" for name in pair) for pair in names]
        assert cells == [got[0], f"{c.temperature(table):.2f}", *got[1:]], kept
