"""MLflow, reading: where runs are kept, and what they left there."""

import errno
import os
import re
import shutil
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

import mlflow
import pandas as pd

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import TrackSettings

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # read when mlflow acts
ROOM = 500_000_000  # bytes that checkpoints and their copies in the store need at least


def store_uri(track: TrackSettings) -> str:
    """Where runs are recorded: the flag, MLFLOW_TRACKING_URI, or SQLite in ``track.folder``."""
    uri = track.uri or os.environ.get("MLFLOW_TRACKING_URI") or "local"
    return f"sqlite:///{Path(track.folder).resolve()}/mlflow.db" if uri == "local" else uri


def shown(text: str) -> str:
    """A text, such as an address or what a library said of it, without the passwords in it."""
    text = re.sub(r"(://[^:@/\s]*):\S*@", r"\1:***@", text)
    text = re.sub(r"(https?://)[^:@/\s]+@", r"\1***@", text)  # a token alone
    return re.sub(r"(password=)[^&\s]+", r"\1***", text)


def check_output(track: TrackSettings) -> None:
    """Fail early if the run could not be written: no permission, no space, no server.

    Raises:
        UserError: says which, and how to go on.
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
            "or name another folder with --track.folder"
        ) from None
    _check_server(store_uri(track))


def runs_table(track: TrackSettings) -> pd.DataFrame:
    """All runs of the experiment: a row each, with MLflow's ``tags.*`` and ``metrics.*`` columns.

    Raises:
        UserError: there is no store yet.
    """
    uri = store_uri(track)
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        raise UserError(f"there are no runs in {track.folder}: train one with experiments/run.py")
    _check_server(uri)
    mlflow.set_tracking_uri(uri)
    return mlflow.search_runs(experiment_names=[track.experiment], max_results=10_000)


def read_predictions(run_id: str) -> pd.DataFrame:
    """predictions.csv of a run that ``runs_table`` listed.

    Raises:
        UserError: the run has none.
    """
    client = mlflow.MlflowClient()
    names = {artifact.path for artifact in client.list_artifacts(run_id)}
    for name in ("predictions.csv", "LEAKY_predictions.csv"):
        if name in names:
            return pd.read_csv(client.download_artifacts(run_id, name))
    raise UserError(f"run {run_id} has no predictions.csv: it did not end")


def predictions_if_any(run_id: str) -> pd.DataFrame | None:
    """As ``read_predictions``; None where a run has none."""
    try:
        return read_predictions(run_id)
    except UserError:
        return None


def metric_history(run_id: str, metric: str) -> list[tuple[int, float]]:
    """(step, value) points of a metric of a run in the store in use, in order."""
    points = mlflow.MlflowClient().get_metric_history(run_id, metric)
    return sorted({p.step: p.value for p in points}.items())


def first_time(track: TrackSettings, metric: str) -> float:
    """When the newest run of the experiment got its first value of a metric, as ``time.time``.

    Raises:
        UserError: it has none.
    """
    client = mlflow.MlflowClient(store_uri(track))
    known = client.get_experiment_by_name(track.experiment)
    runs = client.search_runs([known.experiment_id], max_results=1) if known else []
    points = client.get_metric_history(runs[0].info.run_id, metric) if runs else []
    if not points:
        raise UserError(f"the newest run in {track.folder} recorded no {metric}")
    return min(point.timestamp for point in points) / 1000


def find_checkpoint(where: str, track: TrackSettings | None = None) -> Path:
    """The checkpoint of a run, or in a registered or logged model (``models:/NAME/VERSION``).

    Raises:
        UserError: no such run or model, or it has no checkpoint.
    """
    uri = store_uri(track or TrackSettings())
    local = Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None
    if local is not None and not local.exists():
        raise UserError(f"{where}: no such checkpoint, and there are no runs in {local.parent}")
    _check_server(uri)
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient(uri)
    try:
        if where.startswith("models:/"):
            folder = Path(mlflow.artifacts.download_artifacts(where))
            found = next(folder.rglob("*.ckpt"), None)
        else:
            client.get_run(where)
            names = [artifact.path for artifact in client.list_artifacts(where, "checkpoints")]
            wanted = "checkpoints/best.ckpt"
            found = Path(client.download_artifacts(where, wanted)) if wanted in names else None
    except mlflow.MlflowException as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(
            f"{where}: no such checkpoint, run or model in {shown(uri)} ({shown(reason)}): "
            "experiments/compare.py lists the runs"
        ) from None
    if found is None:
        raise UserError(f"{where} has no checkpoint: it did not end, or is no network")
    return found


def _check_server(uri: str) -> None:
    """MLflow's own client would retry for minutes before it says that nobody answers."""
    if not uri.startswith("http"):
        return
    # a user's name and password may stand in the address: MLflow sends them, urllib can't
    bare = re.sub(r"://\S*@", "://", uri).rstrip("/")
    try:
        urllib.request.urlopen(f"{bare}/health", timeout=5).close()
    except urllib.error.HTTPError:
        pass  # an answer, if only of a proxy in front: the client will say more
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"the MLflow server {bare} does not answer ({reason}): start it, or record without it "
            "by --track.uri local"
        ) from None
