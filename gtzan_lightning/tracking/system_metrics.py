"""Measures of the machine while a run is recorded."""

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from gtzan_lightning.errors import UserError


@contextlib.contextmanager
def system_metrics(
    uri: str, keep: Callable[[dict[str, float], int], None], first: int
) -> Iterator[None]:
    """MLflow's measures of the machine; its own thread ends when a server fails to answer once.

    Args:
        uri: of the store; MLflow would make one in the current folder.
        keep: called with the measures and their step.
        first: the first step.
    """
    monitor = SystemMetricsMonitor("", tracking_uri=uri)
    stop = threading.Event()

    def watch() -> None:
        for step in itertools.count(first):
            if stop.wait(monitor.sampling_interval):
                return
            monitor.collect_metrics()
            values = monitor.aggregate_metrics()
            # a full disk or a folder that is gone is for the training to report
            with contextlib.suppress(OSError, UserError):
                keep({f"system/{name}": value for name, value in values.items()}, step)
            for part in monitor.monitors:
                part.clear_metrics()

    thread = threading.Thread(target=watch, name="system metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
