"""Songs of a corpus that are like a song: nearest by the network's own view of them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gtzan_lightning.data.arrays import read_arrays, write_arrays
from gtzan_lightning.data.audio import BrokenSong
from gtzan_lightning.data.corpus import Corpus
from gtzan_lightning.data.decoding import decode
from gtzan_lightning.data.sound_files import MP3_RATE
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.models.layers import EMBEDDINGS

PLAYED = 10.0  # seconds from the middle of a song


@dataclass(frozen=True)
class Library:
    """Songs with unit vectors (song, number); near vectors sound alike to the network."""

    corpus: Corpus
    vectors: np.ndarray

    def nearest(self, vector: np.ndarray, count: int = 5) -> list[tuple[str, str, float]]:
        """The nearest songs to a vector of ``Tagger.embed``: id, genre, cosine similarity."""
        similarity = self.vectors @ vector
        songs = self.corpus.songs
        best = np.argsort(-similarity)[:count]
        return [(songs[n]["id"], songs[n]["genre"], float(similarity[n])) for n in best]

    def middle(self, song: str) -> tuple[np.ndarray, int] | None:
        """(sample,) seconds from the middle of a song, and their rate; None without its sound.

        A corpus of pictures has the sound of songs whose files are where they were.
        """
        row = self.corpus.ids.index(song)
        rate = self.corpus.info.get("sample_rate", MP3_RATE)
        if not self.corpus.is_pictures:
            wave = self.corpus.recording(row).astype(np.float32) / 32767
        elif path := self.corpus.songs[row].get("path"):
            try:
                wave = decode(Path(path), rate).wave
            except BrokenSong:
                return None
        else:
            return None
        length = round(PLAYED * rate)
        first = max(0, len(wave) - length) // 2
        return wave[first : first + length], rate


def library(
    tagger: Tagger, corpus: Corpus, folder: Path, told: Callable[[int, int], None]
) -> Library:
    """The library of a corpus, made once and kept as a file named after network and songs.

    Args:
        told: is told after each song how many of how many are done.
    """
    file = folder / f"likeness-{EMBEDDINGS}-{tagger.digest}-{corpus.sounds}.npz"
    if kept := read_arrays(file, "vectors"):
        return Library(corpus, kept[0])
    each = []
    for row in range(len(corpus.songs)):
        song = torch.from_numpy(np.array(corpus.recording(row)))
        each.append(tagger.recording_to_vector(song[None]))
        told(len(each), len(corpus.songs))
    vectors = np.stack(each)
    try:
        write_arrays(file, vectors=vectors)
    except OSError as error:
        print(f"{file} can't be written ({error.strerror}): the next start makes it anew")
    return Library(corpus, vectors)


class Index:
    """A library that a thread makes while songs are already predicted.

    Attributes:
        library: once it is there.
        problem: why there will be none; empty where nothing is wrong.
    """

    def __init__(self, tagger: Tagger, prepare: Callable[[], Corpus], folder: Path) -> None:
        self.library: Library | None = None
        self.problem = ""
        self._done, self._songs = 0, 0
        self._may_go_on = threading.Event()
        self._may_go_on.set()
        self._make = lambda: library(tagger, prepare(), folder, self._told)

    def start(self) -> None:
        """Begin; the process can end before it is done."""
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def is_ready(self) -> bool:
        """Whether nothing more will come."""
        return self.library is not None or bool(self.problem)

    def words(self) -> str:
        """How far it is, such as ``still being indexed, 12 of 930``; empty when it is there."""
        if self.library is not None:
            return ""
        far = f"{self._done} of {self._songs}" if self._songs else "the songs are being read"
        return self.problem or f"still being indexed, {far}"

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is indexed meanwhile: somebody waits for an answer."""
        self._may_go_on.clear()
        try:
            yield
        finally:
            self._may_go_on.set()

    def _run(self) -> None:
        try:
            self.library = self._make()
        except (UserError, OSError, RuntimeError) as error:
            self.problem = f"no songs to compare with: {error}"
            print(self.problem)

    def _told(self, done: int, songs: int) -> None:
        self._done, self._songs = done, songs
        self._may_go_on.wait()
