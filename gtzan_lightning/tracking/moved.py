"""A local store whose folder was moved or copied: MLflow keeps absolute places in its database.

Such a store would write to the folder where it was, and read from there, without a word.
"""

import functools
import shlex
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tracking.database import check_database
from gtzan_lightning.tracking.place import SQLITE, store_lock, store_uri
from gtzan_lightning.tracking.run_folder import is_locked

# table -> columns of MLflow's database that hold places
PLACES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
RECORDED = """
    SELECT artifact_location, run_uuid FROM experiments JOIN runs USING (experiment_id)
    WHERE artifact_location LIKE 'file://%/artifacts' ORDER BY start_time DESC
"""


def moved_from(track: TrackSettings) -> Path | None:
    """The folder where the runs of a local store were recorded; None where they still are there."""
    return next(_old_folders(track), None)


def mend(track: TrackSettings) -> int:
    """Name the places where the artifacts are now; returns how many places have changed.

    The database as it was stays beside it as ``mlflow.db.before-mend``.

    Raises:
        UserError: a run of the store is being made, or the database can't be written.
    """
    here = Path(track.folder).resolve()
    database = here / "mlflow.db"
    if not database.exists():  # the lock would make the folder
        return 0
    check_database(f"{SQLITE}{database}", writes=True)
    with store_lock(track):
        old_folders = [*_old_folders(track)]
        if not old_folders:
            return 0
        for folder in (here / "runs").glob("*"):
            if is_locked(folder):
                raise UserError(f"run {folder.name} in {track.folder} is being made: wait for it")
        try:
            for old in old_folders:  # first: a mend that was cut short is then begun again
                _mend_run_folders(old, here)
            with closing(sqlite3.connect(database)) as connection:
                with (
                    replacing(here / "mlflow.db.before-mend") as copy,
                    closing(sqlite3.connect(copy)) as before,
                ):
                    connection.backup(before)
                with connection:
                    return sum(_mend(connection, old, here) for old in old_folders)
        except (OSError, sqlite3.Error) as error:
            raise UserError(f"{database} can't be mended: {error}") from None


def refuse_moved(track: TrackSettings) -> None:
    """Raises UserError where artifacts would be written to the old folder."""
    if old := moved_from(track):
        raise UserError(remark(track, old))


def say_moved(track: TrackSettings) -> None:
    """Say on stderr, once for a process, that a store was moved."""
    if old := moved_from(track):
        _say(remark(track, old))


def remark(track: TrackSettings, old: Path) -> str:
    """Where it was, where it is, and how to mend it."""
    other = track.folder != TrackSettings().folder
    flag = f" --track.folder {shlex.quote(track.folder)}" * other
    here = Path(track.folder).resolve()
    return (
        f"the runs in {here} were recorded in {old}, where MLflow still looks for their files: "
        f"the folder was moved or copied. Mend it with gtzan runs mend{flag}"
    )


@functools.cache
def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _old_folders(track: TrackSettings) -> Iterator[Path]:
    """Folders that experiments name, of which a run's artifacts lie in the folder of the store.

    Somebody may keep an experiment's artifacts elsewhere on purpose.
    """
    here = Path(track.folder).resolve()
    database = here / "mlflow.db"
    if store_uri(track) != f"{SQLITE}{database}" or not database.is_file():
        return
    try:
        # read-only: reading a store leaves it as it is
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True)) as reader:
            recorded = reader.execute(RECORDED).fetchall()
    except sqlite3.Error:  # no store of MLflow's, or half of one: its client says so
        return
    known = {here}
    for location, run_id in recorded:
        folder = Path(location.removeprefix("file://").removesuffix("/artifacts"))
        if folder not in known and (here / "artifacts" / run_id).exists():
            known.add(folder)
            yield folder


def _mend(connection: sqlite3.Connection, old: Path, new: Path) -> int:
    """Places in the database that begin with a folder; returns how many there were."""
    changed = 0
    for table, columns in PLACES.items():
        known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        for column in known.intersection(columns):  # older stores have fewer
            for prefix in ("file://", ""):
                before, after = f"{prefix}{old}/", f"{prefix}{new}/"
                changed += connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE substr({column}, 1, ?) = ?",
                    (after, len(before) + 1, len(before), before),
                ).rowcount
    return changed


def _mend_run_folders(old: Path, new: Path) -> None:
    """The store that a run's folder names, by which ``--resume last`` knows it."""
    before = f"{SQLITE}{old}/"
    for file in (new / "runs").glob("*/store.txt"):
        text = file.read_text()
        if text.startswith(before):
            with replacing(file) as part:
                part.write_text(f"{SQLITE}{new}/{text.removeprefix(before)}")
