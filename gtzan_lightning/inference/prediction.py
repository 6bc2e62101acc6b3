"""What a tagger says of a song."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Prediction:
    """The genres of a song, as a whole and clip by clip."""

    genres: list[str]
    probabilities: np.ndarray  # (genre,) of the whole song
    starts: np.ndarray  # (clip,) seconds
    clip_probabilities: np.ndarray  # (clip, genre)
    seconds: float
    remarks: tuple[str, ...]  # what was done to the sound before

    @property
    def genre(self) -> str:
        """The most probable one."""
        return self.genres[int(self.probabilities.argmax())]
