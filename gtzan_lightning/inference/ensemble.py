"""Several taggers that vote together, in the place of one."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.prediction import Prediction
from gtzan_lightning.inference.sound import Sound, file_to_sound, wave_to_sound
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.recipe.settings import TrackSettings

LEAST = np.finfo(np.float32).tiny


class Ensemble:
    """Waveforms -> genre probabilities of two or more taggers: the mean of their log-probabilities.

    It has the members of ``Tagger`` that tagging needs.

    Raises:
        UserError: they know other genres than one another.
    """

    def __init__(self, taggers: Sequence[Tagger]) -> None:
        self.taggers, self.genres = list(taggers), taggers[0].genres
        if any(tagger.genres != self.genres for tagger in taggers):
            raise UserError("an ensemble's checkpoints know other genres than one another")
        self.sample_rate = max(tagger.sample_rate for tagger in taggers)
        digests = " ".join(sorted(tagger.digest for tagger in taggers))
        self.digest = hashlib.sha256(digests.encode()).hexdigest()[:8]

    def predict(self, wave: np.ndarray, rate: int, every: float | None = None) -> Prediction:
        """As ``Tagger.predict``. What is said of clips is of the first tagger's."""
        return self.predict_sound(wave_to_sound(wave, rate, self.sample_rate), every)

    def predict_file(self, path: Path, every: float | None = None) -> Prediction:
        """As ``Tagger.predict_file``."""
        return self.predict_sound(file_to_sound(path, self.sample_rate), every)

    def predict_sound(self, sound: Sound, every: float | None = None) -> Prediction:
        """As ``Tagger.predict_sound``, of a sound at ``sample_rate``.

        Raises:
            BrokenSong: a member gives no number for it.
        """
        made = [
            tagger.predict_sound(
                sound if tagger.sample_rate == sound.rate
                else wave_to_sound(sound.wave, sound.rate, tagger.sample_rate),
                every,
            )
            for tagger in self.taggers
        ]  # fmt: skip
        # a probability may be too small for its type, and no member alone rules a genre out
        logs = np.mean([np.log(one.probabilities.clip(LEAST)) for one in made], axis=0)
        shares = np.exp(logs - logs.max())
        return Prediction(
            genres=self.genres,
            probabilities=shares / shares.sum(),
            starts=made[0].starts,
            clip_probabilities=made[0].clip_probabilities,
            seconds=sound.seconds,
            remarks=tuple(dict.fromkeys(remark for one in made for remark in one.remarks)),
        )


def load(
    runs: Sequence[str | Path], track: TrackSettings | None = None, raw: bool = False
) -> Tagger | Ensemble:
    """The tagger of a run, or of several together. Raises as ``Tagger.load`` or ``Ensemble``."""
    taggers = [Tagger.load(run, track, raw=raw) for run in runs]
    return taggers[0] if len(taggers) == 1 else Ensemble(taggers)
