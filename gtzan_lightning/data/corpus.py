"""Songs, decoded once: the packed corpus, a folder that is memory-mapped ever after.

songs.csv       id, genre, artist, length, path, digest, faults: one line for every song
left_out.csv    what, name, detail, left_out: what is wrong with the songs, and which are not used
array.npy       what is kept of the songs, see recordings.py
array.crc32     by which a changed block of it is found
corpus.json     kind, genres, rate, how it was made, fingerprint of the sources
digests.sha256  of all but the array
"""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Required, cast

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from gtzan_lightning.data.artists import artists
from gtzan_lightning.data.catalogue import GENRES, Problem, gtzan_ids
from gtzan_lightning.data.digests import check_digests
from gtzan_lightning.data.recordings import Recordings, open_recordings
from gtzan_lightning.errors import UserError
from gtzan_lightning.files import digest
from gtzan_lightning.recipe.bounded import check_plain, text_of


class SongRow(TypedDict, total=False):
    """A line of songs.csv; tables that others made may have no more than ids and genres."""

    id: Required[str]
    genre: Required[str]
    artist: str
    length: str  # samples or frames
    path: str
    digest: str  # of the sound
    faults: str


Words = Annotated[str, Field(max_length=1000)]


@with_config(ConfigDict(extra="allow", allow_inf_nan=False))
class CorpusInfo(TypedDict, total=False):
    """corpus.json. A corpus of pictures has their ``PictureSpec``'s keys too."""

    kind: Required[Literal["waveform", "picture"]]
    name: Required[Words]
    genres: Required[Annotated[list[Words], Field(min_length=1, max_length=1000)]]
    sample_rate: Annotated[int, Field(ge=1000, le=192000)]
    universe: Words  # all: no other song can exist
    version: Words  # of songs that have no files
    sources: Words  # fingerprint of the files
    made: Words
    picture: Words
    seconds_per_frame: Annotated[float, Field(ge=1e-6, le=60)]


@dataclass(frozen=True)
class Corpus:
    """An opened packed corpus; its recordings are memory-mapped."""

    folder: Path
    info: CorpusInfo
    songs: list[SongRow]
    lengths: np.ndarray  # (song,) true lengths in samples or frames
    recordings: Recordings
    rows: np.ndarray  # (song,) number that each song has in ``recordings``
    problems: list[Problem]

    @property
    def name(self) -> str:
        return self.info["name"]

    @property
    def genres(self) -> list[str]:
        return self.info["genres"]

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
            return [*self.ids, *(problem.name for problem in self.problems if problem.left_out)]
        return gtzan_ids() if set(self.ids) <= set(gtzan_ids()) else None

    @property
    def artists(self) -> dict[str, str]:
        """Song id -> artist, empty where unknown; of GTZAN as is known today, whenever packed."""
        if self.universe == gtzan_ids():
            return {song: artists().get(song, "") for song in self.ids}
        named = {song["id"]: song.get("artist") or "" for song in self.songs}
        return {song: "" if artist == song else artist for song, artist in named.items()}

    @property
    def fingerprint(self) -> str:
        """Of which songs are here (ids, lengths, version): equal on any machine and at any rate."""
        step = self.info.get("seconds_per_frame") or 1 / self.info["sample_rate"]
        lines = [f"{i} {n * step:.1f}" for i, n in zip(self.ids, self.lengths, strict=True)]
        return digest("\n".join([self.info.get("version", ""), *sorted(lines)]).encode())

    @property
    def sounds(self) -> str:
        """Of which songs are here in which order, and of the files that they were packed from."""
        lines = [f"{song['id']} {song.get('digest', '')}" for song in self.songs]
        return digest("\n".join([self.fingerprint, *lines]).encode())

    def recording(self, song: int) -> np.ndarray:
        """A song as it is kept, from its start to its true end: (sample,) or (bin, frame).

        Raises:
            Changed: it is not what was packed.
        """
        return self.parts(np.array([song]), np.array([0]), self.lengths[[song]])[0]

    def parts(self, songs: np.ndarray, start: np.ndarray, stop: np.ndarray) -> list[np.ndarray]:
        """Steps ``start`` to ``stop`` (not with it) of each song; raises as ``recording``."""
        return self.recordings.parts(self.rows[songs], start, stop)

    def empty(self, steps: int) -> np.ndarray:
        """Silence of so many steps, of the shape and type of the recordings."""
        return np.zeros((*self.recordings.bins, steps), self.recordings.values.dtype)

    def without(self, genres: Sequence[str]) -> "Corpus":
        """The corpus less some of its genres.

        Raises:
            UserError: a genre that it does not have, or fewer than two would be left.
        """
        if unknown := [genre for genre in genres if genre not in self.genres]:
            raise UserError(
                f"data.leave_out {unknown[0]}: {self.name} has no such genre, it has "
                f"{', '.join(self.genres)}"
            )
        kept = [genre for genre in self.genres if genre not in genres]
        if genres and len(kept) < 2:
            raise UserError("data.leave_out leaves fewer than two genres: leave out fewer")
        stay = [n for n, song in enumerate(self.songs) if song["genre"] in kept]
        return replace(
            self,
            info={**self.info, "genres": kept},
            songs=[self.songs[n] for n in stay],
            lengths=self.lengths[stay],
            rows=self.rows[stay],
        )

    def genre_numbers(self) -> np.ndarray:
        """(song,) position of each song's genre in ``genres``."""
        return np.array([self.genres.index(song["genre"]) for song in self.songs])


