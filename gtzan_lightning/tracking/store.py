"""The MLflow store: made and opened, and its runs whose process died ended."""

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import mlflow
from mlflow.entities import Run

from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tracking.access import complaint, mlflow_settings, told
from gtzan_lightning.tracking.database import check_database, file_of, is_missing
from gtzan_lightning.tracking.moved import refuse_moved
from gtzan_lightning.tracking.place import SQLITE, is_sqlite, store_lock, store_uri
from gtzan_lightning.tracking.processes import is_alive
from gtzan_lightning.tracking.reading import OPENINGS
from gtzan_lightning.tracking.run_folder import folder_of, is_locked
from gtzan_lightning.tracking.sender import add_to_ledger


@mlflow_settings()
def connect(track: TrackSettings) -> mlflow.MlflowClient:
    """A client of the store; a SQLite store that is not there yet is made.

    Raises:
        UserError: the store can't be used, or its folder was moved.
    """
    uri = store_uri(track)
    check_database(uri, writes=True)
    refuse_moved(track)
    with store_lock(track), told(uri):
        try:
            _make_store(uri)
        except OSError as error:
            raise UserError(complaint(uri, error)) from None
        client = mlflow.MlflowClient(uri)
        client.search_experiments(max_results=1)
    return client


def experiment_id(client: mlflow.MlflowClient, track: TrackSettings) -> str:
    """Id of the experiment, made by the first run."""
    with store_lock(track):
        experiment = client.get_experiment_by_name(track.experiment)
        if experiment:
            return experiment.experiment_id
        local = f"file://{Path(track.folder).resolve()}/artifacts"
        artifacts = local if is_sqlite(track) else None
        try:
            return client.create_experiment(track.experiment, artifact_location=artifacts)
        except mlflow.MlflowException:  # of a server, where another made it just now
            experiment = client.get_experiment_by_name(track.experiment)
            if not experiment:
                raise
            return experiment.experiment_id


def end_dead_runs(client: mlflow.MlflowClient, track: TrackSettings, experiment: str) -> None:
    """A machine that went down took a run's process and its watchdog at once."""
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        alive = is_alive(run.data.tags.get("process", ""))
        locked = is_locked(folder_of(track, run.info.run_id))
        if alive or locked or (alive is None and locked is None):
            continue
        # it may have ended well since it was listed
        if client.get_run(run.info.run_id).info.status == "RUNNING":
            client.set_terminated(run.info.run_id, "KILLED")


def add_files(run: str, track: TrackSettings, files: list[Path], folder: str) -> None:
    """Files as artifacts of a recorded run; nothing where ``run`` is no run's id.

    Raises:
        UserError: the store does not take them.
    """
    with _writing(track) as client:
        if _recorded(run, client) is None:
            return
        refuse_moved(track)
        for file in files:
            client.log_artifact(run, str(file), folder)


def add_opening(run: str, track: TrackSettings, what: dict[str, str]) -> None:
    """A test part that was opened after a run, in the ledger and in the run; as ``add_files``."""
    with _writing(track) as client:
        known = _recorded(run, client)
        if known is None:
            return
        add_to_ledger(client, run, what, int(time.time() * 1000))
        client.log_metric(run, OPENINGS, known.data.metrics.get(OPENINGS, 0.0) + 1)


@contextlib.contextmanager
def _writing(track: TrackSettings) -> Iterator[mlflow.MlflowClient]:
    uri = store_uri(track)
    check_database(uri, writes=True)
    with mlflow_settings(), told(uri):
        yield mlflow.MlflowClient(uri)


def _recorded(run: str, client: mlflow.MlflowClient) -> Run | None:
    try:
        return client.get_run(run)
    except mlflow.MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def delete_runs(run_ids: Sequence[str], track: TrackSettings) -> None:
    """Delete runs, with their folders; what they opened of test parts stays in the ledger.

    MLflow keeps what it knows of them until ``mlflow gc``.

    Raises:
        UserError: one is being made by a living process; none is deleted then.
    """
    folders = {run: folder_of(track, run) for run in run_ids}
    for run, folder in folders.items():
        if is_locked(folder):
            raise UserError(f"run {run} is in use by another process: stop that first")
    with _writing(track) as client:
        for run, folder in folders.items():
            client.delete_run(run)
            shutil.rmtree(folder, ignore_errors=True)


def _make_store(uri: str) -> None:
    """A new SQLite store, whole or not at all: MLflow never mends one that is half made."""
    file = file_of(uri)
    if file and is_missing(uri):
        with replacing(file) as part:
            part.unlink(missing_ok=True)  # of a process that was killed here
            mlflow.MlflowClient(f"{SQLITE}{part}").search_experiments(max_results=1)
