"""What is known of each song: names and parts, and what its sound measures."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gtzan_lightning.audit.findings import Finding
from gtzan_lightning.data.artists import credits, recordings, titles
from gtzan_lightning.data.catalogue import gtzan_ids

GTZAN = frozenset(gtzan_ids())  # ids of its 1,000 songs


@dataclass(frozen=True)
class Named:
    """What is said of a song; texts are empty where unknown."""

    id: str
    genre: str = ""
    part: str = ""
    artist: str = ""
    title: str = ""
    recording: str = ""  # equal for songs that are known to be one recording
    digest: str = ""  # equal for equal sound


@dataclass(frozen=True)
class Sound:
    """What a song's sound measures. ``bandwidth`` and ``clipped`` are None for packed pictures.

    Attributes:
        envelope: (band, frame) decibels below the song's maximum.
        seconds: length.
        loudness: decibels, of the mean power (waveform) or below the maximum (picture).
        bandwidth: Hz above which there is nothing, and whether the spectrum ends steeply there.
        clipped: share of samples that lie in flat tops.
        edges: seconds of silence before and after the music.
        silent: share of the song that is silent.
        kind: such as ``wav 22050 Hz 1 channel``; empty for packed songs.
    """

    id: str
    envelope: np.ndarray
    seconds: float
    loudness: float
    edges: float
    silent: float
    bandwidth: float | None = None
    is_steep: bool = False
    clipped: float | None = None
    kind: str = ""
    path: Path | None = None


@dataclass(frozen=True)
class Subject:
    """All that rules look at; ``sounds`` is empty where there is no sound to measure."""

    name: str
    songs: list[Named]
    sounds: list[Sound] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)  # of reading it
    seconds_per_frame: float = 1.0
    table: Path | None = None

    @property
    def genre_of(self) -> dict[str, str]:
        return {song.id: song.genre for song in self.songs}

    @property
    def part_of(self) -> dict[str, str]:
        return {song.id: song.part for song in self.songs}


def named(
    id_: str, genre: str = "", part: str = "", artist: str = "", title: str = "", digest: str = ""
) -> Named:
    """A song with what published facts say of it; GTZAN's ids are known by them."""
    if id_ not in GTZAN:
        return Named(id_, genre, part, "" if artist == id_ else artist, title, digest=digest)
    return Named(
        id=id_,
        genre=genre or id_.split(".")[0],
        part=part,
        artist=credits().get(id_, ""),
        title=titles().get(id_, ""),
        recording=recordings().get(id_, id_),
        digest=digest,
    )