def open_corpus(folder: Path) -> Corpus:
    """Open a packed corpus; reads its tables and maps the array.

    Raises:
        UserError: not a packed corpus, its files do not fit one another, or one has changed.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist: name a packed corpus with data.root")
    try:
        return _open(folder)
    except (
        OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error
    ) as error:  # fmt: skip
        raise UserError(
            f"{folder} is not a packed corpus ({' '.join(str(error).split())}): it needs "
            "corpus.json, songs.csv and array.npy that fit one another; one that was packed here "
            "may be deleted, it is packed again"
        ) from None


def open_pictures(folder: Path) -> Corpus:
    """Open a packed corpus that must hold pictures, as ``--data.corpus pictures`` asks."""
    corpus = open_corpus(folder)
    if not corpus.is_pictures:
        raise UserError(
            f"{folder} holds waveforms, not pictures: name the folder of the songs themselves, "
            "with data.corpus gtzan or folder"
        )
    return corpus


@cache
def _adapter() -> TypeAdapter[CorpusInfo]:
    return TypeAdapter(CorpusInfo)


def _open(folder: Path) -> Corpus:
    check_digests(folder)
    about = folder / "corpus.json"
    about.stat()  # its absence says that this is no corpus, and not that a file can't be read
    info = json.loads(text_of(about, ""))
    check_plain(info, str(about))
    with (folder / "songs.csv").open(
        newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
        songs = cast(list[SongRow], list(csv.DictReader(file)))
    if not songs:
        raise ValueError("songs.csv has no songs")
    for line, song in enumerate(songs, 2):
        if None in song or None in song.values() or not (song["id"] and song["genre"]):
            raise ValueError(f"songs.csv, line {line}: other columns than the header's, or no id")
    words = (str(word) for song in songs for name, word in song.items() if name != "path")
    "".join(words).encode()  # raises ValueError: only a path need not be UTF-8
    info.setdefault("name", folder.resolve().name)
    genres = {song["genre"] for song in songs}
    info.setdefault("genres", list(GENRES) if genres <= set(GENRES) else sorted(genres))
    info = _adapter().validate_python(info)
    if "sample_rate" not in info and "seconds_per_frame" not in info:
        raise ValueError("corpus.json has no sample_rate")
    if not genres <= set(info["genres"]) or len({song["id"] for song in songs}) < len(songs):
        raise ValueError("songs.csv repeats a song or names a genre that corpus.json does not")
    stated = [int(song.get("length") or 0) or None for song in songs]
    recordings, lengths = open_recordings(folder, info["kind"], stated)
    rows = np.arange(len(songs))
    problems = []
    if (folder / "left_out.csv").exists():
        with (folder / "left_out.csv").open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        problems = [Problem(p["what"], p["name"], p["detail"], p["left_out"] == "1") for p in lines]
    return Corpus(folder, info, songs, lengths, recordings, rows, problems)
