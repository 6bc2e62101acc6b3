"""Songs, decoded once: the packed corpus, a folder that is memory-mapped ever after.

songs.csv     id, genre, artist, length, path, digest, faults: one line for every row
left_out.csv  what, name, detail, left_out: everything verification found
array.npy     int16 (song, sample) or uint8 (song, bin, frame), time last, zeros after the end
corpus.json   kind, genres, rate, how it was made, fingerprint of the sources
"""

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gtzan_lightning.catalogue import GENRES, Problem, gtzan_ids
from gtzan_lightning.errors import UserError


@dataclass(frozen=True)
class Corpus:
    """An opened packed corpus; ``array`` is memory-mapped."""

    folder: Path
    info: dict[str, Any]
    songs: list[dict[str, str]]
    lengths: np.ndarray  # (song,) true lengths in samples or frames
    array: np.ndarray
    problems: list[Problem]

    @property
    def name(self) -> str:
        return str(self.info["name"])

    @property
    def genres(self) -> list[str]:
        return list(self.info["genres"])

    @property
    def is_pictures(self) -> bool:
        return self.info["kind"] == "picture"

    @property
    def ids(self) -> list[str]:
        return [song["id"] for song in self.songs]

    @property
    def universe(self) -> list[str] | None:
        """Every song id that could be here; None where any folder may hold any song."""
        if self.info.get("universe") == "all":
            return [*self.ids, *(p.name for p in self.problems if p.what == "missing")]
        return gtzan_ids() if set(self.ids) <= set(gtzan_ids()) else None

    @property
    def fingerprint(self) -> str:
        """Changes when a song is added, removed or renamed; the same on any machine."""
        return digest("\n".join(sorted(self.ids)).encode())

    def genre_numbers(self) -> np.ndarray:
        """(song,) position of each song's genre in ``genres``."""
        return np.array([self.genres.index(song["genre"]) for song in self.songs])


def open_corpus(folder: Path) -> Corpus:
    """Open a packed corpus; reads its two tables and maps the array.

    Raises:
        UserError: not a packed corpus, or its files do not fit one another.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist: name a packed corpus with --data.root")
    try:
        info = json.loads((folder / "corpus.json").read_text())
        with (folder / "songs.csv").open(newline="") as file:
            songs = list(csv.DictReader(file))
        array = np.load(folder / "array.npy", mmap_mode="r")
        problems = _read_problems(folder / "left_out.csv")
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{folder} is not a packed corpus ({' '.join(str(error).split())}): it needs "
            "corpus.json, songs.csv and array.npy"
        ) from None
    if len(songs) != len(array) or not songs or not {"id", "genre"} <= set(songs[0]):
        raise UserError(
            f"{folder}: songs.csv has {len(songs)} songs and array.npy {len(array)} rows"
        )
    wanted = {"waveform": (np.int16, 2), "picture": (np.uint8, 3)}.get(info.get("kind"))
    if wanted != (array.dtype, array.ndim):
        raise UserError(f"{folder}: array.npy does not hold what corpus.json says")
    info.setdefault("name", folder.resolve().name)
    found = {song["genre"] for song in songs}
    info.setdefault("genres", list(GENRES) if found <= set(GENRES) else sorted(found))
    lengths = np.array([int(song.get("length") or array.shape[-1]) for song in songs])
    return Corpus(folder, info, songs, lengths, array, problems)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _read_problems(path: Path) -> list[Problem]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [
            Problem(line["what"], line["name"], line["detail"], line["left_out"] == "1")
            for line in csv.DictReader(file)
        ]
