"""The synthetic songs are repeatable, sound, and differ by genre without giving it away."""

import numpy as np
import pytest

from gtzan_lightning.data.catalogue import GENRES
from gtzan_lightning.data.synthetic import TABLE, VERSION, render
from gtzan_lightning.files import digest

RATE = 8000


def test_table_has_the_genres_in_order():
    assert tuple(TABLE) == GENRES


def test_arguments_decide_the_song():
    song = render("jazz", 3, 0, 2.0, RATE)
    assert song.tobytes() == render("jazz", 3, 0, 2.0, RATE).tobytes()
    for other in (("jazz", 4, 0), ("jazz", 3, 1), ("rock", 3, 0)):
        assert not np.allclose(song, render(*other, 2.0, RATE), atol=0.01)


def test_a_known_song_stays_the_same():
    """Another process, machine or version must not hash or draw another song.

    Compared as loudness, since sines differ in their last bits between machines.
    """
    song = render("blues", 0, 0, 2.0, RATE)
    loudness = np.sqrt(np.mean(song.reshape(4, -1) ** 2, axis=1))
    np.testing.assert_allclose(loudness, [0.2250, 0.1605, 0.1032, 0.1706], rtol=0.01)


def test_a_version_names_the_sound():
    """Loudness and one projection of each 50 ms of every genre; machines differ by 1e-7, all
    rounded numbers here are 1e-5 away from the next."""
    numbers = []
    for genre in GENRES:
        pieces = render(genre, 0, 0, 1.0, RATE).reshape(20, -1).astype(float)
        numbers += [np.abs(pieces).mean(1), (pieces * np.cos(np.arange(400) / 7)).mean(1)]
    sound = digest(np.round(300 * np.stack(numbers)).astype(np.int64).tobytes())
    assert (VERSION, sound) == (1, "e7bafa7bd7e1"), (
        "the songs sound different: raise VERSION, pin both"
    )


@pytest.mark.parametrize("genre", GENRES)
def test_songs_are_sound(genre):
    for number in range(3):
        song = render(genre, number, 0, 5.3, 22050)
        assert song.dtype == np.float32
        assert song.shape == (116865,)
        assert np.isfinite(song).all()
        assert 0.29 < np.abs(song).max() <= 0.96
        loudness = np.sqrt(np.mean(song[: 5 * 22050].reshape(5, -1) ** 2, axis=1))
        assert (loudness > 0.003).all(), "a second of the song is silent"


def _statistics(song: np.ndarray) -> np.ndarray:
    """Mean and spread over time of the level in 25 bands: (sample,) -> (50,)."""
    frames = song[: len(song) // 800 * 800].reshape(-1, 800) * np.hanning(800)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.geomspace(8, 300, 25).astype(int)
    bands = np.log(np.add.reduceat(power, edges, axis=1) + 1e-6)
    return np.concatenate([bands.mean(0) - bands.mean(), bands.std(0)])


def test_genres_differ_but_the_average_spectrum_does_not_tell_them():
    """Ridge regression, each quarter of the 160 songs held out in turn; chance is 0.1."""
    songs = [(genre, number) for genre in GENRES for number in range(16)]
    features = np.array([_statistics(render(*song, 0, 8.0, RATE)) for song in songs])
    features = (features - features.mean(0)) / features.std(0)
    labels = np.repeat(np.arange(10), 16)
    hits = 0
    for quarter in range(4):
        held_out = np.arange(160) % 4 == quarter
        known = features[~held_out]
        gram = known.T @ known + 30 * np.eye(50)
        weights = np.linalg.solve(gram, known.T @ np.eye(10)[labels[~held_out]])
        hits += np.sum((features[held_out] @ weights).argmax(1) == labels[held_out])
    assert 0.3 < hits / 160 < 0.6
