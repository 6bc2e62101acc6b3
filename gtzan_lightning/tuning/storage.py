"""Where studies are kept: a journal file beside the runs, or a database."""

import contextlib
import json
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from gtzan_lightning.errors import EXTRAS, UserError, in_a_line, refused
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.records import whole_lines
from gtzan_lightning.terminal import shown

GRACE = 30  # seconds after which a lock counts as left by a killed process
PATIENCE = 300  # seconds that another process may keep an SQLite file locked


def storage(url: str | None, track: TrackSettings, name: str) -> BaseStorage:
    """A journal file beside the runs, or the database of a URL (one of its own, not MLflow's).

    Raises:
        UserError: the journal is damaged, or the database can't be opened or is MLflow's.
        OSError: the system refuses to write.
        ModuleNotFoundError: the database needs a driver that an extra brings.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # a failed trial raises its own
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    if url:
        return _database(url)
    # whole: the lock is a link to the file, and Optuna waits for ever for one that leads nowhere
    return _journal(Path(track.folder).resolve() / "sweeps" / f"{name}.journal")


@contextlib.contextmanager
def told(url: str | None) -> Iterator[None]:
    """What a disk or a database refuses in mid-sweep becomes one line.

    Raises:
        UserError: it does.
    """
    try:
        yield
    except OSError as error:
        if (line := refused(error)) is None:
            raise
        raise UserError(f"{line}; then the same command resumes the study") from None
    except StorageInternalError as error:
        raise UserError(
            f"--storage {shown(url or '')} refused what was to be kept ({_reason(error)}): mend "
            "that, then the same command resumes the study"
        ) from None


class _Journal(JournalFileBackend):
    """Optuna's, but a line that a killed process or a full disk left half written is cut off."""

    def __init__(self, file: Path) -> None:
        self.file, self.lock = file, JournalFileSymlinkLock(str(file), GRACE)
        super().__init__(str(file), self.lock)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add records, each a line. Raises OSError if the disk is full."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self.lock.acquire()
        try:
            os.truncate(self.file, whole_lines(self.file))
            with self.file.open("ab") as sink:
                sink.write(lines.encode())
                sink.flush()
                os.fsync(sink.fileno())
        finally:
            self.lock.release()


def _journal(file: Path) -> BaseStorage:
    remedy = "move it away, or give the study another --name"
    if os.path.lexists(file) and not file.is_file():
        raise UserError(f"{file} is no file, where the study's journal belongs: {remedy}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(_Journal(file))
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"{error.filename} is no folder: move it away") from None
    except OSError:
        raise
    except Exception:  # of whatever kind Optuna meets in records that are none of its own
        raise UserError(
            f"the study's journal {file} is damaged: bring back a copy of it; or {remedy}, to "
            "begin a new one (the runs of its trials stay)"
        ) from None


def _database(url: str, again: bool = True) -> BaseStorage:
    options = {"connect_args": {"timeout": PATIENCE}} if url.startswith("sqlite") else {}
    try:
        _refuse_mlflows(url)
        return optuna.storages.RDBStorage(url, engine_kwargs=options, heartbeat_interval=60)
    except UserError:
        raise
    except Exception as error:  # the drivers of many databases, each with errors of its own
        missing = error.__cause__
        if isinstance(missing, ModuleNotFoundError) and missing.name in EXTRAS:
            raise missing from None
        if again:  # of several that make the tables of a new database at once, one succeeds
            time.sleep(2)
            return _database(url, again=False)
        raise UserError(
            f"--storage {shown(url)} can't be opened ({_reason(error)}): mend that, bring back a "
            "copy of it, or name another database"
        ) from None


def _refuse_mlflows(url: str) -> None:
    """Optuna would add its tables, and then find the number of MLflow's for its own."""
    engine = sqlalchemy.create_engine(url)
    try:
        if "experiments" in sqlalchemy.inspect(engine).get_table_names():
            raise UserError(
                f"--storage {shown(url)} is MLflow's: a study needs a database of its own"
            )
    finally:
        engine.dispose()


def _reason(error: BaseException) -> str:
    """What the database's driver said, without the statement that it was asked."""
    inner = error.__cause__ if isinstance(error, StorageInternalError) else error
    said = getattr(inner, "orig", None) or inner or error
    return shown(in_a_line(said))
