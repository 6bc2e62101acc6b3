"""A run's records into MLflow."""

import contextlib
import errno
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import requires
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import DatasetInput, InputTag, LoggedModelOutput, Metric, Param
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

from gtzan_lightning.tracking.reading import LEDGER
from gtzan_lightning.tracking.spool import Metrics, Pyfunc, Record, Songs


@dataclass(frozen=True)
class LoggedModel:
    """A model for MLflow: (song, sample) float32 waveforms -> a table of probabilities.

    The table is a DataFrame with a column for each genre, a row for each song.

    Args:
        code: name of the module that MLflow runs to make it ("models from code"); it is given
            the checkpoint as the artifact ``checkpoint``.
        sample_rate: of the waveforms, in Hz.
    """

    code: str
    checkpoint: Path
    genres: list[str]
    sample_rate: int


class Sender:
    """Sends records to a run, metrics first; a record may come twice.

    A kind that is not known is left out: an older version kept its models in another one, and a
    run that is resumed logs its model again.

    Args:
        folder: of the run, where the files are that records name.
    """

    def __init__(self, client: mlflow.MlflowClient, run_id: str, folder: Path) -> None:
        self.client, self.run_id, self.folder = client, run_id, folder

    def __call__(self, records: list[Record]) -> None:
        self._metrics([record for record in records if record["kind"] == "metrics"])
        for record in records:
            if record["kind"] == "params":
                self._params(record["params"])
            elif record["kind"] == "tags":
                for name, text in record["tags"].items():
                    self.client.set_tag(self.run_id, name, text)
            elif record["kind"] == "file":
                file = str(self.folder / record["file"])
                self.client.log_artifact(self.run_id, file, record["folder"])
            elif record["kind"] == "songs":
                self._songs(record)
            elif record["kind"] == "pyfunc":
                self._pyfunc(record)
            elif record["kind"] == "registration":
                self._register(record["name"])
            elif record["kind"] == "opening":
                add_to_ledger(self.client, self.run_id, record["what"], record["time"])

    def _metrics(self, records: list[Metrics]) -> None:
        items = [
            Metric(key, value, record["time"], record["step"])
            for record in records
            for key, value in record["metrics"].items()
        ]
        for n in range(0, len(items), 1000):  # MLflow takes no more at once
            self.client.log_batch(self.run_id, metrics=items[n : n + 1000])

    def _params(self, params: dict[str, str]) -> None:
        items = [Param(key, value) for key, value in params.items()]
        for n in range(0, len(items), 100):  # MLflow takes no more at once
            self.client.log_batch(self.run_id, params=items[n : n + 100])

    def _songs(self, record: Songs) -> None:
        members = pd.read_csv(self.folder / record["file"], keep_default_na=False)
        # without a source MLflow asks IPython for one: its import in this thread, half done, breaks
        # the plot that Matplotlib draws meanwhile
        nowhere = CodeDatasetSource(tags={})
        data = from_pandas(members, nowhere, name=record["name"], digest=record["digest"])
        tag = InputTag("mlflow.data.context", "corpus")
        self.client.log_inputs(self.run_id, [DatasetInput(data._to_mlflow_entity(), [tag])])

    def _pyfunc(self, record: Pyfunc) -> None:
        """By the client: ``mlflow.pyfunc.log_model`` would change the store of the process."""
        run = self.client.get_run(self.run_id)
        if run.outputs and run.outputs.model_outputs:
            return  # sent before, by a process that was killed before it could note that
        experiment = run.info.experiment_id
        begun = self.client.search_logged_models([experiment], f"source_run_id='{self.run_id}'")
        model = begun[0] if begun else self.client.create_logged_model(
            experiment, "model", self.run_id, params=run.data.params
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            _save(Path(folder) / "model", record, self.folder / record["file"], model)
            self.client.log_model_artifacts(model.model_id, f"{folder}/model")
        self.client.finalize_logged_model(model.model_id, "READY")
        scores = [
            Metric(key, value, record["time"], 0, model_id=model.model_id, run_id=self.run_id)
            for key, value in run.data.metrics.items()
            if key.startswith("final/")
        ]
        self.client.log_batch(self.run_id, metrics=scores)
        # last: the model of a run that names one is whole
        self.client.log_outputs(self.run_id, [LoggedModelOutput(model.model_id, step=0)])

    def _register(self, name: str) -> None:
        """By the client, as for ``_pyfunc``."""
        own = f"name = '{name}' and run_id = '{self.run_id}'"
        if self.client.search_model_versions(own):
            return  # sent before
        with contextlib.suppress(mlflow.MlflowException):  # another run made it
            self.client.create_registered_model(name)
        outputs = self.client.get_run(self.run_id).outputs
        assert outputs is not None, "its model comes first"
        (logged,) = outputs.model_outputs
        model = self.client.get_logged_model(logged.model_id)
        # not models:/ID, which MLflow looks up in the store of the process
        place = model.artifact_location
        self.client.create_model_version(name, place, self.run_id, model_id=model.model_id)


def add_to_ledger(
    client: mlflow.MlflowClient, run_id: str, what: Mapping[str, str], time: int
) -> None:
    """An opened test part, as a tag of the run's experiment: it stays when the run is deleted.

    Args:
        time: milliseconds since 1970; the same opening may come twice.
    """
    experiment = client.get_run(run_id).info.experiment_id
    text = json.dumps({**what, "run": run_id, "time": time})
    client.set_experiment_tag(experiment, f"{LEDGER}{time}-{run_id}", text)


def _save(folder: Path, record: Pyfunc, checkpoint: Path, model: Any) -> None:
    """A logged model as files, with no pickle among them."""
    package, code = (_file_of(name) for name in (record["code"].split(".")[0], record["code"]))
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, -1))]),
        outputs=Schema([ColSpec("float", genre) for genre in record["genres"]]),
    )
    mlflow.pyfunc.save_model(
        folder,
        # the signature goes here: as an argument it brings a warning about input examples
        mlflow_model=Model(
            model.artifact_location, model.source_run_id, signature=signature,
            model_id=model.model_id,
        ),
        python_model=str(code),
        artifacts={"checkpoint": str(checkpoint)},
        code_paths=[str(package.parent)],
        pip_requirements=[r for r in requires("gtzan-lightning") or [] if "extra ==" not in r],
        metadata={"genres": record["genres"], "sample_rate": record["sample_rate"]},
    )  # fmt: skip


def _file_of(module: str) -> Path:
    """The file of a module, which is not imported."""
    spec = find_spec(module)
    assert spec, module
    return Path(str(spec.origin))


def is_hopeless(error: Exception) -> bool:
    """Whether the store will refuse the same records again."""
    said = str(error)
    # what SQLite says of a file that a later try would find the same
    if "(sqlite3.DatabaseError)" in said or "database or disk is full" in said:
        return True
    if isinstance(error, mlflow.MlflowException):
        return error.error_code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")
    return isinstance(error, OSError) and error.errno == errno.ENOSPC
