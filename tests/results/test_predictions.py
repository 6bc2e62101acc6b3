import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binomtest, norm

from gtzan_lightning.models.song_votes import SongVotes, clip_scores
from gtzan_lightning.results import predictions as metrics
from gtzan_lightning.results.intervals import wilson

GENRES = ["a", "b", "c"]
SONGS = [f"s{n:03}" for n in range(40)]


def some_clips(songs=40, clips=5, genres=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    song = torch.arange(songs).repeat_interleave(clips)
    genre = (torch.arange(songs) % genres)[song]
    logits = torch.randn(len(song), genres, generator=g)
    logits[torch.arange(len(song)), genre] += 0.7
    return logits.log_softmax(1), song, genre


def as_table(log_probs, song, genre):
    arrays = (np.asarray(log_probs), np.asarray(song), np.arange(len(song)), np.asarray(genre))
    return metrics.ClipPredictions(*arrays).table("test", SONGS, GENRES)


def test_votes_by_hand():
    p = np.array([[0.9, 0.1, 0.0001], [0.4, 0.6, 0.0001], [0.4, 0.6, 0.0001]])
    table = as_table(torch.tensor(np.log(p)), [0, 0, 0], [0, 0, 0])
    top = {how: metrics.vote(table, how)[GENRES].iloc[0].idxmax() for how in metrics.VOTES}
    assert top == {"log_mean": "a", "mean": "a", "hard": "b"}
    p[0] = [0.5, 0.4999, 0.0001]
    table = as_table(torch.tensor(np.log(p)), [0, 0, 0], [0, 0, 0])
    assert metrics.vote(table)[GENRES].iloc[0].idxmax() == "b"


def test_the_state_sums_over_batches_and_processes_and_equals_the_predictions():
    log_probs, song, genre = some_clips()
    order = torch.randperm(len(song), generator=torch.Generator().manual_seed(1))
    ranks = [SongVotes(40, 3), SongVotes(40, 3)]
    for number, rows in enumerate(order.split(17)):  # uneven batches over two processes
        ranks[number % 2].update(log_probs[rows], song[rows], genre[rows])
    merged = SongVotes(40, 3)
    for name, reduce in merged._reductions.items():  # what torchmetrics does over processes
        setattr(merged, name, reduce(torch.stack([getattr(rank, name) for rank in ranks])))
    merged._update_count = 1
    from_state = merged.compute()
    recomputed = metrics.scores(as_table(log_probs, song, genre), "test")
    for name, key in [
        ("accuracy", "song_accuracy"),
        ("accuracy_mean", "song_accuracy_mean"),
        ("accuracy_hard", "song_accuracy_hard"),
        ("f1", "song_f1"),
        ("auroc", "song_auroc"),
    ]:
        assert float(from_state[name]) == pytest.approx(recomputed[key], abs=1e-5), name


def test_per_process_votes_averaged_would_be_wrong():
    """The reason for a state that sums: two halves of a song can each be wrong."""
    p = torch.tensor([[0.1, 0.5, 0.4], [0.6, 0.01, 0.39]])
    zero, genre = torch.tensor([0]), torch.tensor([2])
    together, alone = SongVotes(1, 3), [SongVotes(1, 3), SongVotes(1, 3)]
    for row, rank in zip(p, alone, strict=True):
        rank.update(row[None].log(), zero, genre)
        together.update(row[None].log(), zero, genre)
    assert together.compute()["accuracy"] == 1
    assert [float(rank.compute()["accuracy"]) for rank in alone] == [0, 0]


def test_songs_that_were_not_seen_do_not_count():
    votes = SongVotes(10, 3)
    votes.update(torch.eye(3).log_softmax(1)[:1], torch.tensor([4]), torch.tensor([0]))
    assert votes.compute()["accuracy"] == 1


def test_genres_without_songs_do_not_lower_the_macro_scores():
    """Perfect predictions of two genres out of three are perfect everywhere."""
    genre = torch.tensor([0, 1, 0, 1])
    log_probs = (torch.nn.functional.one_hot(genre, 3) * 9.0).log_softmax(1)
    votes = SongVotes(4, 3)
    votes.update(log_probs, torch.arange(4), genre)
    clips = clip_scores(log_probs, genre, 3)
    final = metrics.scores(as_table(log_probs, torch.arange(4), genre), "test")
    for name in ("accuracy", "f1", "auroc"):
        assert votes.compute()[name] == clips[name] == 1
        assert final[f"song_{name}"] == final[f"clip_{name}"] == 1


def test_rows_that_a_sampler_repeats_count_once():
    log_probs, song, genre = (values.numpy() for values in some_clips(songs=5, clips=1))
    own = metrics.ClipPredictions(log_probs, song, np.arange(5), genre)
    other = metrics.ClipPredictions(log_probs[:1], song[:1], np.arange(1), genre[:1])
    table = metrics.ClipPredictions.joined([own, other]).table("test", SONGS, GENRES, 0.5)
    assert len(table) == 5
    assert list(table["start"]) == [0, 0.5, 1, 1.5, 2]


def test_wilson_interval_by_its_formula():
    p, n, z = 0.6, 197, norm.ppf(0.975)
    # 118.2 songs: the mean over seeds is not rounded to songs
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert wilson(p, n) == pytest.approx((centre - half, centre + half))
    for hits in (0, 1, n):
        scipys = binomtest(hits, n).proportion_ci(method="wilson")
        assert wilson(hits / n, n) == pytest.approx((scipys.low, scipys.high), abs=1e-12)


def test_confusion_and_per_genre_agree_with_the_accuracy():
    table = as_table(*some_clips())
    counts = metrics.confusion(table, "test")
    found = metrics.scores(table, "test")
    assert counts.trace() / counts.sum() == pytest.approx(found["song_accuracy"])
    per_genre = metrics.per_genre(table, "test")
    assert per_genre["support"].sum() == 40
    assert per_genre["f1"].mean() == pytest.approx(found["song_f1"])


def test_scores_survive_a_round_trip_through_csv(tmp_path):
    table = as_table(*some_clips())
    table.to_csv(tmp_path / "p.csv", index=False, float_format="%.7g")
    again = metrics.scores(pd.read_csv(tmp_path / "p.csv"), "test")
    assert again == pytest.approx(metrics.scores(table, "test"), abs=1e-6)
    assert metrics.scores(table, "valid") == {}


def test_more_clips_of_the_same_songs_make_the_interval_no_narrower():
    log_probs, song, genre = some_clips()
    ends = []
    for times in (1, 20):
        rows = [values.repeat(times, *[1] * (values.ndim - 1)) for values in
                (log_probs, song, genre)]  # fmt: skip
        found = metrics.scores(as_table(*rows), "test")
        ends.append([found["song_accuracy_low"], found["song_accuracy_high"]])
    assert ends[0] == pytest.approx(ends[1])
    assert ends[0][1] - ends[0][0] > 0.2  # 40 songs, whatever the method
