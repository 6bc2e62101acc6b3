"""Files that are there whole, or not at all; short names of contents."""

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A temporary file beside ``file`` that takes its place when the block ends well.

    Its folder is made; nothing is left of a block that fails.

    Raises:
        OSError: the folder can't be made or the file can't be put there.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    try:
        yield part
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside ``folder`` that takes its name when the block ends well.

    What a killed process left of it is removed first. Nothing is left of a block that fails.

    Raises:
        OSError: the folder can't be made or put there.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir()
        yield part
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def file_sha256(file: Path) -> str:
    """SHA-256 of a file's content, which is read in blocks. Raises OSError if it can't be read."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def digest(content: bytes) -> str:
    """Twelve hexadecimal digits, equal for equal contents."""
    return hashlib.sha256(content).hexdigest()[:12]
