from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gtzan_lightning.data.catalogue import GENRES, gtzan_ids
from gtzan_lightning.data.clips import TrainBatches, cut, grid_starts
from gtzan_lightning.data.corpus import Corpus
from gtzan_lightning.data.module import GenreData
from gtzan_lightning.data.recordings import Recordings
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import parse_run


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


@pytest.mark.parametrize(("start", "clip"), [(0, [0, 1, 2, 0, 1]), (2, [2, 0, 1, 2, 0])])
def test_one_rule_cuts_arrays_and_tensors(start, clip):
    song = np.array([[0, 1, 2], [3, 4, 5]])
    assert cut(song, start, 5).tolist() == [clip, [3 + step for step in clip]]
    assert cut(torch.from_numpy(song), start, 5).tolist() == cut(song, start, 5).tolist()
    assert np.shares_memory(cut(song, 1, 2), song)  # a song that is long enough is not copied


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
    assert batch["picture"].shape == (16, 1, 32, 1 + 8000 // 256)
    assert batch["target"].shape == (16, 10)
    assert batch["picture"].mean().abs() < 1e-3
    assert torch.equal(batch["target"].argmax(1), batch["genre"])


@pytest.mark.parametrize("name", ["corpus", "split", "spec", "shape", "clip_steps"])
def test_before_setup_there_is_one_clear_error(quick, name):
    with pytest.raises(RuntimeError, match=r"call .*setup\(\) first"):
        getattr(GenreData(quick()), name)


def test_validation_clips_are_the_parts_own_and_never_change(quick):
    data = ready(quick())
    first, again = (
        torch.cat([b["song"] * 100_000 + b["start"] for b in data.val_dataloader()])
        for _ in range(2)
    )
    assert torch.equal(first, again)
    rows = {data.corpus.ids.index(i) for i in data.split.songs("valid")}
    assert set((first // 100_000).tolist()) == rows


def test_every_way_to_the_test_songs_passes_one_guard(quick):
    closed = ready(quick())
    for way in (closed.test_dataloader, lambda: closed.batches("test")):
        with pytest.raises(UserError, match="the test part is closed"):
            way()
    data, openings = ready(quick("--open-test")), []
    data.on_opening = lambda: openings.append("opened")
    data.batches("valid")
    data.test_dataloader()
    data.batches("test")
    data.test_dataloader()  # as a second trainer.test would
    assert len(openings) == 3


def test_a_clip_longer_than_every_song_is_one_line(quick):
    with pytest.raises(UserError, match=r"clip_seconds 9 is longer than every song.*4\.00 s"):
        ready(quick("--data.clip_seconds", "9"))
    data = ready(quick("--data.clip_seconds", "9", "--data.repeat", "true"))
    (clip,) = next(iter(data.batches("valid")))["clip"][:1].numpy()
    assert len(clip) == 9 * 8000
    song = 4 * 8000
    assert np.array_equal(clip, np.resize(clip[:song], len(clip)))


def test_a_song_shorter_than_the_clip_is_repeated(gtzan_copy, quick):
    flags = ["--data.corpus", "gtzan", "--data.root", str(gtzan_copy), "--data.clip_seconds", "4.4"]
    data = ready(quick(*flags))
    row = data.corpus.ids.index("blues.00000")  # 4 s
    clip = data.val_dataloader().dataset.__getitems__([(row, 0, 0)])["clip"][0].numpy()
    assert len(clip) == round(4.4 * 8000)
    assert np.array_equal(clip[:32000], data.corpus.recording(row)[:32000])
    assert np.array_equal(clip[32000:], clip[: len(clip) - 32000])


def test_flags_that_ask_for_other_pictures_than_the_corpus_holds(quick):
    pictures = ready(quick("--data.pack", "pictures")).corpus.folder
    flags = ["--data.corpus", "pictures", "--data.root", str(pictures)]
    assert ready(quick(*flags)).spec.bins == 32
    with pytest.raises(UserError, match=r"data\.bins 64 asks for other pictures"):
        ready(quick(*flags, "--data.bins", "64"))


def test_leaky_clips_train_on_their_own_part_of_the_grid(quick):
    data = ready(quick("--data.split", "clips"))
    trained = {(r, s) for b in data.train_dataloader().batch_sampler for r, s, _ in b}
    for part in ("valid", "test"):
        assert not trained & {(r, s) for r, s, _ in data.grid(part)}
    assert {r for r, _, _ in data.grid("test")} & {r for r, _ in trained}


def test_class_weights_are_inverse_to_the_training_songs(quick):
    data = ready(quick())
    torch.testing.assert_close(data.class_weights(), torch.ones(10))
    # one genre has a third of the songs of each other
    few = [i for i in data.split.songs("train") if i.startswith("rock")][1:]
    data.split.members.update(dict.fromkeys(few, ""))
    weights = data.class_weights()
    torch.testing.assert_close(weights[9] / weights[0], torch.tensor(3.0))


WORLDS = {
    "gtzan": (gtzan_ids(), "any"),
    "synthetic": ([f"{genre}.s{n:04}" for genre in GENRES for n in range(12)], "all"),
    "folder": ([f"{genre}/{n}.wav" for genre in GENRES[:4] for n in range(40)], "any"),
}
OPEN_TO_ALL = st.sampled_from(["stratified", "kfold"])
OF_GTZAN = st.sampled_from(["stratified", "kfold", "filtered", "artist", "first20"])


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(list(WORLDS)).flatmap(
        lambda name: st.tuples(st.just(name), OF_GTZAN if name == "gtzan" else OPEN_TO_ALL)
    ),
    st.integers(0, 100),
    st.integers(1, 3),
    st.integers(0, 2**32 - 1),
)
def test_clips_of_a_part_share_no_song_with_another(world, split_seed, clips_per_song, seed):
    """Whatever the protocol, the lengths of the songs and the number of clips."""
    ids, universe = WORLDS[world[0]]
    genre = [i.replace("/", ".").split(".")[0] for i in ids]
    lengths = np.random.default_rng(seed).integers(5, 100, len(ids))
    flags = ["--model", "small_cnn", "--data.split", world[1], "--data.split_seed", str(split_seed)]
    flags += ["--data.clip_seconds", "0.01", "--data.clips_per_song", str(clips_per_song)]
    data = GenreData(parse_run([*flags, "--data.sample_rate", "4000", "--seed", str(seed)])[0])
    data.corpus = Corpus(
        folder=Path(),
        info={"name": world[0], "genres": sorted(set(genre)), "kind": "waveform",
              "universe": universe, "sample_rate": 4000},
        songs=[{"id": i, "genre": g} for i, g in zip(ids, genre, strict=True)],
        lengths=lengths,
        recordings=Recordings(
            Path(), np.zeros(100 * len(ids), np.int16), (), 100 * np.arange(len(ids)), lengths
        ),
        rows=np.arange(len(ids)),
        problems=[],
    )  # fmt: skip
    data.setup()
    songs = {part: {row for row, _, _ in data.grid(part)} for part in ("valid", "test")}
    songs["train"] = {row for batch in data.train_dataloader().batch_sampler for row, _, _ in batch}
    for one, other in combinations(songs, 2):
        assert not songs[one] & songs[other]
    assert min(map(len, songs.values())) > 0


def test_an_empty_part_of_the_leaky_protocol_is_one_line(quick):
    flags = ["--data.split", "clips", "--data.fractions", "0.5", "0", "0.5"]
    with pytest.raises(UserError, match="valid part is empty"):
        ready(quick(*flags))


def test_a_genre_that_is_left_out_moves_no_other_song(quick):
    whole, fewer = ready(quick()), ready(quick("--data.leave_out", "country", "rock"))
    assert fewer.genres == 8
    assert "country" not in fewer.corpus.genres
    for part in ("train", "valid", "test"):
        kept = [i for i in whole.split.songs(part) if i.split(".")[0] not in ("country", "rock")]
        assert fewer.split.songs(part) == kept
    assert fewer.corpus.fingerprint != whole.corpus.fingerprint
    batch = next(iter(fewer.val_dataloader()))
    columns = (batch[k] for k in ("clip", "song", "start", "genre"))
    for clip, row, start, genre in zip(*columns, strict=True):
        song = fewer.corpus.songs[row]
        assert fewer.corpus.genres[genre] == song["genre"]
        own = whole.corpus.recording(whole.corpus.ids.index(song["id"]))
        assert np.array_equal(clip, own[start : start + 8000])
    with pytest.raises(UserError, match="no such genre, it has blues, classical"):
        ready(quick("--data.leave_out", "counrty"))
    with pytest.raises(UserError, match="fewer than two genres"):
        ready(quick("--data.leave_out", *GENRES[:9]))


@pytest.mark.parametrize("windows", ["once", "random", "pieces"])
def test_windows_are_drawn_anew_once_or_never(quick, windows):
    data = ready(quick("--data.windows", windows, "--data.clips_per_song", "2"))
    data.trainer = SimpleNamespace(current_epoch=0, global_rank=0, world_size=1)
    epochs = []
    for data.trainer.current_epoch in range(12):
        batches = data.train_dataloader().batch_sampler
        epochs.append([(row, start) for batch in batches for row, start, _ in batch])
    assert len({tuple(clips) for clips in epochs}) == 12  # each in an order of its own
    # all are seen, though each epoch leaves those of its last, short batch out
    seen = {clip for clips in epochs for clip in clips}
    drawn = 2 * len(data.split.songs("train"))
    pieces = {(row, start) for row, start, _ in data.grid("train")}
    assert (len(seen) == drawn) == (windows == "once")
    assert (seen == pieces) == (windows == "pieces")
    assert (len(seen) > 2 * drawn) == (windows == "random")


@pytest.mark.parametrize(
    ("flags", "shape"),
    [
        ([], (1, 32, 32)),
        (["--data.features", "mfcc", "--data.coefficients", "13"], (1, 13, 32)),
        (["--data.features", "chroma"], (1, 12, 32)),
        (["--data.features", "spectrogram"], (1, 257, 32)),
        (["--data.features", "raw"], (1, 1, 8000)),
        (["--data.picture_size", "40", "30", "--data.colour", "viridis"], (3, 40, 30)),
        (["--data.pack", "pictures"], (1, 32, 31)),
        (["--data.pack", "pictures", "--data.features", "mfcc"], (1, 20, 31)),
    ],
)
def test_the_shape_of_a_picture_is_known_before_any_is_made(quick, flags, shape):
    data = ready(quick(*flags))
    batch = data.on_after_batch_transfer(next(iter(data.val_dataloader())), 0)
    assert batch["picture"].shape[1:] == data.shape == shape
    assert batch["picture"].isfinite().all()


def test_what_packed_pictures_can_not_become_is_one_line(quick):
    with pytest.raises(UserError, match="keeps decibels, which chroma pictures are not"):
        ready(quick("--data.pack", "pictures", "--data.features", "chroma"))
    folder = ready(quick("--data.pack", "pictures")).corpus.folder
    packed = ["--data.corpus", "pictures", "--data.root", str(folder)]
    assert ready(quick(*packed, "--data.features", "mfcc")).shape == (1, 20, 31)
    for flags in (["--data.features", "stft"], ["--data.scale", "linear"]):
        with pytest.raises(UserError, match=r"can't be made of .* use songs"):
            ready(quick(*packed, *flags))


@pytest.mark.parametrize("kind", ["waveforms", "pictures"])
def test_a_resident_corpus_gives_the_same_clips(quick, kind):
    batches = []
    for resident in ("false", "true"):
        flags = ["--data.clip_seconds", "3", "--data.pack", kind, "--augment.audio", "0"]
        data = GenreData(quick(*flags, "--data.resident", resident))
        data.prepare_data()
        data.corpus.lengths[::2] //= 2  # songs of 2 s, that are repeated
        data.setup()
        torch.manual_seed(0)
        batch = next(iter(data.train_dataloader()))
        assert ("clip" in batch) == (resident == "false")
        batches.append(data.on_after_batch_transfer(batch, 0))
    for name in ("picture", "target", "song", "start"):
        torch.testing.assert_close(batches[0][name], batches[1][name], rtol=0, atol=1e-5)


def test_a_resident_corpus_takes_no_augmentation_of_the_loader(quick):
    with pytest.raises(UserError, match=r"augment\.audio 0"):
        GenreData(quick("--data.resident", "true")).setup()


def test_draws_of_an_epoch_are_new_in_each_epoch_and_the_same_when_resumed():
    """Clips and the seeds of their augmentation are functions of seed and epoch alone."""
    fixed = [(row, 8000 * clip, 0) for row in range(6) for clip in range(4)]

    def epoch(seed, number, clips=None):
        rows, spare = np.arange(6), np.full(6, 24_000)
        made = TrainBatches(rows, spare, 4, 8, seed, lambda: number, (0, 1), clips)
        return [clip for batch in made for clip in batch]

    for clips in (None, fixed):
        first, again, later, other = (
            epoch(seed, number, clips) for seed, number in ((0, 1), (0, 1), (0, 2), (1, 1))
        )
        assert first == again
        for drawn in (later, other):
            assert [clip[:2] for clip in drawn] != [clip[:2] for clip in first]
            assert not {seed for *_, seed in drawn} & {seed for *_, seed in first}
        assert len({seed for *_, seed in first}) == 24  # two clips are not augmented alike
    starts = [start for _, start, _ in epoch(0, 1)]
    assert min(starts) < 6_000
    assert max(starts) > 18_000


def test_only_the_training_is_augmented(quick):
    data = ready(quick("--augment.audio", "1", "--augment.noise", "1", "--augment.spectrogram", "1",
                       "--augment.mask", "1"))  # fmt: skip
    data.trainer = SimpleNamespace(training=False, global_rank=0, world_size=1)
    batch = next(iter(data.val_dataloader()))
    for clip, row, start in zip(batch["clip"], batch["song"], batch["start"], strict=True):
        song = data.corpus.recording(int(row))
        assert np.array_equal(clip, song[start : start + data.clip_steps])
    first, again = (data.on_after_batch_transfer({**batch}, 0)["picture"] for _ in range(2))
    assert torch.equal(first, again)
    data.trainer.training = True
    assert not torch.equal(first, data.on_after_batch_transfer({**batch}, 0)["picture"])
