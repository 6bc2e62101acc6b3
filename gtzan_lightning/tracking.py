"""MLflow, writing: one run for one training. Only this file and store.py import mlflow."""

import contextlib
import functools
import logging
import os
import platform
import subprocess
import warnings
from collections.abc import Iterator
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from lightning.pytorch.loggers import MLFlowLogger
from lightning.pytorch.utilities import rank_zero_only
from matplotlib.figure import Figure
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from gtzan_lightning.errors import UserError
from gtzan_lightning.settings import TrackSettings
from gtzan_lightning.store import store_uri
from gtzan_lightning.tagger import Tagger

PACKAGES = ("torch", "torchaudio", "torchvision", "lightning", "torchmetrics", "timm", "mlflow")
PACKAGES += ("audiomentations", "numpy", "soundfile", "soxr", "scikit-learn", "gtzan-lightning")
SHARED_RUN = "GTZAN_LIGHTNING_RUN_ID"  # environment variable: the run of all processes


class Tracker:
    """One MLflow run, from start to its final status."""

    def __init__(self, track: TrackSettings) -> None:
        self.track, self.uri = track, store_uri(track)
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        for name in ("alembic", "mlflow", "mlflow.system_metrics", "mlflow.store.db"):
            logging.getLogger(name).setLevel(logging.WARNING)
        warnings.filterwarnings("ignore", ".*input example was not provided.*")
        mlflow.set_tracking_uri(self.uri)
        with self._alone():  # the first connection to a new SQLite store makes its tables
            try:
                self.client = mlflow.MlflowClient(self.uri)
                self.client.search_experiments(max_results=1)
            except (mlflow.MlflowException, OSError) as error:
                reason = " ".join(str(error).split())[:200]
                raise UserError(
                    f"the MLflow store {self.uri} can't be used ({reason}): record without it by "
                    "--track.uri local"
                ) from None
        self.run_id = ""

    def start(self, name: str, params: dict[str, Any], tags: dict[str, str]) -> None:
        """Open a run with its parameters and tags; processes of one training share it."""
        if rank_zero_only.rank == 0:
            run = self.client.create_run(self._experiment(), run_name=name, tags=tags)
            items = [mlflow.entities.Param(k, str(v)[:500]) for k, v in params.items()]
            self.client.log_batch(run.info.run_id, params=items)
            # Lightning starts the other processes with this environment
            os.environ[SHARED_RUN] = run.info.run_id
        self.run_id = os.environ.get(SHARED_RUN, "")

    def reopen(self, run_id: str) -> None:
        """Go on in an existing run.

        Raises:
            UserError: the store does not know it.
        """
        try:
            self.client.update_run(run_id, status="RUNNING")
        except mlflow.MlflowException:
            raise UserError(f"run {run_id} is not in the MLflow store {self.uri}") from None
        self.run_id = run_id

    @contextlib.contextmanager
    def recording(self, own_metrics: bool = True) -> Iterator[None]:
        """System metrics while the block runs; the run ends with the status of the block.

        Args:
            own_metrics: false where the block records runs of its own.
        """
        if rank_zero_only.rank != 0:
            yield
            return
        if own_metrics:
            mlflow.start_run(self.run_id, log_system_metrics=True)
        status = "FAILED"
        try:
            yield
            status = "FINISHED"
        except (KeyboardInterrupt, SystemExit):
            status = "KILLED"
            raise
        finally:
            if own_metrics:
                mlflow.end_run(status)
            else:
                self.client.set_terminated(self.run_id, status)

    def logger(self) -> MLFlowLogger:
        """Lightning's logger for this run; the run's status stays the tracker's."""
        return _StatuslessLogger(tracking_uri=self.uri, run_id=self.run_id)

    @rank_zero_only
    def log(self, artifact: Figure | pd.DataFrame | str, name: str) -> None:
        """A figure, a table (as CSV) or a text as the artifact ``name``."""
        if isinstance(artifact, Figure):
            self.client.log_figure(self.run_id, artifact, name)
        elif isinstance(artifact, pd.DataFrame):
            self.client.log_text(self.run_id, artifact.to_csv(index=False), name)
        else:
            self.client.log_text(self.run_id, artifact, name)

    @rank_zero_only
    def log_file(self, file: Path, folder: str | None = None) -> None:
        """A file as an artifact, under its own name; nothing where there is none."""
        if file.exists():
            self.client.log_artifact(self.run_id, str(file), folder)

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float]) -> None:
        values = {k: v for k, v in metrics.items() if np.isfinite(v)}
        now = mlflow.utils.time.get_current_time_millis()
        items = [mlflow.entities.Metric(k, float(v), now, 0) for k, v in values.items()]
        self.client.log_batch(self.run_id, metrics=items)

    @rank_zero_only
    def log_songs(self, members: pd.DataFrame, name: str, fingerprint: str) -> None:
        """The corpus as a logged dataset: which song is in which part."""
        source = mlflow.data.from_pandas(members, name=name, digest=fingerprint)
        mlflow.log_input(source, context="corpus")

    @rank_zero_only
    def log_model(self, checkpoint: Path) -> None:
        """A model that ``mlflow.pyfunc.load_model`` loads: waveforms in, probabilities out."""
        tagger = Tagger.load(checkpoint)
        signature = ModelSignature(
            inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, -1))]),
            outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, len(tagger.genres)))]),
        )
        metadata = {"genres": tagger.genres, "sample_rate": tagger.spec.sample_rate}
        with _quiet("mlflow"):
            mlflow.pyfunc.log_model(
                name="model",
                python_model=WaveModel(),
                artifacts={"checkpoint": str(checkpoint)},
                code_paths=[str(Path(__file__).parent)],
                pip_requirements=[r for r in requires("gtzan-lightning") if "extra ==" not in r],
                signature=signature,
                metadata=metadata,
            )

    def _experiment(self) -> str:
        """Id of the experiment, made by the first run."""
        with self._alone():
            known = self.client.get_experiment_by_name(self.track.experiment)
            if known:
                return known.experiment_id
            folder = Path(self.track.folder).resolve()
            place = f"file://{folder}/artifacts" if self._is_local else None
            return self.client.create_experiment(self.track.experiment, artifact_location=place)

    @property
    def _is_local(self) -> bool:
        return self.uri.startswith("sqlite")

    def _alone(self) -> contextlib.AbstractContextManager[Any]:
        """One process at a time: two that create a SQLite store at once break each other."""
        if not self._is_local:
            return contextlib.nullcontext()
        return FileLock(Path(self.track.folder).resolve() / ".store.lock")


