"""A run's records into MLflow."""

import contextlib
import errno
import itertools
import logging
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.tracking.reading import shown
from gtzan_lightning.tracking.spool import Record


class Sender:
    """Sends records, in order, to a run; a record may come twice.

    Args:
        folder: of the run, where the files are that records name.
    """

    def __init__(self, client: mlflow.MlflowClient, run_id: str, folder: Path) -> None:
        self.client, self.run_id, self.folder = client, run_id, folder

    def __call__(self, records: list[Record]) -> None:
        for kind, some in itertools.groupby(records, key=lambda record: record["kind"]):
            if kind == "metrics":
                self._metrics(list(some))
                continue
            for record in some:
                if kind == "params":
                    self._params(record["params"])
                    continue
                file = self.folder / record["file"]
                if kind == "file":
                    self.client.log_artifact(self.run_id, str(file), record["folder"])
                elif kind == "songs":
                    self._songs(file, record)
                else:
                    self._model(file)

    def _metrics(self, records: list[Record]) -> None:
        items = [
            mlflow.entities.Metric(key, value, record["time"], record["step"])
            for record in records
            for key, value in record["metrics"].items()
        ]
        for n in range(0, len(items), 1000):  # MLflow takes no more at once
            self.client.log_batch(self.run_id, metrics=items[n : n + 1000])

    def _params(self, params: dict[str, str]) -> None:
        items = [mlflow.entities.Param(key, value) for key, value in params.items()]
        for n in range(0, len(items), 100):  # MLflow takes no more at once
            self.client.log_batch(self.run_id, params=items[n : n + 100])

    def _songs(self, file: Path, record: Record) -> None:
        members = pd.read_csv(file, keep_default_na=False)
        source = mlflow.data.from_pandas(members, name=record["name"], digest=record["digest"])
        tag = mlflow.entities.InputTag("mlflow.data.context", "corpus")
        found = mlflow.entities.DatasetInput(source._to_mlflow_entity(), [tag])
        self.client.log_inputs(self.run_id, datasets=[found])

    def _model(self, checkpoint: Path) -> None:
        if self.client.get_run(self.run_id).outputs.model_outputs:
            return  # sent before, by a process that was killed before it could note that
        tagger = Tagger.load(checkpoint, device="cpu")
        signature = ModelSignature(
            inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, -1))]),
            outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, len(tagger.genres)))]),
        )
        metadata = {"genres": tagger.genres, "sample_rate": tagger.spec.sample_rate}
        # log_system_metrics: ours are recorded already, and survive a server that is away
        with _quiet("mlflow"), mlflow.start_run(self.run_id, log_system_metrics=False):
            mlflow.pyfunc.log_model(
                name="model",
                python_model=WaveModel(),
                artifacts={"checkpoint": str(checkpoint)},
                code_paths=[str(Path(__file__).parent)],
                pip_requirements=[r for r in requires("gtzan-lightning") if "extra ==" not in r],
                signature=signature,
                metadata=metadata,
            )


def is_hopeless(error: Exception) -> bool:
    """Whether the store will refuse the same records again."""
    if isinstance(error, mlflow.MlflowException):
        return error.error_code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")
    return isinstance(error, OSError) and error.errno == errno.ENOSPC


def reason(error: Exception) -> str:
    return shown(" ".join(str(error).split())[:200])


class WaveModel(mlflow.pyfunc.PythonModel):
    """The logged model: (song, sample) float32 waveforms -> (song, genre) probabilities."""

    def load_context(self, context: Any) -> None:
        self.tagger = Tagger.load(Path(context.artifacts["checkpoint"]))

    def predict(
        self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> np.ndarray:
        return self.tagger.probabilities(model_input)


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
