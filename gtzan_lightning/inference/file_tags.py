"""The genre into the files' own tags. The only file that imports mutagen."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mutagen
from mutagen.aiff import AIFF
from mutagen.id3 import TCON
from mutagen.mp3 import MP3
from mutagen.wave import WAVE

from gtzan_lightning.data.audio import BrokenSong
from gtzan_lightning.data.decoding import probe_seconds
from gtzan_lightning.data.listing import why_no_file
from gtzan_lightning.errors import in_a_line
from gtzan_lightning.inference.tag_table import read_table
from gtzan_lightning.terminal import harmless, printable


def change_tags(table: Path, dry: bool) -> Iterator[str]:
    """Write the genres of a table into its files' own tags; yields a line for every change.

    Args:
        dry: change nothing, only say what would be.

    Raises:
        UserError: as ``read_table`` does.
    """
    for row in read_table(table):
        path, genre = Path(row["path"]), row["genre"]
        if not genre:
            continue
        name = printable(path)
        try:
            before = genre_of(path)
            if before == genre:
                continue
            if not dry:
                write_genre(path, genre)
            yield f"{'would write' if dry else 'wrote'} {name}: {before!r} -> {genre!r}"
        except BrokenSong as broken:
            yield f"not written {name}: {harmless(str(broken))}"


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    """Whatever a strange file makes of mutagen, or a disk of a tag, as a BrokenSong."""
    try:
        yield
    except BrokenSong:
        raise
    except Exception as error:
        said = getattr(error, "strerror", None) or error
        raise BrokenSong("no tag", in_a_line(said)) from None


@_one_line()
def genre_of(path: Path) -> str:
    """The genre in a file's tags, or an empty text.

    Raises:
        BrokenSong: it is no file, the format holds no tags, or they can't be read.
    """
    file = _open(path)
    if file.tags is None:
        return ""
    values = file.tags.getall("TCON") if _is_id3(file) else file.tags.get("genre", [])
    return str(values[0]) if values else ""


@_one_line()
def write_genre(path: Path, genre: str) -> None:
    """Put a genre into a file's tags; the other tags stay, and so does the sound.

    A copy gets the tag and takes the file's place if it reads back.

    Raises:
        BrokenSong: as of ``genre_of``; or the file is damaged, so that a tag can't be found again.
    """
    if why := why_no_file(path):
        raise BrokenSong("no tag", why)
    path = path.resolve()  # a link stays one
    # by its suffix its format is known; its own name could be too long with a letter more
    part = path.with_name(f".part-{os.getpid()}{path.suffix}")
    try:
        shutil.copy2(path, part)
        _put(part, genre)
        if genre_of(part) != genre or probe_seconds(part) != probe_seconds(path):
            raise BrokenSong("no tag", "the file is damaged, a tag would not be found again")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _put(path: Path, genre: str) -> None:
    file = _open(path)
    if file.tags is None:
        file.add_tags()
    tags: Any = file.tags  # each format has its own class
    if _is_id3(file):
        tags.setall("TCON", [TCON(encoding=3, text=[genre])])
    else:
        tags["genre"] = [genre]
    file.save()


def _open(path: Path) -> mutagen.FileType:
    if why := why_no_file(path):
        raise BrokenSong("no tag", why)
    file = mutagen.File(path)
    if file is None:
        raise BrokenSong("no tag", f"{path.suffix} files hold no tags")
    return file


def _is_id3(file: mutagen.FileType) -> bool:
    return isinstance(file, MP3 | WAVE | AIFF)
