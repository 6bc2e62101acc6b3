"""MLflow, reading: where runs are kept, and what they left there.

Only this file knows what MLflow calls things. It names the store to every client: reading changes
neither the store nor the environment of the process.
"""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.entities import Experiment, Run
from mlflow.store.artifact.utils.models import get_model_name_and_version

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.predictions_csv import read_predictions_csv
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.terminal import shown
from gtzan_lightning.tracking.access import bare_address, check_store, reading_client, reason
from gtzan_lightning.tracking.database import is_missing
from gtzan_lightning.tracking.moved import refuse_moved
from gtzan_lightning.tracking.place import SQLITE, store_uri

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # read when mlflow acts
ROOM = 500_000_000  # bytes that checkpoints and their copies in the store need at least
MOST_RUNS, PAGE = 10_000, 1000
OPENINGS = "test_openings"  # metric: how often a run opened the test part
LEDGER = "test_opening/"  # begins the tags of an experiment that make the ledger of openings


def run_url(track: TrackSettings, run_id: str) -> str | None:
    """Address of a run's page in MLflow, without passwords; None where no server shows it.

    Raises:
        UserError: the server does not answer.
    """
    uri = store_uri(track)
    if not uri.startswith("http"):
        return None
    with reading_client(track) as client:
        experiment = client.get_run(run_id).info.experiment_id
    return f"{bare_address(uri)}/#/experiments/{experiment}/runs/{run_id}"


def check_output(track: TrackSettings) -> None:
    """Fail early if the run could not be written: no permission, no space, no server, moved away.

    Raises:
        UserError: says which, and what to do.
    """
    folder = Path(track.folder)
    try:
        (folder / "runs").mkdir(parents=True, exist_ok=True)
        probe = folder / "runs" / f".probe{os.getpid()}"
        probe.touch()
        probe.unlink()
        if shutil.disk_usage(folder).free < ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise UserError(
            f"results can't be written to {folder}: {error.strerror}; make room or permission, "
            "or name another folder with track.folder"
        ) from None
    check_store(store_uri(track), writes=True)
    refuse_moved(track)


def runs_table(track: TrackSettings) -> pd.DataFrame:
    """All runs of the experiment, the newest first: a row each, NaN where a run has no such value.

    Columns: ``run_id``; ``status``, such as FINISHED; ``name``; ``parent``, the id of the sweep's
    run that a trial belongs to; ``date``, the day it ``began`` (UTC); every tag by its own name, as
    text (``model``, ``corpus``, ``recipe``, ``seed``, ... as ``training.report.tags`` gives them);
    every metric's last value by its own name (``final/test/song_accuracy``, ``minutes``, ...).

    Raises:
        UserError: there is no store yet, or its server does not answer.
    """
    with reading_client(track) as client:
        experiment = client.get_experiment_by_name(track.experiment)
        return _table(client, [experiment.experiment_id] if experiment else [])


def all_runs(track: TrackSettings) -> pd.DataFrame:
    """The runs of all experiments of the store, as ``runs_table`` gives those of one."""
    with reading_client(track) as client:
        return _table(client, [experiment.experiment_id for experiment in _experiments(client)])


