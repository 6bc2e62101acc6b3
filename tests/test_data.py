import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gtzan_lightning.data import GenreData, TrainBatches, grid_starts
from gtzan_lightning.errors import UserError


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_the_grid_covers_a_song_from_start_to_end(length, steps):
    starts = grid_starts(length, steps)
    assert starts[0] == 0
    assert starts == sorted(set(starts)) or steps >= length
    assert all(0 <= s <= max(0, length - steps) for s in starts)
    if length >= steps and len(starts) > 1:
        assert starts[-1] + steps == length


def test_thirty_seconds_are_ten_clips_whatever_the_true_length():
    for seconds in (29.93, 30.0, 30.65):
        assert len(grid_starts(round(seconds * 22050), 3 * 22050)) == 10


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(2, 16), st.integers(1, 3))
def test_an_epoch_takes_every_song_as_often_and_processes_share_the_same_batches(
    songs, each, size, world
):
    def epoch(rank, world, size):
        rows = np.arange(songs) * 2
        spare = np.full(songs, 100)
        return list(
            TrainBatches(rows, spare, each, size, 0, lambda: 3, (rank, world), None)
        )  # fmt: skip

    whole = epoch(0, 1, size * world)
    parts = [epoch(rank, world, size) for rank in range(world)]
    for number, batch in enumerate(whole):
        assert sorted(c for part in parts for c in part[number]) == sorted(batch)
    taken = [row for batch in whole for row, _, _ in batch]
    counts = np.bincount(taken, minlength=2 * songs)[::2]
    assert counts.max() <= each
    assert len(taken) > songs * each - min(size * world, songs * each)
    assert all(0 <= start <= 100 for batch in whole for _, start, _ in batch)


def ready(recipe) -> GenreData:
    data = GenreData(recipe)
    data.setup()
    return data


def test_a_batch_becomes_pictures_and_targets(quick):
    data = ready(quick())
    batch = next(iter(data.val_dataloader()))
    batch = data.on_after_batch_transfer(batch, 0)
    assert batch["picture"].shape == (16, 32, 1 + 8000 // 256)
    assert batch["target"].shape == (16, 10)
    assert batch["picture"].mean().abs() < 1e-3
    assert torch.equal(batch["target"].argmax(1), batch["genre"])


def test_validation_clips_are_the_parts_own_and_never_change(quick):
    data = ready(quick())
    first, again = (
        torch.cat([b["song"] * 100_000 + b["start"] for b in data.val_dataloader()])
        for _ in range(2)
    )
    assert torch.equal(first, again)
    rows = {data.corpus.ids.index(i) for i in data.split.songs("valid")}
    assert set((first // 100_000).tolist()) == rows


def test_the_test_part_is_closed_until_the_test(quick):
    with pytest.raises(RuntimeError, match=r"trainer\.test alone"):
        ready(quick()).test_dataloader()


def test_a_clip_longer_than_every_song_is_one_line(quick):
    with pytest.raises(UserError, match=r"clip_seconds 9 is longer than every song.*4\.00 s"):
        ready(quick("--data.clip_seconds", "9"))


def test_a_song_shorter_than_the_clip_is_repeated(gtzan_copy, quick):
    flags = ["--data.corpus", "gtzan", "--data.root", str(gtzan_copy), "--data.clip_seconds", "4.4"]
    data = ready(quick(*flags))
    row = data.corpus.ids.index("blues.00000")  # 4 s
    clip = data.val_dataloader().dataset.__getitems__([(row, 0, 0)])["clip"][0].numpy()
    assert len(clip) == round(4.4 * 8000)
    assert np.array_equal(clip[:32000], data.corpus.array[row, :32000])
    assert np.array_equal(clip[32000:], clip[: len(clip) - 32000])


def test_flags_that_ask_for_other_pictures_than_the_corpus_holds(quick):
    pictures = ready(quick("--data.pack", "pictures")).corpus.folder
    flags = ["--data.corpus", "pictures", "--data.root", str(pictures)]
    assert ready(quick(*flags)).spec.bins == 32
    with pytest.raises(UserError, match=r"--data\.bins 64 asks for other pictures"):
        ready(quick(*flags, "--data.bins", "64"))


def test_leaky_clips_train_on_their_own_part_of_the_grid(quick):
    data = ready(quick("--data.split", "clips"))
    trained = {(r, s) for b in data.train_dataloader().batch_sampler for r, s, _ in b}
    for part in ("valid", "test"):
        assert not trained & {(r, s) for r, s, _ in data.grid(part)}
    assert {r for r, _, _ in data.grid("test")} & {r for r, _ in trained}


def test_class_weights_are_one_for_balanced_genres(quick):
    data = ready(quick())
    weights = data.class_weights()
    counts = torch.bincount(data.genre_numbers[data._rows("train")], minlength=10)
    torch.testing.assert_close((weights * counts).sum(), counts.sum().float())
