"""A disk without room, for what is made of a model: a line, and no half of it is left."""

import os
from pathlib import Path

import pytest
from conftest import RATE

from gtzan_lightning.data.packing import prepare
from gtzan_lightning.data.synthetic import render
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.explain import explain_sound
from gtzan_lightning.inference.explained import write_explained
from gtzan_lightning.inference.share import write_shareable
from gtzan_lightning.inference.similar import library
from gtzan_lightning.inference.sound import wave_to_sound
from gtzan_lightning.inference.tag_files import tag_files
from gtzan_lightning.inference.tagger import Tagger, fetch_checkpoint
from gtzan_lightning.models.layers import EMBEDDINGS
from gtzan_lightning.recipe.settings import TrackSettings

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def no_room_for(file: Path) -> None:
    """What is written in its place first goes to a disk that is full."""
    file.with_name(f".{file.name}.part").symlink_to(FULL)


def test_a_checkpoint_to_give_away(checkpoint, tmp_path):
    no_room_for(tmp_path / "model.ckpt")
    given = fetch_checkpoint(checkpoint, TrackSettings(), raw=False)
    with pytest.raises(UserError, match=r"model\.ckpt can't be written: No space left on device"):
        write_shareable(given, tmp_path / "model.ckpt")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["png", "html", "wav"])
def test_an_explanation(checkpoint, tmp_path, kind):
    tagger = Tagger.load(checkpoint)
    sound = wave_to_sound(render("jazz", 1, 0, 4.0, RATE), RATE, tagger.sample_rate)
    why = explain_sound(tagger, "song", sound)
    no_room_for(tmp_path / f"song.{kind}")
    with pytest.raises(UserError, match=f"can't be written to {tmp_path}: No space left on device"):
        write_explained(why, "song", sound, "a model", tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_table_of_genres(checkpoint, gtzan_copy, tmp_path, suffix):
    out = tmp_path / f"genres.{suffix}"
    songs = sorted((gtzan_copy / "Data" / "genres_original" / "jazz").iterdir())
    no_room_for(out)
    with pytest.raises(UserError, match=r"written: .*No space left on device; rows .* are kept"):
        tag_files(Tagger.load(checkpoint), songs, out)
    assert not out.exists()
    assert tag_files(Tagger.load(checkpoint), songs, out).resumed == len(songs)


def test_songs_are_compared_though_the_library_can_not_be_kept(checkpoint, quick, tmp_path, capsys):
    tagger, corpus = Tagger.load(checkpoint), prepare(quick().data)
    file = tmp_path / f"likeness-{EMBEDDINGS}-{tagger.digest}-{corpus.sounds}.npz"
    no_room_for(file)
    songs = library(tagger, corpus, tmp_path, lambda done, count: None)
    assert len(songs.vectors) == len(corpus.songs)
    assert f"{file} can't be written (No space left on device)" in capsys.readouterr().out
    assert os.listdir(tmp_path) == []