def add_files(run: str, track: TrackSettings, files: list[Path], folder: str) -> None:
    """Files as artifacts of a recorded run; nothing where ``run`` is no run's id."""
    client = mlflow.MlflowClient(store_uri(track))
    try:
        client.get_run(run)
    except mlflow.MlflowException:
        return
    for file in files:
        client.log_artifact(run, str(file), folder)


class WaveModel(mlflow.pyfunc.PythonModel):
    """The logged model: (song, sample) float32 waveforms -> (song, genre) probabilities."""

    def load_context(self, context: Any) -> None:
        self.tagger = Tagger.load(Path(context.artifacts["checkpoint"]))

    def predict(
        self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> np.ndarray:
        return self.tagger.probabilities(model_input)


@functools.cache
def environment() -> dict[str, str]:
    """Versions, machine, commit and whether the working tree differs from it."""
    here = Path(__file__).parent
    found = {f"version.{name}": version(name) for name in PACKAGES}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    found |= {
        "version.torch": torch.__version__,  # with its build, such as +cu130
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {device}",
        "commit": _git(here, "rev-parse", "HEAD") or "unknown",
        "dirty": str(bool(_git(here, "status", "--porcelain"))).lower(),
    }
    return found


class _StatuslessLogger(MLFlowLogger):
    """Lightning would end the run when training ends, before it is tested."""

    def finalize(self, status: str = "success") -> None:
        pass


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
