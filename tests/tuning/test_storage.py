"""A study's journal or database that can't be used is one line, and nothing of it is lost."""

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tuning import storage as kept
from gtzan_lightning.tuning.storage import storage, told


def study(track: TrackSettings, url: str | None = None) -> optuna.Study:
    return optuna.create_study(
        study_name="name", storage=storage(url, track, "name"), load_if_exists=True
    )


@pytest.fixture
def track(tmp_path) -> TrackSettings:
    return TrackSettings(folder=str(tmp_path / "mlruns"), uri="local")


@pytest.fixture
def journal(track) -> Path:
    """Of a study with one ended trial."""
    study(track).add_trial(optuna.trial.create_trial(value=0.5))
    return Path(track.folder) / "sweeps" / "name.journal"


def other_kind(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def spoil(file: Path) -> None:
        file.unlink()
        make(file)

    return spoil


def record(text: str) -> Callable[[Path], object]:
    return lambda file: file.write_text(text + "\n" + file.read_text())


SPOILT: dict[Callable[[Path], object], str] = {
    lambda file: file.write_text("no journal\n" * 9): "is damaged: bring back a copy",
    lambda file: file.write_bytes(b"\xff\n" * 99): "is damaged: bring back a copy",
    record("3"): "is damaged: bring back a copy",
    record('{"op_code": 77, "worker_id": "x"}'): "is damaged: bring back a copy",
    other_kind(Path.mkdir): "is no file, where the study's journal belongs",
    other_kind(os.mkfifo): "is no file, where the study's journal belongs",
}


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_damaged_journal_is_one_line_and_stays_as_it_is(spoil, journal, track):
    spoil(journal)
    before = journal.read_bytes() if journal.is_file() else None
    with pytest.raises(UserError, match=SPOILT[spoil]) as caught:
        study(track)
    assert "\n" not in str(caught.value)
    if before is not None:
        assert journal.read_bytes() == before


@pytest.mark.parametrize("torn", [b'{"op_code"', b"\0" * 200])
def test_a_line_that_was_left_half_written_costs_no_trial(torn, journal, track):
    with journal.open("ab") as sink:
        sink.write(torn)
    study(track).add_trial(optuna.trial.create_trial(value=0.7))
    assert [trial.value for trial in study(track).trials] == [0.5, 0.7]


@pytest.mark.filterwarnings("ignore:The value of `grace_period`")
def test_a_lock_that_a_killed_process_left_is_waited_for_and_removed(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kept, "GRACE", 1)
    track = TrackSettings(folder="mlruns")
    storage(None, track, "name")._backend.lock.acquire()
    study(track).add_trial(optuna.trial.create_trial(value=0.5))
    assert list(Path("mlruns/sweeps").glob("*.lock")) == []


def test_a_file_in_place_of_the_journals_folder_is_named(track):
    Path(track.folder).mkdir()
    (Path(track.folder) / "sweeps").write_text("a text")
    with pytest.raises(UserError, match="sweeps is no folder: move it away"):
        study(track)


def test_a_database_of_another_kind_is_one_line_and_mlflows_is_not_touched(
    track, tmp_path, monkeypatch
):
    monkeypatch.setattr(kept.time, "sleep", lambda seconds: None)
    (tmp_path / "garbage.db").write_bytes(b"no database" * 999)
    with pytest.raises(UserError, match=r"can't be opened \(file is not a database\): .* copy"):
        study(track, f"sqlite:///{tmp_path}/garbage.db")
    file = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(file)) as store, store:
        store.execute("CREATE TABLE experiments (name)")
    with pytest.raises(UserError, match="is MLflow's: a study needs a database of its own"):
        study(track, f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as store:
        assert store.execute("SELECT name FROM sqlite_master").fetchall() == [("experiments",)]


def test_what_is_refused_in_mid_sweep_is_one_line(track, tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    opened = study(track, url)
    with closing(sqlite3.connect(tmp_path / "study.db")) as database, database:
        database.execute("DROP TABLE studies")
    said = r"study.db refused what .*\(no such table: studies\): .* resumes the study"
    with pytest.raises(UserError, match=said), told(url):
        opened.set_user_attr("parent", "run")
    said = "make room; then the same command resumes the study"
    with pytest.raises(UserError, match=said), told(None):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
