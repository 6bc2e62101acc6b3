"""What a listener is told of a prediction, and when not to believe it.

*Not sure*: the probability of the predicted genre is below one half. It is calibrated (the tagger
divides by the checkpoint's temperature), so such a prediction is more often wrong than right.

*This may not be music*: a rule of thumb on the sound, since a network of ten genres has no word
for anything else. docs/using_a_model.md says on which sounds it was measured.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gtzan_lightning.inference.prediction import Prediction
from gtzan_lightning.inference.sound import Sound

NO_MUSIC = "This may not be music"
UNSURE = 0.5  # probability
QUIET = -60.0  # dBFS; a microphone's own noise
STEADY, RESTLESS = 2.0, 14.0  # dB, spread of a band's level over time
PAUSES = 0.25  # share of the moments
BASS, THIN = 150.0, 0.35  # Hz, and share of the power below it
LONGEST = 600  # seconds of a song that are looked at
BANDS = np.geomspace(250, 6000, 9)  # Hz, edges of half octaves
SHORTEST = 1.0  # second that can be judged


@dataclass(frozen=True)
class Verdict:
    """The words: a headline, and what speaks against it."""

    headline: str
    doubts: tuple[str, ...]


def verdict(prediction: Prediction, sound: Sound) -> Verdict:
    """The words for a listener, such as "Sounds most like jazz (62 %), then blues (21 %)"."""
    order = np.argsort(-prediction.probabilities)[:2]
    first, second = (
        f"{prediction.genres[n]} ({percent(prediction.probabilities[n])})" for n in order
    )
    if reason := no_music(sound):
        guess = f"The model knows nothing but genres, and would call it {first}."
        return Verdict(NO_MUSIC, (f"{reason}.", guess))
    if prediction.probabilities.max() < UNSURE:
        doubt = "No genre reaches 50 %: such answers are more often wrong than right."
        return Verdict(f"Not sure: perhaps {first}, or {second}", (doubt,))
    return Verdict(f"Sounds most like {first}, then {second}", ())


def percent(share: float) -> str:
    """Such as ``62 %``; never 0 or 100, which no network can know."""
    if share < 0.01:
        return "<1 %"
    return ">99 %" if share > 0.99 else f"{100 * share:.0f} %"


def level(sound: Sound) -> float:
    """Root mean square in decibels below full scale."""
    return 20 * float(np.log10(np.sqrt(np.mean(sound.wave**2)) + 1e-12))


def no_music(sound: Sound) -> str:
    """Why a sound may not be music, a sentence without its stop; empty where it may be."""
    if level(sound) < QUIET:
        return f"It is almost silent ({level(sound):.0f} dBFS)"
    if sound.seconds < SHORTEST:
        return ""
    spread, bass = _spectrum(sound)
    if spread < STEADY:
        return "It does not change, like noise, a hum or a single tone"
    if spread > RESTLESS and bass < THIN and _pauses(sound) > PAUSES:
        return "It has the pauses and the thin bass of speech"
    return ""


def _spectrum(sound: Sound) -> tuple[float, float]:
    """Spread of the half octaves' levels over time in dB, and the share of the power in the bass.

    The spread is that of the middle half of the moments, as a normal distribution's standard
    deviation, so that a pause before or after does not count. Of long songs it is that of the
    beginning.
    """
    size = round(0.032 * sound.rate)
    wave = sound.wave[: round(LONGEST * sound.rate)]
    moments = np.lib.stride_tricks.sliding_window_view(wave, size)[:: size // 2]
    power = np.abs(np.fft.rfft(moments * np.hanning(size), axis=1)) ** 2
    hertz = np.fft.rfftfreq(size, 1 / sound.rate)
    inside = [(hertz >= a) & (hertz < b) for a, b in pairwise(BANDS)]
    bands = np.stack([power[:, band].mean(1) for band in inside if band.any()], 1)
    decibels = 10 * np.log10(np.maximum(bands, bands.max() * 1e-8))
    low, high = np.percentile(decibels, [25, 75], axis=0)
    return float((high - low).mean() / 1.349), float(power[:, hertz < BASS].sum() / power.sum())


def _pauses(sound: Sound) -> float:
    """Share of 20 ms below half the mean level of their second.

    The "percentage of low-energy frames" of Scheirer and Slaney, Construction and evaluation of a
    robust multifeature speech/music discriminator, ICASSP 1997.
    """
    size = round(0.02 * sound.rate)
    levels = np.sqrt((sound.wave[: len(sound.wave) // size * size].reshape(-1, size) ** 2).mean(1))
    seconds = np.lib.stride_tricks.sliding_window_view(levels, 50)[::25]
    return float((seconds < 0.5 * seconds.mean(1, keepdims=True)).mean())
