"""Who plays on GTZAN's songs, and which of them are one recording: published facts, joined."""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path

FACTS = Path(__file__).parent / "facts"


def gtzan_facts(name: str, separator: str | None = None) -> list[list[str]]:
    """Words of each line of ``facts/NAME.txt``; lines that begin with # state the source."""
    lines = (FACTS / f"{name}.txt").read_text().splitlines()
    return [line.split(separator) for line in lines if line and not line.startswith("#")]


@cache
def credits() -> dict[str, str]:
    """Song id -> its artist in Sturm's index (2012), normalised; only songs that it names one of.

    A duet is an artist of its own here; ``artists`` joins it with both.
    """
    named = {song: plain(artist) for song, artist, _ in gtzan_facts("artists_and_titles", "\t")}
    return {song: artist for song, artist in named.items() if artist}


@cache
def titles() -> dict[str, str]:
    """Song id -> its title in Sturm's index, normalised; only songs that it names one of."""
    named = {song: plain(title) for song, _, title in gtzan_facts("artists_and_titles", "\t")}
    return {song: title for song, title in named.items() if title}


@cache
def artist_groups() -> dict[str, str]:
    """Song id -> artist group of Foleis and Tavares (2020), for 948 songs; finer than artists."""
    return {song: f"group{group}" for group, song in gtzan_facts("artist_groups")}


@cache
def recordings() -> dict[str, str]:
    """Song id -> the first id of the same recording, for the later ones of GTZAN's 53 pairs."""
    pairs = [(pair[0], pair[1]) for pair in gtzan_facts("same_recordings")]
    first = joined(sorted({song for pair in pairs for song in pair}), pairs)
    return {song: root for song, root in first.items() if song != root}


@cache
def artists() -> dict[str, str]:
    """Song id -> artist, as the first id of his songs; without the songs whose artist is unknown.

    Songs are of one artist where Sturm's index credits one (duets: either), where they are in one
    group of Foleis and Tavares, or where they are one recording. So an artist is never on two
    sides by any of the three.
    """
    ids = [song for song, *_ in gtzan_facts("artists_and_titles", "\t")]
    pairs = list(recordings().items())
    first: dict[str, str] = {}
    for song, key in [*_credited(), *artist_groups().items()]:
        pairs.append((song, first.setdefault(key, song)))
    known = credits().keys() | artist_groups().keys() | {song for pair in pairs for song in pair}
    return {song: root for song, root in joined(ids, pairs).items() if song in known}


def joined(ids: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Id -> the least id that a chain of pairs leads to."""
    root = {song: song for song in ids}

    def top(song: str) -> str:
        while root[song] != song:
            song = root[song]
        return song

    for one, other in pairs:
        least, larger = sorted((top(one), top(other)))
        root[larger] = least
    return {song: top(song) for song in root}


def plain(name: str) -> str:
    """A name in small letters without accents, signs, "the" and "and"."""
    letters = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", " ", letters.replace("'", "")).split()
    return " ".join(word for word in words if word not in ("the", "and"))


def _credited() -> list[tuple[str, str]]:
    """(song, one of those whom the index credits)"""
    return [
        (song, one)
        for song, artist, _ in gtzan_facts("artists_and_titles", "\t")
        for one in map(plain, re.split(r",|&| and ", artist))
        if one
    ]
