"""Whether the file of a local store can be used, asked before MLflow is.

MLflow tries a file that it can't open for minutes, gives up on a locked one after seconds, and
ends with a stack trace in both cases.
"""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from gtzan_lightning.errors import UserError
from gtzan_lightning.terminal import fitted
from gtzan_lightning.tracking.place import SQLITE

PATIENCE = 300.0  # seconds that another process may keep the file locked
ASKED_FOR = 5.0  # seconds that SQLite waits for a lock in one try
KEPT = "the files of its runs stay where they are"


def file_of(uri: str) -> Path | None:
    """The file of a store; None of a server's."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def is_missing(uri: str) -> bool:
    """Whether it is a file that is not there, or has nothing in it: MLflow would make it."""
    file = file_of(uri)
    return file is not None and (not file.exists() or (file.is_file() and not file.stat().st_size))


def check_database(uri: str, writes: bool) -> None:
    """Wait for a locked file; look whether it is a store of MLflow's.

    Args:
        writes: whether the caller will write.

    Raises:
        UserError: it is damaged, no file, another program's, locked for long, or can't be written.
    """
    file = file_of(uri)
    if file is None or is_missing(uri):
        return
    if not file.is_file():
        kind = "folder" if file.is_dir() else "special file"
        raise UserError(
            f"{file} is a {kind} where the runs' database belongs: move it away, or name another "
            "folder with track.folder"
        )
    own = os.access in os.supports_effective_ids
    if writes and not all(os.access(p, os.W_OK, effective_ids=own) for p in (file, file.parent)):
        raise UserError(_complaint(file, sqlite3.OperationalError("it may only be read")))
    try:
        tables = _tables(file, writes)
    except sqlite3.Error as error:
        raise UserError(_complaint(file, error)) from None
    if tables and "experiments" not in tables:
        raise UserError(
            f"{file} is another program's database, with the table {min(tables)}: move it away, or "
            "name another folder with track.folder"
        )


def _tables(file: Path, writes: bool) -> set[str]:
    """Raises sqlite3.Error where the file can't be read, or written."""
    end, has_said = time.monotonic() + PATIENCE, False
    while True:
        try:
            # rw: what a killed process left half written is rolled back; nothing is made
            address = f"file:{quote(str(file))}?mode=rw"
            with closing(sqlite3.connect(address, ASKED_FOR, uri=True)) as store:
                tables = store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                names = {name for (name,) in tables}
                if writes:
                    store.execute("BEGIN IMMEDIATE")
                    store.execute("ROLLBACK")
            return names
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            if not has_said:
                print(fitted(f"waiting for {file}, which another process has locked"), flush=True)
            has_said = True


def _complaint(file: Path, error: sqlite3.Error) -> str:
    if "locked" in str(error):
        return (
            f"{file} has been locked by another process for {PATIENCE / 60:.0f} minutes: end that "
            "process, then repeat the command"
        )
    if isinstance(error, sqlite3.OperationalError):  # no permission, no space
        return (
            f"the runs' database {file} can't be opened ({error}): mend its permissions or make "
            "room, or name another folder with track.folder"
        )
    return (
        f"the runs' database {file} is damaged ({error}): bring back a copy of it, or move it away "
        f"to begin a new one ({KEPT})"
    )
