"""What ``data.corpus`` may name: how its songs are found, listed and decoded, and its name."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from gtzan_lightning.data.catalogue import (
    GENRES,
    Problem,
    Song,
    advice,
    find_gtzan,
    folder_songs,
    gtzan_songs,
)
from gtzan_lightning.data.corpus import Corpus, open_pictures
from gtzan_lightning.data.decoding import decode, probe_seconds
from gtzan_lightning.data.listing import size_and_time
from gtzan_lightning.data.synthetic import VERSION, render
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import DataSettings
from gtzan_lightning.terminal import printable

Listing = Callable[[Path], tuple[list[Song], list[Problem]]]


@dataclass(frozen=True)
class Catalogue:
    """Songs that are listed and can be decoded, and where they are from."""

    name: str
    songs: list[Song]
    genres: list[str]
    seconds: Callable[[Song], float]
    waveform: Callable[[Song], np.ndarray]  # (sample,) at data.sample_rate
    origin: Callable[[], str]  # changes whenever the packed corpus would
    problems: list[Problem] = field(default_factory=list)
    universe: str = "any"  # all: no other song can exist
    version: str = ""  # of songs that have no files: changes when they sound different
    remark: str | None = None  # a loud line


def _of_files(name: str, listing: Listing, genres: Sequence[str], data: DataSettings) -> Catalogue:
    songs, problems = listing(Path(data.root))

    def origin() -> str:
        lines = [f"{name} {data.sample_rate} {data.min_seconds}"]
        for song in songs:
            place = printable(os.path.realpath(song.path))
            lines.append(f"{song.id} {place} {size_and_time(song.path)}")
        return "\n".join(lines)

    return Catalogue(
        name=name,
        songs=songs,
        genres=list(genres) or sorted({song.genre for song in songs}),
        seconds=lambda song: probe_seconds(song.path),
        waveform=lambda song: decode(song.path, data.sample_rate).wave,
        origin=origin,
        problems=problems,
    )


def _gtzan(data: DataSettings) -> Catalogue:
    remark = None
    if data.download and not find_gtzan(Path(data.root)):
        from gtzan_lightning.data.download import LICENCE, fetch  # imports the hub's client

        remark = f"{fetch(Path(data.root))}; {LICENCE}"
    return replace(_of_files("gtzan", gtzan_songs, GENRES, data), remark=remark)


_folder = partial(_of_files, "folder", folder_songs, ())


def _synthetic(data: DataSettings) -> Catalogue:
    numbers = range(data.synthetic_songs)
    ids = {f"{genre}.s{n:04}": (genre, n) for genre in GENRES for n in numbers}
    seed, seconds, rate = data.synthetic_seed, data.synthetic_seconds, data.sample_rate
    return Catalogue(
        name="synthetic",
        songs=[Song(id_, genre, Path(), "") for id_, (genre, _) in ids.items()],
        genres=list(GENRES),
        seconds=lambda song: seconds,
        waveform=lambda song: render(*ids[song.id], seed, seconds, rate),
        origin=lambda: f"version {VERSION} {data.synthetic_songs} {seconds} {seed} {rate}",
        universe="all",
        version=f"version {VERSION} seed {seed}",
    )


def _auto(data: DataSettings) -> Catalogue:
    root = Path(data.root)
    if data.download or find_gtzan(root):
        return _gtzan(data)
    if data.root != DataSettings().root:
        raise UserError(
            f"there is no GTZAN at {root}: {advice(root)}; your own genres need data.corpus "
            "folder, a packed corpus data.corpus pictures"
        )
    remark = (
        f"GTZAN WAS NOT FOUND at {root}: this run uses SYNTHETIC songs made by the package, "
        f"whose scores say nothing about music. To use GTZAN, {advice(root)}."
    )
    return replace(_synthetic(data), remark=remark)


# each lists the songs that it finds, or opens them where they are packed already
CORPORA: dict[str, Callable[[DataSettings], Catalogue | Corpus]] = {
    "auto": _auto,
    "gtzan": _gtzan,
    "folder": _folder,
    "pictures": lambda data: open_pictures(Path(data.root)),
    "synthetic": _synthetic,
}
