"""The watchdog: ends the MLflow run of a process that was killed without a word.

A process of its own, started beside each run (``python watchdog.py RUN LOCK``). It waits, with
next to no memory, until its input ends: with the word ``ended`` as a rule, without it where the
process died, such as by ``kill -9``, for want of memory, or by Lightning when another rank died.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ENDED = b"ended"
TRIES = 60  # a minute apart, while the server does not answer


def start_watchdog(uri: str, run_id: str, lock: Path) -> subprocess.Popen[bytes]:
    """Start it; it ends with its input.

    Args:
        lock: file that the run's process locks while it lives.
    """
    # a file, not a module, so that it starts without this package's imports
    command = [sys.executable, "-P", __file__, run_id, str(lock)]
    # a session of its own: Ctrl-C is for the training, which ends its run itself
    return subprocess.Popen(
        command,
        env={**os.environ, "MLFLOW_TRACKING_URI": uri},  # its password is for no list of processes
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # else whoever reads the training's output waits for it too
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main(run_id: str, lock: str) -> None:
    """Wait for the end of the input; without its word, end the run as failed."""
    if sys.stdin.buffer.read() == ENDED:
        return
    import mlflow
    from filelock import FileLock, Timeout

    for _ in range(TRIES):
        if not Path(lock).exists():  # of a run that is gone: its folder and store would be made
            return
        try:
            # locked as briefly as can be: a resumed run waits for it, and then ends the run itself
            with FileLock(lock).acquire(timeout=0):
                client = mlflow.MlflowClient()
                if client.get_run(run_id).info.status == "RUNNING":
                    client.set_terminated(run_id, "FAILED")
                return
        except Timeout:
            return
        except Exception:  # of whatever kind the store's client has
            time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
