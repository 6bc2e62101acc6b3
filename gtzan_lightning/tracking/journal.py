"""What a run logs: records on disk, which a sender brings to MLflow."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning.pytorch.utilities import rank_zero_only
from matplotlib.figure import Figure

from gtzan_lightning.files import replacing
from gtzan_lightning.tracking.reading import OPENINGS
from gtzan_lightning.tracking.sender import LoggedModel
from gtzan_lightning.tracking.spool import Record, Spool

LONGEST = 8000  # characters of a tag


def is_first_process() -> bool:
    """Of those that train one model; it alone writes."""
    return getattr(rank_zero_only, "rank", 0) == 0


class Journal:
    """The records of a run; only the first process of a training writes any.

    Files that are logged lie in the run's folder and stay there until they are sent.
    """

    folder: Path
    spool: Spool | None = None

    def history(self, metric: str) -> list[tuple[int, float]]:
        """(step, value) points of a metric, in order; what was logged twice counts once."""
        points = {}
        for record in self.spool.records() if self.spool else []:
            if record["kind"] == "metrics" and metric in record["metrics"]:
                points[record["step"]] = record["metrics"][metric]
        return sorted(points.items())

    @rank_zero_only
    def log(self, artifact: Figure | pd.DataFrame | str, name: str) -> None:
        """A plot, a table (as CSV) or a text as the artifact ``name``."""
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
            self._keep({"kind": "file", "file": self._relative(file), "folder": folder})

    @rank_zero_only
    def log_params(self, params: Mapping[str, Any]) -> None:
        """Parameters, each cut to 500 characters."""
        values = {key: str(value)[:500] for key, value in params.items()}
        self._keep({"kind": "params", "params": values})

    @rank_zero_only
    def log_description(self, text: str) -> None:
        """What MLflow's page says of the run, as Markdown; whole lines, as many as MLflow takes."""
        if len(text) > LONGEST:
            text = text[:LONGEST].rpartition("\n")[0]
        self._keep({"kind": "tags", "tags": {"mlflow.note.content": text}})

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Metrics of a step; those that are not finite are left out."""
        values = {k: float(v) for k, v in metrics.items() if np.isfinite(v)}
        self._keep({"kind": "metrics", "metrics": values, "step": step, "time": _now()})

    @rank_zero_only
    def log_opening(self, what: Mapping[str, str]) -> None:
        """An opened test part, before it is read: into the store's ledger and the run's metrics."""
        before = sum(r["kind"] == "opening" for r in self.spool.records()) if self.spool else 0
        self._keep({"kind": "opening", "what": dict(what), "time": _now()})
        self.log_metrics({OPENINGS: before + 1})

    @rank_zero_only
    def log_songs(self, members: Path, name: str, fingerprint: str) -> None:
        """The corpus as a logged dataset: a table of which song is in which part."""
        file = self._relative(members)
        self._keep({"kind": "songs", "file": file, "name": name, "digest": fingerprint})

    @rank_zero_only
    def log_model(self, model: LoggedModel) -> None:
        """A model that ``mlflow.pyfunc.load_model`` loads: waveforms in, probabilities out."""
        self._keep({
            "kind": "pyfunc", "file": self._relative(model.checkpoint), "code": model.code,
            "genres": model.genres, "sample_rate": model.sample_rate, "time": _now(),
        })  # fmt: skip

    @rank_zero_only
    def log_registration(self, name: str) -> None:
        """The run's logged model as a new version of a registered one, once for a run."""
        self._keep({"kind": "registration", "name": name})

    def _relative(self, file: Path) -> str:
        return str(file.relative_to(self.folder))

    def _keep(self, record: Record) -> None:
        assert self.spool is not None, "logged outside of recording()"
        self.spool.add(record)


def _now() -> int:
    """Milliseconds, as MLflow counts them."""
    return int(time.time() * 1000)
