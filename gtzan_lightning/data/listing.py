"""What lies in folders, and why some of it is no file to read; nothing but folders is opened."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

AUDIO = (".wav", ".au", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff")
_KINDS = {
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


def has_audio_name(path: str | Path) -> bool:
    """Whether its suffix is that of a sound file."""
    return os.path.splitext(path)[1].lower() in AUDIO


def visible(folder: Path) -> list[Path]:
    """What a folder shows, in order, hidden files left out. Raises OSError if it can't be read."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def why_no_file(path: Path) -> str:
    """Why a path can't be read as a file; an empty text where it can."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return _why_nothing(path, error)
    if stat.S_ISDIR(mode):
        what = "a link to a folder" if os.path.islink(path) else "a folder"
        return why_no_folder(path) or f"{what}, not a file"
    for is_one, kind in _KINDS.items():
        if is_one(mode):
            return f"{kind}, not a file"
    return "" if os.access(path, os.R_OK) else "no permission to read it"


def size_and_time(path: Path) -> str:
    """Other where a file's content is another; an empty text where there is none."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def state_of(path: Path) -> str:
    """Other where a file's content, owner or permission is; an empty text where there is none."""
    try:
        return f"{size_and_time(path)} {path.stat().st_ctime_ns}"
    except OSError:
        return ""


def why_no_folder(path: Path) -> str:
    """Why a folder can't be listed; an empty text where it can."""
    try:
        os.scandir(path).close()
    except OSError as error:
        return not_readable(error)
    return ""


def not_readable(error: OSError) -> str:
    """What is said of a folder whose listing raised an error."""
    return f"folder not readable ({error.strerror or error})"


def sounds_under(folder: Path) -> Iterator[Path]:
    """All that is named as a sound file is, at any depth, in order, and folders that no look into.

    Not all of it is a file: ask ``why_no_file``. Links to folders are named and not followed, so
    that no loop of them matters. A folder that is named as a sound file is listed and looked into.
    """
    waiting = [str(folder)]
    while waiting:
        place = waiting.pop()
        found, folders = [], []
        try:
            with os.scandir(place) as listing:
                for entry in listing:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    if not entry.name.startswith(".") and _looks_like_sound(entry):
                        found.append(entry.path)
        except OSError:
            yield Path(place)
            continue
        yield from map(Path, sorted(found))
        waiting += sorted(folders, reverse=True)


def _looks_like_sound(entry: os.DirEntry[str]) -> bool:
    return has_audio_name(entry.name) or (entry.is_symlink() and os.path.isdir(entry.path))


def _why_nothing(path: Path, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if error.errno == errno.ELOOP:
        return "a loop of links"
    if os.path.islink(path) and isinstance(error, FileNotFoundError | NotADirectoryError):
        return "a link that leads nowhere"
    return f"it can't be found ({error.strerror or error})"
