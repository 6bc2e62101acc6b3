import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gtzan_lightning.errors import UserError
from gtzan_lightning.results.significance import System, compare, of_run, pairs, system


def made(name, right, runs=1):
    return System(
        name, runs, pd.Series(right, index=[f"s{n:03}" for n in range(len(right))], dtype=float)
    )


def test_mcnemar_is_the_exact_binomial_of_the_disagreements():
    a = np.array([1] * 60 + [1] * 12 + [0] * 3 + [0] * 25)
    b = np.array([1] * 60 + [0] * 12 + [1] * 3 + [0] * 25)
    (pair,) = pairs([made("a", a), made("b", b)])
    assert pair.mcnemar == pytest.approx(stats.binomtest(3, 15).pvalue)
    assert pair.difference == pytest.approx(0.09)
    # the permutation test of 0/1 answers is the same binomial
    assert pair.p == pytest.approx(pair.mcnemar, abs=0.01)
    assert pair.low < 0.09 < pair.high
    assert pair.low == pytest.approx(0.09 - 1.96 * np.std(a - b) / 10, abs=0.01)
    assert "a is better than b on these 100 songs" in pair.sentence()
    (back,) = pairs([made("b", b), made("a", a)])
    assert "a is better than b" in back.sentence()


def test_a_song_that_half_of_the_runs_get_right_speaks_for_neither():
    """Two seeds that disagree on 30 songs must not look worse than one seed."""
    a = np.array([1.0] * 60 + [0.5] * 30 + [0.0] * 10)
    b = np.array([1.0] * 75 + [0.0] * 25)
    (pair,) = pairs([made("a", a, runs=2), made("b", b)])
    assert pair.difference == pytest.approx(0)
    assert pair.mcnemar == 1
    (other,) = pairs([made("b", b), made("a", a, runs=2)])
    assert other.mcnemar == 1


def test_equal_and_indistinct_systems_are_said_to_be_so():
    a = np.random.default_rng(0).random(197) < 0.6
    (same,) = pairs([made("a", a), made("b", a)])
    assert (same.difference, same.p, same.mcnemar) == (0, 1, 1)
    b = a.copy()
    b[:4] = ~b[:4]
    (near,) = pairs([made("a", a), made("b", b)])
    assert "cannot be told apart on these 197 songs" in near.sentence()


def test_the_verdict_is_that_of_all_runs_not_of_their_majorities():
    """One run of three gets 40 songs more: no song changes its majority, but all 40 tell."""
    a = np.array([1.0] * 50 + [1 / 3] * 40 + [0.0] * 10)
    b = np.array([1.0] * 50 + [0.0] * 50)
    (pair,) = pairs([made("a", a, runs=3), made("b", b, runs=3)])
    assert pair.mcnemar == 1
    assert "a is better than b" in pair.sentence()


def test_one_chance_in_ten_is_no_verdict():
    """10 songs against 3: p is 0.092, and the smallest that convinces is 0.05."""
    a = np.array([1] * 60 + [1] * 10 + [0] * 3 + [0] * 27)
    b = np.array([1] * 60 + [0] * 10 + [1] * 3 + [0] * 27)
    (pair,) = pairs([made("a", a), made("b", b)])
    assert pair.p == pytest.approx(0.092, abs=0.01)
    assert "cannot be told apart" in pair.sentence()


def test_false_alarms_are_as_rare_as_promised():
    """60 pairs of equally good systems: about 5 % may be told apart by chance."""
    random = np.random.default_rng(1)
    alarms = 0
    for _ in range(60):
        a, b = random.random((2, 150)) < 0.6
        alarms += pairs([made("a", a), made("b", b)])[0].p < 0.05
    assert alarms <= 9  # binomial(60, 0.05) exceeds it once in 10,000


def test_holm_multiplies_the_smallest_most_and_keeps_the_order():
    base = np.zeros(100)
    better, little = base.copy(), base.copy()
    better[:30] = 1
    little[:5] = 1
    alone = pairs([made("b", better), made("a", base)])[0].p
    three = pairs([made("b", better), made("l", little), made("a", base)])
    assert three[1].p == pytest.approx(3 * alone, rel=0.3)
    assert all(pair.p <= 1 for pair in three)
    two = pairs([made("l", little), made("a", base)])[0].p
    assert three[2].p == pytest.approx(two, abs=0.02)  # the largest is multiplied by one


