"""MLflow, writing: one run for one training."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from filelock import FileLock
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only
from matplotlib.figure import Figure

from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tracking.processes import is_alive, mark
from gtzan_lightning.tracking.reading import shown, store_uri
from gtzan_lightning.tracking.run_folder import LOCK, folder_of, hold, is_held
from gtzan_lightning.tracking.sender import Sender, is_hopeless, reason
from gtzan_lightning.tracking.spool import Record, Spool
from gtzan_lightning.tracking.system_metrics import system_metrics
from gtzan_lightning.tracking.watchdog import SAFE, start_watchdog

PATIENCE = 300.0  # seconds that a finished run waits for a store that does not take its records


class Tracker:
    """One MLflow run, from start to its final status.

    What is logged while it records is kept in the run's folder first and sent by a thread: a
    server that is slow, away or back again neither stops the training nor loses a record.
    """

    def __init__(self, track: TrackSettings) -> None:
        self.track, self.uri = track, store_uri(track)
        self.run_id = ""
        self.spool: Spool | None = None
        if rank_zero_only.rank != 0:
            return  # the first process of a training writes
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # the spool tries again
        for name in ("alembic", "mlflow", "mlflow.system_metrics", "mlflow.store.db"):
            logging.getLogger(name).setLevel(logging.WARNING)
        warnings.filterwarnings("ignore", ".*input example was not provided.*")
        mlflow.set_tracking_uri(self.uri)
        with self._alone():  # the first connection to a new SQLite store makes its tables
            try:
                self._make_store()
                self.client = mlflow.MlflowClient(self.uri)
                self.client.search_experiments(max_results=1)
            except (mlflow.MlflowException, OSError) as error:
                raise UserError(
                    f"the MLflow store {shown(self.uri)} can't be used ({reason(error)}): record "
                    "without it by --track.uri local"
                ) from None

    def _make_store(self) -> None:
        """A new SQLite store, whole or not at all: MLflow never mends one that is half made."""
        file = Path(self.uri.removeprefix("sqlite:///"))
        if self._is_local and not file.exists():
            with replacing(file) as part:
                part.unlink(missing_ok=True)  # of a process that was killed here
                mlflow.MlflowClient(f"sqlite:///{part}").search_experiments(max_results=1)

    @property
    def folder(self) -> Path:
        return folder_of(self.track, self.run_id)

    @rank_zero_only
    def start(self, name: str, tags: dict[str, str]) -> None:
        """Open a run with its tags; runs that died without a word are ended.

        Raises:
            UserError: the store refuses it.
        """
        try:
            experiment = self._experiment()
            self._end_dead_runs(experiment)
            marked = {**tags, "process": mark()}
            self.run_id = self.client.create_run(experiment, run_name=name, tags=marked).info.run_id
        except mlflow.MlflowException as error:
            raise UserError(
                f"the MLflow store {shown(self.uri)} can't be used ({reason(error)})"
            ) from None
        self._hold(self.run_id)

    @rank_zero_only
    def reopen(self, run_id: str) -> None:
        """Go on in an existing run.

        Raises:
            UserError: the store does not know it, or another process makes it.
        """
        self._hold(run_id)
        try:
            # the mark first: who sees it running sees that it lives
            self.client.set_tag(run_id, "process", mark())
            self.client.update_run(run_id, status="RUNNING")
        except mlflow.MlflowException as error:
            self._let_go(known=True)
            raise UserError(
                f"run {run_id} can't go on in the MLflow store {shown(self.uri)} ({reason(error)})"
            ) from None
        self.run_id = run_id

    def _hold(self, run_id: str) -> None:
        folder = folder_of(self.track, run_id)
        self.lock = hold(folder)
        self.switch = start_watchdog(self.uri, run_id, folder / LOCK)

    def _let_go(self, known: bool) -> None:
        """Args: known: whether the store knows how the run ended; else it is the switch's task."""
        self.lock.release()
        if known:
            self.switch.communicate(SAFE)
        elif self.switch.stdin:
            self.switch.stdin.close()  # it tries for an hour; nobody waits for it

    @contextlib.contextmanager
    def recording(self, own_metrics: bool = True) -> Iterator[None]:
        """System metrics while the block runs; the run ends with the status of the block.

        Args:
            own_metrics: false where the block records runs of its own.

        Raises:
            UserError: the records could not be sent in the end; they are kept.
        """
        if rank_zero_only.rank != 0:
            yield
            return
        self.spool = Spool(self.folder, Sender(self.client, self.run_id, self.folder), is_hopeless)
        first = len(self.history("system/cpu_utilization_percentage"))
        beside = system_metrics(self.log_metrics, first) if own_metrics else nullcontext()
        status = "FAILED"
        try:
            with beside:
                yield
            status = "FINISHED"
        except (KeyboardInterrupt, SystemExit):
            status = "KILLED"
            raise
        finally:
            self._end(status)

    def logger(self) -> "RecordLogger":
        """Lightning's logger for this run."""
        return RecordLogger(self)

    def history(self, metric: str) -> list[tuple[int, float]]:
        """(step, value) points of a metric, in order; what was logged twice counts once."""
        found = {}
        for record in self.spool.records() if self.spool else []:
            if metric in record.get("metrics", {}):
                found[record["step"]] = record["metrics"][metric]
        return sorted(found.items())

    @rank_zero_only
    def log(self, artifact: Figure | pd.DataFrame | str, name: str) -> None:
        """A figure, a table (as CSV) or a text as the artifact ``name``."""
        with replacing(self.folder / "artifacts" / name) as part:
            if isinstance(artifact, Figure):
                artifact.savefig(part, format=Path(name).suffix.removeprefix("."))
            elif isinstance(artifact, pd.DataFrame):
                artifact.to_csv(part, index=False)
            else:
                part.write_text(artifact)
        self.log_file(self.folder / "artifacts" / name)

    @rank_zero_only
    def log_file(self, file: Path, folder: str | None = None) -> None:
        """A file of the run's folder as an artifact, under its own name, if it is there."""
        if file.exists():
            place = str(file.relative_to(self.folder))
            self._keep({"kind": "file", "file": place, "folder": folder})

    @rank_zero_only
    def log_params(self, params: dict[str, Any]) -> None:
        values = {key: str(value)[:500] for key, value in params.items()}
        self._keep({"kind": "params", "params": values})

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int = 0) -> None:
        values = {k: float(v) for k, v in metrics.items() if np.isfinite(v)}
        now = mlflow.utils.time.get_current_time_millis()
        self._keep({"kind": "metrics", "metrics": values, "step": step, "time": now})

    @rank_zero_only
    def log_songs(self, members: Path, name: str, fingerprint: str) -> None:
        """The corpus as a logged dataset: a table of which song is in which part."""
        place = str(members.relative_to(self.folder))
        self._keep({"kind": "songs", "file": place, "name": name, "digest": fingerprint})

    @rank_zero_only
    def log_model(self, checkpoint: Path) -> None:
        """A model that ``mlflow.pyfunc.load_model`` loads: waveforms in, probabilities out."""
        self._keep({"kind": "model", "file": str(checkpoint.relative_to(self.folder))})

    def _keep(self, record: Record) -> None:
        assert self.spool is not None, "logged outside of recording()"
        self.spool.add(record)

    def _end(self, status: str) -> None:
        """Everything sent, and the run ended; an interrupted run does not wait long for it."""
        finished = status == "FINISHED"
        failure, known = None, False
        try:
            self.spool.drain(
                PATIENCE if finished else PATIENCE / 10,
                lambda: print(f"waiting for {shown(self.uri)} to take the records", flush=True),
            )
        except Exception as error:  # of whatever kind the store's client has
            failure, status = error, "FAILED" if finished else status
        try:
            self.client.set_terminated(self.run_id, status)
            known = True
        except Exception as error:
            failure = failure or error
        self.spool.close()
        self._let_go(known)
        if finished and failure:
            raise UserError(
                f"{shown(self.uri)} did not take all records of run {self.run_id} "
                f"({reason(failure)}): they are kept; when it does, go on with --resume "
                f"{self.run_id}"
            ) from None

    def _end_dead_runs(self, experiment: str) -> None:
        """A machine that went down took a run's process and its switch at once."""
        for run in self.client.search_runs([experiment], "attributes.status = 'RUNNING'"):
            alive = is_alive(run.data.tags.get("process", ""))
            held = is_held(folder_of(self.track, run.info.run_id))
            if alive or held or (alive is None and held is None):
                continue
            # it may have ended well since it was listed
            if self.client.get_run(run.info.run_id).info.status == "RUNNING":
                self.client.set_terminated(run.info.run_id, "KILLED")

    def _experiment(self) -> str:
        """Id of the experiment, made by the first run."""
        with self._alone():
            known = self.client.get_experiment_by_name(self.track.experiment)
            if known:
                return known.experiment_id
            folder = Path(self.track.folder).resolve()
            place = f"file://{folder}/artifacts" if self._is_local else None
            try:
                return self.client.create_experiment(self.track.experiment, artifact_location=place)
            except mlflow.MlflowException:  # of a server, where another made it just now
                known = self.client.get_experiment_by_name(self.track.experiment)
                if not known:
                    raise
                return known.experiment_id

    @property
    def _is_local(self) -> bool:
        return self.uri.startswith("sqlite")

    def _alone(self) -> contextlib.AbstractContextManager[Any]:
        """One process at a time: two that create a SQLite store at once break each other."""
        if not self._is_local:
            return nullcontext()
        return FileLock(Path(self.track.folder).resolve() / ".store.lock")


class RecordLogger(Logger):
    """Lightning's metrics into a tracker's records; its settings are there already."""

    def __init__(self, tracker: Tracker) -> None:
        super().__init__()
        self.tracker = tracker

    @property
    def name(self) -> str:
        return self.tracker.track.experiment

    @property
    def version(self) -> str:
        return self.tracker.run_id

    @property
    def save_dir(self) -> str:
        return self.tracker.track.folder

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.tracker.log_metrics(metrics, step or 0)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass


def add_files(run: str, track: TrackSettings, files: list[Path], folder: str) -> None:
    """Files as artifacts of a recorded run; nothing where ``run`` is no run's id."""
    client = mlflow.MlflowClient(store_uri(track))
    try:
        client.get_run(run)
    except mlflow.MlflowException:
        return
    for file in files:
        client.log_artifact(run, str(file), folder)