def _experiments(client: mlflow.MlflowClient) -> Iterator[Experiment]:
    token = None
    while True:
        page = client.search_experiments(max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _table(client: mlflow.MlflowClient, experiments: list[str]) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    token = None
    while experiments and len(rows) < MOST_RUNS:
        page = client.search_runs(experiments, max_results=PAGE, page_token=token)
        rows += map(_row, page)
        token = page.token
        if not token:
            break
    return pd.DataFrame(rows)


def openings(track: TrackSettings) -> pd.DataFrame:
    """The ledger: all openings of a test part in the store, of deleted runs and all experiments.

    Columns: model, recipe, corpus, songs_fingerprint, protocol, seed, fold, by, run, time.

    Raises:
        UserError: there is no store yet, or its server does not answer.
    """
    with reading_client(track) as client:
        tags = [tag for experiment in _experiments(client) for tag in experiment.tags.items()]
    return pd.DataFrame([json.loads(text) for name, text in tags if name.startswith(LEDGER)])


def _row(run: Run) -> dict[str, object]:
    tags, began = run.data.tags, datetime.fromtimestamp(run.info.start_time / 1000, UTC)
    return {
        **{name: value for name, value in tags.items() if not name.startswith("mlflow.")},
        **run.data.metrics,
        "run_id": run.info.run_id,  # whatever tags somebody gave it
        "status": run.info.status,
        "name": run.info.run_name,
        "parent": tags.get("mlflow.parentRunId"),
        "date": began.date().isoformat(),
        "began": began,
    }


def read_predictions(run_id: str, track: TrackSettings) -> pd.DataFrame:
    """predictions.csv of a run: part, song, start, genre and a log-probability for each genre.

    Raises:
        UserError: the run has none, there is no store, or its server does not answer.
    """
    predictions = predictions_if_any(run_id, track)
    if predictions is None:
        raise UserError(f"run {run_id} has no predictions.csv: it did not end")
    return predictions


def predictions_if_any(run_id: str, track: TrackSettings) -> pd.DataFrame | None:
    """As ``read_predictions``; None where a run has none.

    Raises:
        UserError: its table is not whole, or has what is no number.
    """
    with reading_client(track) as client:
        for artifact in client.list_artifacts(run_id):
            if artifact.path.endswith("predictions.csv"):  # a leaky or quick run's name says so
                with tempfile.TemporaryDirectory() as folder:
                    file = Path(client.download_artifacts(run_id, artifact.path, folder))
                    return read_predictions_csv(file, f"run {run_id}:")
    return None


def read_songs(run_id: str, track: TrackSettings, folder: str) -> Path:
    """songs.csv of a run, as a file in ``folder``: song, genre, part and digest.

    Raises:
        UserError: no such run, it has no songs, there is no store, or its server does not answer.
    """
    with reading_client(track) as client:
        try:
            return Path(client.download_artifacts(run_id, "songs.csv", folder))
        except (mlflow.MlflowException, OSError):
            lines = f"run {run_id} has no songs.csv: gtzan compare lists the runs"
            raise UserError(lines) from None


def metric_history(run_id: str, metric: str, track: TrackSettings) -> list[tuple[int, float]]:
    """(step, value) points of a metric of a run, in order; of a step its last value.

    Raises:
        UserError: there is no store, or its server does not answer.
    """
    with reading_client(track) as client:
        points = client.get_metric_history(run_id, metric)
    return sorted({p.step: p.value for p in points}.items())


def first_time(track: TrackSettings, metric: str) -> float:
    """When the newest run of the experiment got its first value of a metric, as ``time.time``.

    Raises:
        UserError: it has none.
    """
    with reading_client(track) as client:
        known = client.get_experiment_by_name(track.experiment)
        runs = client.search_runs([known.experiment_id], max_results=1) if known else []
        points = client.get_metric_history(runs[0].info.run_id, metric) if runs else []
    if not points:
        raise UserError(f"the newest run in {track.folder} recorded no {metric}")
    return min(point.timestamp for point in points) / 1000


def find_checkpoint(where: str, track: TrackSettings, folder: str) -> Path:
    """The checkpoint of a run, or in a registered or logged model (``models:/NAME/VERSION``).

    Args:
        folder: where it is put, as the store may be on another machine.

    Raises:
        UserError: no such run or model, or it has no checkpoint.
    """
    uri = store_uri(track)
    if is_missing(uri):
        place = Path(uri.removeprefix(SQLITE)).parent
        raise UserError(f"{where}: no such checkpoint, and there are no runs in {place}")
    with reading_client(track) as client:
        try:
            checkpoint = _checkpoint_of(where, client, uri, folder)
        except mlflow.MlflowException as error:
            said = reason(error)[:120]
            raise UserError(
                f"{where}: no such checkpoint, run or model in {shown(uri)} ({said}): "
                "gtzan runs lists them"
            ) from None
    if checkpoint is None:
        raise UserError(f"{where} has no checkpoint: it did not end, or is no network")
    return checkpoint


def _checkpoint_of(where: str, client: mlflow.MlflowClient, uri: str, folder: str) -> Path | None:
    if where.startswith("models:/"):
        # not ready.ckpt, which lies among the code
        return next(_model_folder(where, client, uri, folder).rglob("best.ckpt"), None)
    client.get_run(where)
    names = [artifact.path for artifact in client.list_artifacts(where, "checkpoints")]
    best = "checkpoints/best.ckpt"
    return Path(client.download_artifacts(where, best, folder)) if best in names else None


def _model_folder(where: str, client: mlflow.MlflowClient, uri: str, folder: str) -> Path:
    """MLflow's own way from a model's name asks the store of the whole process."""
    named = get_model_name_and_version(client, where)
    if len(named) == 1:  # a logged model's id
        place = client.get_logged_model(*named).artifact_location
    else:
        place = client.get_model_version_download_uri(*named)
    return Path(mlflow.artifacts.download_artifacts(place, dst_path=folder, tracking_uri=uri))


def has_store(track: TrackSettings) -> bool:
    """Whether there is a store already; a server's is always there."""
    return not is_missing(store_uri(track))
