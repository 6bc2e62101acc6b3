"""A local store that can't be used is one line, at once, for whoever reads or writes it."""

import contextlib
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import quick_flags
from lightning.pytorch.callbacks import Callback

from gtzan_lightning.commands import compare, ladder, results, runs, sweep
from gtzan_lightning.commands import run as run_command
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tracking import database, store
from gtzan_lightning.tracking.moved import mend
from gtzan_lightning.tracking.reading import all_runs, check_output, metric_history, runs_table
from gtzan_lightning.tracking.sender import is_hopeless
from gtzan_lightning.tracking.tracker import Tracker
from gtzan_lightning.training.train import train

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """A store with one run."""
    folder = tmp_path_factory.mktemp("kept")
    tracker = Tracker(TrackSettings(uri="local", folder=str(folder)))
    tracker.start("a run", {})
    with tracker.recording(with_system_metrics=False):
        tracker.log_metrics({"final/valid/songs": 3.0})
    return folder


@pytest.fixture
def track(kept, tmp_path, monkeypatch) -> TrackSettings:
    """A copy of that store."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "mlruns"
    folder.mkdir()
    shutil.copy(kept / "mlflow.db", folder)
    return TrackSettings(uri="local", folder=str(folder))


def file_of(track: TrackSettings) -> Path:
    return Path(track.folder) / "mlflow.db"


def garbage(file: Path) -> None:
    file.write_bytes(b"no database at all" * 3000)


def half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def foreign(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("CREATE TABLE songs (name)")


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")


BROKEN = {
    garbage: "is damaged .*bring back a copy",
    half: "is damaged .*bring back a copy",
    folder: "is a folder where the runs' database belongs",
    fifo: "is a special file where",
    foreign: "another program's database, with the table songs",
    newer: "mlflow db upgrade .*update mlflow",
}


@pytest.mark.parametrize("breaks", BROKEN)
def test_a_broken_store_is_one_line_at_once_and_stays_as_it_is(breaks, track, tmp_path, packed):
    breaks(file_of(track))
    before = file_of(track).read_bytes() if file_of(track).is_file() else None
    where = ["--track.folder", track.folder, "--track.uri", "local"]
    recipe = [*quick_flags(packed, tmp_path), "--track.folder", track.folder]
    (tmp_path / "space.yaml").write_text("space:\n  fit.learning_rate: [0.001, 0.01]\n")
    commands = {
        run_command: recipe,
        sweep: [*recipe, "--space", str(tmp_path / "space.yaml")],
        ladder: [*recipe, "--rungs", "stratified", "--no-controls"],
        compare: where,
        runs: where,
        results: ["add", "last", *where, "--root", str(ROOT)],
    }
    begin = time.monotonic()
    for command, flags in commands.items():
        with pytest.raises(UserError, match=BROKEN[breaks]) as caught:
            command.main(flags)
        assert "\n" not in str(caught.value)
        assert "SQL:" not in str(caught.value)
    assert time.monotonic() - begin < 60  # MLflow alone tries a folder for 100 s, each time
    if before is not None:
        assert file_of(track).read_bytes() == before


def test_an_empty_database_is_a_store_without_runs_and_gets_its_first(track):
    file_of(track).write_bytes(b"")
    with pytest.raises(UserError, match="there are no runs"):
        runs_table(track)
    tracker = Tracker(track)
    tracker.start("a run", {})
    with tracker.recording(with_system_metrics=False):
        pass
    assert list(runs_table(track)["status"]) == ["FINISHED"]


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """A database that is locked against readers and writers."""
    with closing(sqlite3.connect(file, check_same_thread=False)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield
        holder.rollback()


def in_thread(file: Path, wait: Callable[[], object], seconds: float) -> threading.Thread:
    """A thread that has locked a database and holds it until a wait is over, and some seconds."""
    begun = threading.Event()

    def hold() -> None:
        with locked(file):
            begun.set()
            wait()
            time.sleep(seconds)

    thread = threading.Thread(target=hold)
    thread.start()
    begun.wait()
    return thread


def test_a_locked_store_is_waited_for_and_after_long_it_is_said(track, monkeypatch, capsys):
    monkeypatch.setattr(database, "ASKED_FOR", 0.1)
    thread = in_thread(file_of(track), lambda: None, 1.0)
    assert len(all_runs(track)) == 1
    thread.join()
    assert capsys.readouterr().out.count("which another process has locked") == 1
    monkeypatch.setattr(database, "PATIENCE", 0.3)
    said = r"locked by another process .* end that process"
    uses = (runs_table, Tracker, mend, lambda track: store.delete_runs(["0" * 32], track))
    for use in uses:
        with locked(file_of(track)), pytest.raises(UserError, match=said):
            use(track)


def test_a_run_waits_for_a_store_that_is_locked_at_its_end(track, monkeypatch):
    tracker = Tracker(track)
    tracker.start("another run", {})
    terminate, refused = tracker.client.set_terminated, [OSError("locked"), OSError("locked")]

    def refuse_twice(*args):
        if refused:
            raise refused.pop()
        terminate(*args)

    monkeypatch.setattr(tracker.client, "set_terminated", refuse_twice)
    with tracker.recording(with_system_metrics=False):
        pass
    assert runs_table(track)["status"].tolist() == ["FINISHED", "FINISHED"]


class LockedStore(Callback):
    """The store is locked from the end of the first epoch until some seconds after the last."""

    def __init__(self, file: Path, seconds: float) -> None:
        self.file, self.seconds, self.trained = file, seconds, threading.Event()

    def on_train_epoch_end(self, trainer, module) -> None:
        if trainer.current_epoch == 0:
            self.thread = in_thread(self.file, self.trained.wait, self.seconds)

    def on_train_end(self, trainer, module) -> None:
        self.trained.set()


@pytest.mark.parametrize("seconds", [1, pytest.param(60, marks=pytest.mark.many)])
def test_a_training_goes_on_while_its_store_is_locked_and_loses_nothing(quick, seconds):
    recipe = quick("--fit.max_epochs", "3", "--track.log_model", "false")
    Tracker(recipe.track)
    lock = LockedStore(file_of(recipe.track), seconds)
    outcome = train(recipe, more_callbacks=[lock])
    lock.thread.join()
    assert runs_table(recipe.track)["status"].tolist() == ["FINISHED"]
    assert len(metric_history(outcome.run_id, "valid/loss", recipe.track)) == 3


def test_what_a_damaged_store_refuses_is_not_tried_again():
    assert is_hopeless(Exception("(sqlite3.DatabaseError) database disk image is malformed"))
    assert is_hopeless(Exception("(sqlite3.OperationalError) database or disk is full"))
    assert not is_hopeless(Exception("(sqlite3.OperationalError) database is locked"))


@contextlib.contextmanager
def without_rights() -> Iterator[None]:
    """What root may not do either: as another user, where root runs this."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_store_that_may_only_be_read_is_read_and_written_by_nobody(kept):
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are root's alone
        shutil.copy(kept / "mlflow.db", place)
        track = TrackSettings(uri="local", folder=place)
        file_of(track).chmod(0o444)
        Path(place).chmod(0o555)
        with without_rights():
            assert len(runs_table(track)) == 1
            with pytest.raises(UserError, match=r"opened \(it may only be read\): .*permissions"):
                Tracker(track)
            with pytest.raises(UserError, match=r"results can't be written .* track\.folder"):
                check_output(track)
        file_of(track).chmod(0o000)
        with without_rights(), pytest.raises(UserError, match=r"can't be opened .*permissions"):
            runs_table(track)
        Path(place).chmod(0o755)
