import numpy as np
import pytest

from gtzan_lightning.data.synthetic import render
from gtzan_lightning.inference.prediction import Prediction
from gtzan_lightning.inference.sound import Sound
from gtzan_lightning.inference.verdict import no_music, percent, verdict
from gtzan_lightning.inference.web import EXAMPLES, RATE, SECONDS

T = np.arange(10 * RATE) / RATE


def sound(wave):
    return Sound(np.asarray(wave, np.float32), RATE, ())


def prediction(*probabilities):
    genres = ["blues", "jazz", "rock"]
    return Prediction(genres, np.array(probabilities), np.zeros(1), np.zeros((1, 3)), 10.0, ())


def noise(decibels, colour=0.0):
    """Noise whose power falls with frequency ** (2 * colour)."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(len(T)))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** colour
    wave = np.fft.irfft(spectrum, len(T))
    return wave / wave.std() * 10 ** (decibels / 20)


def syllables():
    """A buzz of 140 Hz without bass, four times a second, silent between and after a few."""
    buzz = sum(np.sin(2 * np.pi * 140 * h * T) / h for h in range(2, 30))
    spoken = np.sin(2 * np.pi * 4 * T).clip(0) * (T % 2 < 1.4)
    return 0.1 * buzz * spoken + noise(-70)


@pytest.mark.parametrize(
    ("wave", "why"),
    [
        (noise(-20), "does not change"),
        (noise(-20, 0.5), "does not change"),
        (noise(-20, 1.0), "does not change"),
        (0.3 * np.sin(2 * np.pi * 440 * T), "does not change"),
        (0.3 * np.sin(2 * np.pi * 440 * T) * (T > 1), "does not change"),  # a pause before it
        (noise(-70), "almost silent (-70 dBFS)"),
        (syllables(), "of speech"),
    ],
)  # fmt: skip
def test_what_is_no_music_is_said(wave, why):
    assert why in no_music(sound(wave))
    told = verdict(prediction(0.1, 0.8, 0.1), sound(wave))
    assert told.headline == "This may not be music"
    assert "jazz (80 %)" in told.doubts[1]


def test_songs_are_music():
    """The page's own examples, and a song of each of some genres; a short sound isn't judged."""
    songs = [render(*example, 0, SECONDS, RATE) for example in EXAMPLES.items()]
    songs += [render(genre, 5, 0, 8.0, RATE) for genre in ("blues", "metal", "pop", "rock")]
    assert [no_music(sound(song)) for song in songs] == [""] * 6
    assert no_music(sound(noise(-20)[: RATE // 2])) == ""


def test_a_genre_with_less_than_half_of_the_probability_is_not_sure():
    song = sound(render("jazz", 1, 0, 4.0, RATE))
    assert verdict(prediction(0.21, 0.62, 0.17), song).headline == (
        "Sounds most like jazz (62 %), then blues (21 %)"
    )
    told = verdict(prediction(0.3, 0.49, 0.21), song)
    assert told.headline == "Not sure: perhaps jazz (49 %), or blues (30 %)"
    assert told.doubts
    assert [percent(share) for share in (0.001, 0.5, 0.999)] == ["<1 %", "50 %", ">99 %"]
