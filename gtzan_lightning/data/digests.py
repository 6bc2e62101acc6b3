"""Digests beside the files of a packed corpus, by which one that has changed is found."""

from collections.abc import Iterable
from pathlib import Path

from gtzan_lightning.errors import UserError
from gtzan_lightning.files import file_sha256

SUMS = "digests.sha256"  # as sha256sum writes them, so that sha256sum -c checks them too


class Changed(UserError):
    """A file that is not as it was written."""

    def __init__(self, line: str) -> None:
        # a loader's worker hands its trace over as the message, which ends with the line
        super().__init__(line.strip().rsplit(f"{type(self).__name__}: ", 1)[-1])


def changed(file: Path, where: str = "") -> Changed:
    return Changed(
        f"{file} is not as it was written{where}, a bit of it has changed: delete {file.parent}, "
        "which is then packed again, or take another copy of it"
    )


def keep_digests(folder: Path, names: Iterable[str]) -> None:
    """Write the digests of files of a folder beside them."""
    lines = [f"{file_sha256(folder / name)}  {name}\n" for name in names]
    (folder / SUMS).write_text("".join(lines))


def check_digests(folder: Path) -> None:
    """Compare the files of a folder with their digests, where it has any.

    Raises:
        OSError: one can't be read.
        Changed: one is not as it was written.
    """
    sums = folder / SUMS
    if not sums.exists():
        return
    for line in sums.read_bytes().splitlines():
        digest, _, name = line.decode(errors="replace").partition("  ")
        try:
            as_written = file_sha256(folder / name) == digest
        except (FileNotFoundError, ValueError):  # the name is what has changed
            raise changed(sums) from None
        if not as_written:
            raise changed(folder / name)
