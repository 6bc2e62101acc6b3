"""What runs beside a training: measures of the machine, and the dead man's switch."""

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor


@contextlib.contextmanager
def system_metrics(keep: Callable[[dict[str, float], int], None], first: int) -> Iterator[None]:
    """MLflow's measures of the machine; its own thread ends when a server fails to answer once.

    Args:
        keep: takes the measures and their step.
        first: the first step.
    """
    monitor = SystemMetricsMonitor("")
    stop = threading.Event()

    def watch() -> None:
        for step in itertools.count(first):
            if stop.wait(monitor.sampling_interval):
                return
            monitor.collect_metrics()
            found = monitor.aggregate_metrics()
            with contextlib.suppress(OSError):  # of a full disk, the training will hear itself
                keep({f"system/{name}": value for name, value in found.items()}, step)
            for measure in monitor.monitors:
                measure.clear_metrics()

    thread = threading.Thread(target=watch, name="system metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
