"""Songs of a corpus that are like a song: nearest by the network's own view of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from gtzan_lightning.data.corpus import Corpus
from gtzan_lightning.files import replacing
from gtzan_lightning.inference.tagger import Tagger


@dataclass(frozen=True)
class Library:
    """Songs with unit vectors (song, number); near vectors sound alike to the network."""

    songs: list[str]
    genres: list[str]
    vectors: np.ndarray

    def nearest(self, vector: np.ndarray, count: int = 5) -> list[tuple[str, str, float]]:
        """The nearest songs to a vector of ``Tagger.embed``: id, genre, cosine similarity."""
        similarity = self.vectors @ vector
        best = np.argsort(-similarity)[:count]
        return [(self.songs[n], self.genres[n], float(similarity[n])) for n in best]


def library(tagger: Tagger, corpus: Corpus, folder: Path) -> Library:
    """The library of a corpus, made once and kept as a file named after network and songs."""
    file = folder / f"likeness-{tagger.digest}-{corpus.fingerprint}.npy"
    if file.exists():
        vectors = np.load(file)
    else:
        rows = range(len(corpus.songs))
        recordings = (np.array(corpus.recording(n)) for n in track(rows, "songs like it"))
        each = [tagger.recording_to_vector(torch.from_numpy(song)[None]) for song in recordings]
        vectors = np.stack(each)
        with replacing(file) as part, part.open("wb") as sink:
            np.save(sink, vectors)
    return Library(corpus.ids, [song["genre"] for song in corpus.songs], vectors)
