"""The MLflow store: made and opened, and its runs whose process died ended."""

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import mlflow

from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tracking.moved import refuse_moved
from gtzan_lightning.tracking.place import SQLITE, is_sqlite, shown, store_lock, store_uri
from gtzan_lightning.tracking.processes import is_alive
from gtzan_lightning.tracking.reading import OPENINGS
from gtzan_lightning.tracking.run_folder import folder_of, is_locked
from gtzan_lightning.tracking.sender import add_to_ledger

ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the spool tries again
}
LEVELS = {"mlflow": logging.WARNING, "mlflow.pyfunc": logging.ERROR}


@contextlib.contextmanager
def mlflow_settings() -> Iterator[None]:
    """MLflow's client gives up soon and says little; the process is as before when it ends."""
    added = {name: value for name, value in ENVIRONMENT.items() if name not in os.environ}
    before = {name: logging.getLogger(name).level for name in LEVELS}
    os.environ.update(added)
    for name, level in LEVELS.items():
        logging.getLogger(name).setLevel(level)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


@mlflow_settings()
def connect(track: TrackSettings) -> mlflow.MlflowClient:
    """A client of the store; a SQLite store that is not there yet is made.

    Raises:
        UserError: the store can't be used, or its folder was moved.
    """
    refuse_moved(track)
    uri = store_uri(track)
    with store_lock(track):
        try:
            _make_store(uri)
            client = mlflow.MlflowClient(uri)
            client.search_experiments(max_results=1)
        except (mlflow.MlflowException, OSError) as error:
            raise UserError(
                f"the MLflow store {shown(uri)} can't be used ({reason(error)}): record "
                "without it by track.uri local"
            ) from None
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
    """Files as artifacts of a recorded run; nothing where ``run`` is no run's id."""
    client = mlflow.MlflowClient(store_uri(track))
    try:
        client.get_run(run)
    except mlflow.MlflowException:
        return
    refuse_moved(track)
    for file in files:
        client.log_artifact(run, str(file), folder)


def add_opening(run: str, track: TrackSettings, what: dict[str, str]) -> None:
    """A test part that was opened after a run, in the ledger and in the run; as ``add_files``."""
    client = mlflow.MlflowClient(store_uri(track))
    try:
        before = client.get_run(run).data.metrics.get(OPENINGS, 0.0)
    except mlflow.MlflowException:
        return
    add_to_ledger(client, run, what, int(time.time() * 1000))
    client.log_metric(run, OPENINGS, before + 1)


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
    client = mlflow.MlflowClient(store_uri(track))
    for run, folder in folders.items():
        client.delete_run(run)
        shutil.rmtree(folder, ignore_errors=True)


def reason(error: Exception) -> str:
    """What an error says, on one line, without passwords."""
    return shown(" ".join(str(error).split())[:200])


def _make_store(uri: str) -> None:
    """A new SQLite store, whole or not at all: MLflow never mends one that is half made."""
    file = Path(uri.removeprefix(SQLITE))
    if uri.startswith(SQLITE) and not file.exists():
        with replacing(file) as part:
            part.unlink(missing_ok=True)  # of a process that was killed here
            mlflow.MlflowClient(f"{SQLITE}{part}").search_experiments(max_results=1)
