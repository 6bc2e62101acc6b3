"""What runs beside a training: measures of the machine, and the dead man's switch."""

import contextlib
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from gtzan_lightning import deadman
from gtzan_lightning.run_folder import LOCK


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


def dead_man_switch(uri: str, run_id: str, folder: Path) -> subprocess.Popen[bytes]:
    """See deadman.py; a file, not a module, so that it starts without this package's imports."""
    command = [sys.executable, "-P", str(Path(deadman.__file__)), run_id, str(folder / LOCK)]
    # a session of its own: Ctrl-C is for the training, which ends its run itself
    return subprocess.Popen(
        command,
        env={**os.environ, "MLFLOW_TRACKING_URI": uri},  # its password is for no list of processes
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # else whoever reads the training's output waits for it too
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
