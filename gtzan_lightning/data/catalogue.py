"""Which songs there are: folders -> a catalogue of songs, and what is wrong with the folder.

Knows GTZAN's ten genres, its 1,000 song ids, and its known faults; opens no sound.
"""

import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gtzan_lightning.data.artists import artists, gtzan_facts, recordings
from gtzan_lightning.data.listing import (
    AUDIO,
    has_audio_name,
    not_readable,
    visible,
    why_no_file,
    why_no_folder,
)
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import DataSettings
from gtzan_lightning.terminal import printable

GENRES = (
    "blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock",
)  # fmt: skip
# faults that no decoder notices; repetitions are in facts/same_recordings.txt
KNOWN_FAULTS = {
    "jazz.00054": "unreadable header in the Kaggle copy",
    "reggae.00086": "the last half is unusable (Sturm 2013)",
    "pop.00037": "distorted (Sturm 2013)",
}


@dataclass(frozen=True)
class Song:
    """One recording with one genre; ``artist`` is empty where unknown.

    Ids and genres of files are as ``printable`` makes them; ``path`` may be no UTF-8.
    """

    id: str
    genre: str
    path: Path
    artist: str
    faults: str = ""


@dataclass(frozen=True)
class Problem:
    """A file or song that is not as it should be; ``left_out`` songs are not used."""

    what: str  # missing, extra, unreadable, silent, too short, truncated, duplicate, known fault
    name: str
    detail: str = ""
    left_out: bool = True


def advice(root: Path) -> str:
    """How to have GTZAN at ``root``; a clause for messages."""
    place = "" if str(root) == DataSettings().root else f" --data.root {shlex.quote(str(root))}"
    return (
        f"get it with 'gtzan data{place}' (1.2 GB, or from Kaggle with --from kaggle), or name the "
        "folder of a copy with data.root"
    )


def gtzan_ids() -> list[str]:
    """The 1,000 song ids of GTZAN, ``blues.00000`` to ``rock.00099``."""
    return [f"{genre}.{number:05}" for genre in GENRES for number in range(100)]


@cache
def filtered_songs() -> frozenset[str]:
    """Ids of GTZAN's songs that the fault-filtered lists keep, whatever the part."""
    return frozenset(song for _, song in gtzan_facts("filtered"))


def known_fault(id_: str) -> str:
    """What is known to be wrong with a song of GTZAN; "" for nothing, and for other songs."""
    faults = _known_faults(id_)
    if faults or id_ in filtered_songs() or id_ not in gtzan_ids():
        return faults
    return "left out of the fault-filtered lists"


def find_gtzan(root: Path) -> Path | None:
    """The folder under ``root`` whose subfolders are GTZAN's genres; the one with most songs.

    Finds ``genres/``, ``genres_original/`` and ``Data/genres_original/`` at any depth up to four.
    """
    counts = {folder: sum(1 for _ in _gtzan_files(folder)) for folder in _folders(root, depth=4)}
    best = max(counts, key=counts.__getitem__, default=None)
    return best if best and counts[best] else None


def gtzan_songs(root: Path) -> tuple[list[Song], list[Problem]]:
    """Catalogue of a copy of GTZAN, whole or in part, in id order; missing and extra files.

    Raises:
        UserError: there is no song of GTZAN under ``root``.
    """
    base = find_gtzan(root)
    if base is None:
        state = "is empty of GTZAN songs" if os.path.isdir(root) else "does not exist"
        if os.path.isdir(root) and (why := why_no_folder(root)):
            state = f"is a {why}"
        raise UserError(f"GTZAN was not found: {root} {state}; {advice(root)}")
    songs: dict[str, Song] = {}
    problems: list[Problem] = []
    broken = set()
    for folder in _genre_folders(base, problems):
        for path in _listed(folder, problems):
            named, why = gtzan_song(path), why_no_file(path)
            if named is None:
                problems.append(Problem("extra", printable(path), why or "not a song of GTZAN"))
            elif why:
                problems.append(Problem("unreadable", printable(path), why))
                broken.add(named[0])
            elif named[0] in songs:
                used = printable(songs[named[0]].path.name)
                problems.append(Problem("extra", printable(path), f"{used} is used"))
            else:
                id_, genre = named
                songs[id_] = Song(id_, genre, path, artists().get(id_, ""), _known_faults(id_))
    problems += [Problem("missing", id_) for id_ in gtzan_ids() if id_ not in {*songs, *broken}]
    faulty = [song for song in songs.values() if song.faults]
    problems += [Problem("known fault", song.id, song.faults, left_out=False) for song in faulty]
    return [songs[id_] for id_ in sorted(songs)], problems


