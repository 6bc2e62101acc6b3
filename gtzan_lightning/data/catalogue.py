"""Which songs there are: folders -> a catalogue of songs, and what is wrong with the folder.

Knows GTZAN's ten genres, its 1,000 song ids, and its known faults; opens no sound.
"""

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gtzan_lightning.data.artists import artists, gtzan_facts, recordings
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import DataSettings

GENRES = (
    "blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock",
)  # fmt: skip
AUDIO = (".wav", ".au", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff")
# faults that no decoder notices; repetitions are in facts/same_recordings.txt
KNOWN_FAULTS = {
    "jazz.00054": "unreadable header in the Kaggle copy",
    "reggae.00086": "the last half is unusable (Sturm 2013)",
    "pop.00037": "distorted (Sturm 2013)",
}


@dataclass(frozen=True)
class Song:
    """One recording with one genre; ``artist`` is empty where unknown."""

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
        state = "is empty of GTZAN songs" if root.is_dir() else "does not exist"
        raise UserError(f"GTZAN was not found: {root} {state}; {advice(root)}")
    songs: dict[str, Song] = {}
    problems = []
    files = list(_gtzan_files(base))
    for id_, genre, path in files:
        if id_ in songs:
            problems.append(Problem("extra", str(path), f"{songs[id_].path.name} is used"))
        else:
            songs[id_] = Song(id_, genre, path, artists().get(id_, ""), _known_faults(id_))
    known = {path for _, _, path in files}
    for folder in (p for p in _listing(base) if p.is_dir() and _genre(p.name)):
        for path in _listing(folder):
            if path not in known and not path.name.startswith("."):
                problems.append(Problem("extra", str(path), "not a song of GTZAN"))
    problems += [Problem("missing", id_) for id_ in gtzan_ids() if id_ not in songs]
    faulty = [song for song in songs.values() if song.faults]
    problems += [Problem("known fault", song.id, song.faults, left_out=False) for song in faulty]
    return [songs[id_] for id_ in sorted(songs)], problems


def gtzan_song(path: Path) -> tuple[str, str] | None:
    """Id and genre of a file that is named as a song of GTZAN, ``blues/blues.00000.wav``."""
    genre = _genre(path.parent.name)
    match = re.fullmatch(r"([a-z-]+)\.(000\d\d)", path.stem.lower())
    if not (genre and match and _genre(match[1]) == genre and path.suffix.lower() in AUDIO):
        return None
    return f"{genre}.{match[2]}", genre


def folder_songs(root: Path) -> tuple[list[Song], list[Problem]]:
    """Catalogue of any ``ROOT/GENRE/*.audio``; a song's id is ``GENRE/FILE``.

    Raises:
        UserError: no such folder, no sound in it, or a genre with fewer than three songs.
    """
    if not root.is_dir():
        raise UserError(f"{root} does not exist: data.root must hold one folder for each genre")
    songs, problems = [], []
    for folder in (p for p in _listing(root) if p.is_dir() and not p.name.startswith(".")):
        for path in _listing(folder):
            id_ = f"{folder.name}/{path.name}"
            if path.suffix.lower() in AUDIO and path.is_file():
                songs.append(Song(id_, folder.name, path, ""))
            elif not path.name.startswith("."):
                problems.append(Problem("extra", str(path), "not a sound file"))
    if not songs:
        raise UserError(
            f"{root} has no sound: data.root must hold GENRE/*{{{','.join(AUDIO)}}} files"
        )
    for genre, count in sorted(Counter(song.genre for song in songs).items()):
        if count < 3:
            raise UserError(
                f"{root / genre} has {count} song{'s' * (count > 1)}: a genre needs at least "
                "three, for train, valid and test; add songs or remove the folder"
            )
    return songs, problems


def summary(problems: list[Problem]) -> str:
    """One line: how many songs and files are wrong in which way."""
    counts = Counter(problem.what for problem in problems)
    return ", ".join(f"{n} {what}" for what, n in sorted(counts.items())) or "nothing wrong"


def _gtzan_files(base: Path) -> Iterator[tuple[str, str, Path]]:
    for folder in _listing(base):
        if _genre(folder.name) and folder.is_dir():
            for path in _listing(folder):
                song = gtzan_song(path)
                if song and path.is_file():
                    yield *song, path


def _genre(name: str) -> str | None:
    plain = re.sub(r"[-_ ]", "", name.lower())
    return plain if plain in GENRES else None


def _folders(root: Path, depth: int) -> Iterator[Path]:
    if root.is_dir():
        yield root
        if depth:
            for child in _listing(root):
                if child.is_dir() and not child.name.startswith(".") and not _genre(child.name):
                    yield from _folders(child, depth - 1)


def _listing(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder} can't be read: {error.strerror}") from None


def _known_faults(id_: str) -> str:
    faults = [KNOWN_FAULTS[id_]] if id_ in KNOWN_FAULTS else []
    if id_ in recordings():
        faults.append(f"same recording as {recordings()[id_]}")
    return "; ".join(faults)
