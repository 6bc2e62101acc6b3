"""Songs of a corpus that are like a song: nearest by the network's own view of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from gtzan_lightning.data.corpus import Corpus
from gtzan_lightning.files import replacing
from gtzan_lightning.inference.tagger import Sound, Tagger


@dataclass(frozen=True)
class Library:
    """Songs with unit vectors (song, number); near vectors sound alike to the network."""

    songs: list[str]
    genres: list[str]
    vectors: np.ndarray

    def like(self, vector: np.ndarray, count: int = 5) -> list[tuple[str, str, float]]:
        """The nearest songs: id, genre, cosine similarity."""
        nearness = self.vectors @ vector
        best = np.argsort(-nearness)[:count]
        return [(self.songs[n], self.genres[n], float(nearness[n])) for n in best]


def library(tagger: Tagger, corpus: Corpus, kept: Path) -> Library:
    """The library of a corpus, made once and kept as a file named after network and songs."""
    file = kept / f"likeness-{tagger.mark}-{corpus.fingerprint}.npy"
    if file.exists():
        vectors = np.load(file)
    else:
        rows = range(len(corpus.songs))
        pictures = (tagger.pictures_of(corpus.recording(n)) for n in track(rows, "songs like it"))
        vectors = np.stack([_unit(tagger, of_song) for of_song in pictures])
        with replacing(file) as part, part.open("wb") as sink:
            np.save(sink, vectors)
    return Library(corpus.ids, [song["genre"] for song in corpus.songs], vectors)


def vector_of(tagger: Tagger, sound: Sound) -> np.ndarray:
    """(number,) unit vector of a song."""
    pictures, _ = tagger.pictures(sound.wave)
    return _unit(tagger, pictures)


@torch.inference_mode()
def _unit(tagger: Tagger, pictures: torch.Tensor) -> np.ndarray:
    """Mean over clips and map of the trunk, or of the logits where there is no trunk."""
    network = tagger.network
    if hasattr(network, "trunk"):
        found = network.trunk(pictures).mean((0, 2, 3))
    else:
        found = network(pictures).mean(0)
    return (found / found.norm().clamp_min(1e-9)).cpu().numpy()