def gtzan_song(path: Path) -> tuple[str, str] | None:
    """Id and genre of a file that is named as a song of GTZAN, ``blues/blues.00000.wav``."""
    genre = _genre(path.parent.name)
    match = re.fullmatch(r"([a-z-]+)\.(000\d\d)", path.stem.lower())
    if not (genre and match and _genre(match[1]) == genre and has_audio_name(path)):
        return None
    return f"{genre}.{match[2]}", genre


def folder_songs(root: Path) -> tuple[list[Song], list[Problem]]:
    """Catalogue of any ``ROOT/GENRE/*.audio``; a song's id is ``GENRE/FILE``.

    Raises:
        UserError: no such folder, no sound in it, or a genre with fewer than three songs.
    """
    if not os.path.isdir(root):
        raise UserError(f"{root} does not exist: data.root must hold one folder for each genre")
    if why := why_no_folder(root):
        raise UserError(f"{root}: {why}; data.root must hold one folder for each genre")
    songs: list[Song] = []
    problems: list[Problem] = []
    genres = []
    for folder in visible(root):
        if os.path.isdir(folder):
            before = len(problems)
            own = _folder_songs(folder, problems)
            unreadable = [p for p in problems[before:] if p.what == "unreadable"]
            if own or unreadable:
                genres.append((folder, len(own), unreadable))
            songs += own
        elif has_audio_name(folder):
            why = why_no_file(folder) or "in no genre's folder"
            problems.append(Problem("extra", printable(folder), why))
    if not songs:
        raise UserError(
            f"{root} has no sound: data.root must hold GENRE/*{{{','.join(AUDIO)}}} files"
        )
    for folder, count, unreadable in genres:
        if count < 3:
            why = f" ({unreadable[0].name}: {unreadable[0].detail})" if unreadable else ""
            raise UserError(
                f"{folder} has {count} song{'s' * (count != 1)}{why}: a genre needs at least "
                "three, for train, valid and test; add songs or remove the folder"
            )
    return songs, problems


def _folder_songs(folder: Path, problems: list[Problem]) -> list[Song]:
    """A genre's songs; what is none of them goes to the problems."""
    songs, genre = [], printable(folder.name)
    for path in _listed(folder, problems):
        why = why_no_file(path)
        if not has_audio_name(path):
            problems.append(Problem("extra", printable(path), why or "not a sound file"))
        elif why:
            problems.append(Problem("unreadable", printable(path), why))
        else:
            songs.append(Song(f"{genre}/{printable(path.name)}", genre, path, ""))
    return songs


def summary(problems: list[Problem]) -> str:
    """One line: how many songs and files are wrong in which way."""
    counts = Counter(problem.what for problem in problems)
    return ", ".join(f"{n} {what}" for what, n in sorted(counts.items())) or "nothing wrong"


def _gtzan_files(base: Path) -> Iterator[Path]:
    for folder in _genre_folders(base, []):
        for path in _listed(folder, []):
            if gtzan_song(path) and path.is_file():
                yield path


def _genre_folders(base: Path, problems: list[Problem]) -> Iterator[Path]:
    """Folders named as GTZAN's genres are; what else has such a name goes to the problems."""
    for path in _listed(base, problems):
        if os.path.isdir(path) and _genre(path.name):
            yield path
        elif _genre(path.name):
            why = why_no_file(path) or "a file, not a folder"
            problems.append(Problem("extra", printable(path), why))


def _listed(folder: Path, problems: list[Problem]) -> list[Path]:
    """What a folder shows; one that can't be read goes to the problems."""
    try:
        return visible(folder)
    except OSError as error:
        problems.append(Problem("unreadable", printable(folder), not_readable(error)))
        return []


def _genre(name: str) -> str | None:
    plain = re.sub(r"[-_ ]", "", name.lower())
    return plain if plain in GENRES else None


def _folders(root: Path, depth: int) -> Iterator[Path]:
    """The folder and those in it, each once: links may lead in circles."""
    seen = set()
    waiting = [(root, depth)]
    while waiting:
        folder, left = waiting.pop()
        real = os.path.realpath(folder)
        if not os.path.isdir(folder) or real in seen:
            continue
        seen.add(real)
        yield folder
        if left:
            inner = [path for path in _listed(folder, []) if not _genre(path.name)]
            waiting += [(path, left - 1) for path in reversed(inner)]


def _known_faults(id_: str) -> str:
    faults = [KNOWN_FAULTS[id_]] if id_ in KNOWN_FAULTS else []
    if id_ in recordings():
        faults.append(f"same recording as {recordings()[id_]}")
    return "; ".join(faults)
