"""Lightning's metrics into a run."""

from typing import Any

from lightning.pytorch.loggers.logger import Logger

from gtzan_lightning.tracking.tracker import Tracker


class RunLogger(Logger):
    """The logger of Lightning's trainer; a run's settings are logged without it."""

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
        """Metrics of a step into the run."""
        self.tracker.log_metrics(metrics, step or 0)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """See the class."""
