from itertools import combinations
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtzan_lightning.data.catalogue import GENRES, artists, gtzan_ids, twins
from gtzan_lightning.data.protocols import PARTS, PROTOCOLS, make_split
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe import settings as settings_module
from gtzan_lightning.recipe.settings import DataSettings

IDS = gtzan_ids()
SHARES = [(0.7, 0.2, 0.1), (0.7, 0.15, 0.15), (0.8, 0.2), (0.9, 0.1), (0.5, 0.25, 0.25)]


def split(ids=IDS, universe=IDS, genre_of=None, **data):
    genres = genre_of or {i: i.split(".")[0] for i in ids}
    return make_split(DataSettings(**data), genres, universe, "test")


protocols = st.fixed_dictionaries(
    {
        "split": st.sampled_from(["stratified", "kfold", "filtered", "artist", "first20"]),
        "fractions": st.sampled_from(SHARES),
        "folds": st.integers(2, 10),
        "fold": st.integers(0, 1),
        "split_seed": st.integers(0, 50),
    }
)


@settings(max_examples=60, deadline=None)
@given(protocols, st.sets(st.sampled_from(IDS), min_size=400))
def test_no_part_shares_a_song_with_another_and_membership_ignores_the_disk(data, here):
    whole, partly = split(**data), split(ids=here, **data)
    parts = {part: set(whole.songs(part)) for part in PARTS}
    for one, other in combinations(PARTS, 2):
        assert not parts[one] & parts[other]
        same = {twins().get(i, i) for i in parts[one]} & {twins().get(i, i) for i in parts[other]}
        # bar_tov's protocol is kept as published; the others hold a recording on one side
        assert not same or data["split"] == "first20"
    for part in PARTS:
        assert set(partly.songs(part)) == parts[part] & here
    for song in here:  # whatever the clip
        assert len({partly.part(song, clip) for clip in range(12)}) == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 8), st.integers(0, 20), st.sampled_from(["kfold", "artist"]))
def test_every_song_is_tested_in_exactly_one_fold(folds, seed, name):
    tested = []
    for fold in range(folds):
        tested += split(split=name, folds=folds, fold=fold, split_seed=seed).songs("test")
    assert sorted(tested) == IDS


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 6), st.integers(0, 20))
def test_artist_keeps_every_artist_on_one_side(folds, seed):
    made = split(split="artist", folds=folds, split_seed=seed)
    sides: dict[str, set[str]] = {}
    for song, artist in artists().items():
        sides.setdefault(artist, set()).add(made.part(song, 0))
    assert all(len(parts) == 1 for parts in sides.values())


def test_shares_are_as_asked_in_every_genre():
    for fractions in SHARES:
        made = split(fractions=fractions)
        for genre in GENRES:
            count = sum(i.startswith(genre) for i in made.songs("test"))
            assert abs(count - 100 * fractions[-1]) <= 2  # twins move with their first song
        assert made.songs("valid")


def test_filtered_is_the_published_list():
    made = split(split="filtered")
    assert [len(made.songs(p)) for p in PARTS] == [443, 197, 290]
    gtzan = pytest.importorskip("torchaudio.datasets.gtzan")
    for part, ids in zip(PARTS, ("train", "valid", "test"), strict=True):
        assert made.songs(part) == sorted(getattr(gtzan, f"filtered_{ids}"))


def test_first20_tests_songs_00_to_19():
    assert split(split="first20").songs("test") == [i for i in IDS if int(i[-2:]) < 20]


def test_every_protocol_that_can_be_asked_for_is_made():
    asked = get_args(DataSettings.model_fields["split"].annotation)
    assert tuple(PROTOCOLS) == asked == tuple(settings_module.PROTOCOLS)


def test_memberships_never_change():
    """Published tables rest on these; a new fingerprint is a new protocol."""
    fingerprints = {
        name: split(split=name).fingerprint for name in ("stratified", "kfold", "artist")
    }
    assert fingerprints == {
        "stratified": "9924ed6c1fcb",
        "kfold": "06f8d47d250a",
        "artist": "d40d4a9c1154",
    }


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 10_000), min_size=150, max_size=200, unique=True))
def test_in_an_open_folder_adding_songs_moves_no_other(numbers):
    ids = [f"g{n % 3}/song{n}.wav" for n in numbers]
    genres = {i: i.split("/")[0] for i in ids}
    before = split(universe=None, genre_of=dict(list(genres.items())[:100]))
    after = split(universe=None, genre_of=genres)
    assert all(after.members[i] == part for i, part in before.members.items())


def test_clips_leaks_on_purpose_and_says_so():
    made = split(split="clips")
    shared = [i for i in IDS if len({made.part(i, clip) for clip in range(10)}) > 1]
    assert len(shared) > 900
    assert "LEAKY" in made.label
    assert "leak" in made.warning


def test_lists_of_gtzan_refuse_other_songs_and_empty_parts_are_named():
    with pytest.raises(UserError, match=r"made of GTZAN's songs.*stratified"):
        split(ids=["a/1"], universe=None, split="filtered")
    with pytest.raises(UserError, match="train part has no song"):
        split(ids=["blues.00012"], split="filtered")


def test_counts_name_what_is_missing():
    made = split(ids=[i for i in IDS if i.endswith("0")], split="filtered")
    assert " of 443" in made.counts()