def predictions(answers, part="valid"):
    """Songs of genre x; an answer is the log-probability of x (of two genres)."""
    rows = [
        {"part": part, "song": song, "start": 0.0, "genre": "x",
         "x": np.log(p), "y": np.log(1 - p)} for song, p in answers.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_seeds_are_averaged_by_song_and_folds_are_joined():
    both = predictions({"a": 0.9, "b": 0.2}), predictions({"a": 0.6, "b": 0.8})
    runs = {("0", ""): both[0], ("1", ""): both[1]}
    assert system("m", runs, "valid").right.to_dict() == {"a": 1.0, "b": 0.5}
    folds = {("0", "0"): predictions({"a": 0.9}), ("0", "1"): predictions({"b": 0.2})}
    assert system("m", folds, "valid").right.to_dict() == {"a": 1.0, "b": 0.0}


def test_the_order_of_seeds_and_folds_changes_nothing():
    """The first seed is right about all, the second about none, whichever fold was run first."""
    good = [predictions({f"{fold}{n}": 0.9 for n in range(9)}) for fold in "ab"]
    bad = [predictions({f"{fold}{n}": 0.2 for n in range(9)}) for fold in "ab"]
    runs = {("0", "0"): good[0], ("0", "1"): good[1], ("1", "0"): bad[0], ("1", "1"): bad[1]}
    mixed = {key: runs[key] for key in [("1", "1"), ("0", "0"), ("1", "0"), ("0", "1")]}
    base = of_run("base", pd.concat(bad), "valid")
    one, other = (pairs([system("m", own, "valid"), base])[0] for own in (runs, mixed))
    assert one == other
    assert (one.low, one.high) == (0, 1)


def test_two_tables_of_predictions_are_compared_at_once():
    a = predictions({song: 0.9 for song in "abcdefgh"}, "test")
    b = predictions({song: 0.2 for song in "abcdefgh"}, "test")
    pair = compare(a, b)
    assert (pair.first, pair.second, pair.songs, pair.difference) == ("a", "b", 8, 1)
    assert pair == pairs([of_run("a", a, "test"), of_run("b", b, "test")])[0]
    with pytest.raises(UserError, match="a has no predictions of the valid part"):
        compare(a, b, "valid")


def test_what_can_not_be_paired_is_one_line():
    with pytest.raises(UserError, match="not measured on the same songs"):
        pairs([made("a", [1, 0]), made("b", [1, 0, 1])])
    with pytest.raises(UserError, match="no predictions of the test part"):
        of_run("m", predictions({"a": 0.9}), "test")


def of_artists(name, right, each, runs=1):
    """A system whose every ``each`` songs are one artist's."""
    songs = [f"s{n:03}" for n in range(len(right))]
    artists = pd.Series([f"a{n // each}" for n in range(len(right))], index=songs)
    return System(name, runs, pd.Series(right, index=songs, dtype=float), None, artists)


def test_songs_of_one_artist_do_not_count_alone():
    """Ten songs of each of ten artists that are right or wrong together are ten answers."""
    a = np.repeat([1] * 8 + [0] * 2, 10)
    b = np.repeat([1] * 4 + [0] * 6, 10)
    (alone,) = pairs([made("a", a), made("b", b)])
    (together,) = pairs([of_artists("a", a, 10), of_artists("b", b, 10)])
    assert alone.apart
    assert not together.apart
    assert together.p == pytest.approx(2 / 2**4, abs=0.02)  # the signs of four artists
    assert together.high - together.low > 2.5 * (alone.high - alone.low)
    assert (together.artists, alone.artists) == (10, None)
    assert "10 artists" in together.sentence()
    assert "artists unknown" in alone.sentence()


def test_what_could_not_have_been_seen_is_said():
    """The smallest visible difference: seen in about four of five comparisons of that size."""
    random = np.random.default_rng(2)
    b = random.random(300) < 0.5
    visible = pairs([made("a", b ^ (random.random(300) < 0.2)), made("b", b)])[0].visible
    seen = 0
    for _ in range(60):
        changed = random.random(300) < 0.2  # 20 % of the answers differ, as above
        better = random.random(300) < 0.5 + visible / 0.4
        seen += pairs(
            [made("a", np.where(changed, better, b)), made("b", np.where(changed, ~better, b))]
        )[0].apart
    assert 36 <= seen <= 58  # binomial(60, 0.8)
    a = b.copy()
    a[0] = ~a[0]
    assert (
        "would be missed in more than one of five"
        in pairs([made("a", a), made("b", b)])[0].sentence()
    )


def test_the_sentence_reads_in_its_own_order_and_has_a_floor():
    better, base = [1] * 90 + [0] * 10, [1] * 30 + [0] * 70
    (pair,) = pairs([made("base", base), made("better", better)])
    assert pair.difference < 0
    assert "better is better than base" in pair.sentence()
    assert "difference +0.600 [+0.5" in pair.sentence()
    assert "sign flips p < 1e-4" in pair.sentence()
    three = pairs([made("base", base), made("better", better), made("c", base)])
    assert "sign flips p < 3e-4" in three[0].sentence()


def test_interval_verdict_and_p_never_contradict():
    random = np.random.default_rng(3)
    for _ in range(10):
        systems = [made(str(n), random.random(120) < 0.45 + 0.05 * n) for n in range(4)]
        for pair in pairs(systems):
            if pair.apart:
                assert pair.p < 0.05
                assert not pair.low <= 0 <= pair.high
            assert pair.level >= 95


def test_seeds_are_a_chance_of_their_own_and_unequal_numbers_are_said():
    songs = {f"s{n}": 0.9 if n % 2 else 0.2 for n in range(60)}
    worse = {song: 0.2 for song in songs}
    good, bad = predictions(songs), predictions(worse)
    same = system("same", {("0", ""): good, ("1", ""): good}, "valid")
    varied = system("varied", {("0", ""): good, ("1", ""): bad}, "valid")
    base = of_run("base", bad, "valid")
    steady, shaky = (pairs([one, base])[0] for one in (same, varied))
    assert shaky.high - shaky.low > 2 * (steady.high - steady.low)
    assert "runs: same 2, base 1" in steady.sentence()
