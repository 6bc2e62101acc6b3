"""A dead man's switch: ends the MLflow run of a process that was killed without a word.

A process of its own, started beside each run (``python deadman.py RUN LOCK``). It waits, with
next to no memory, until its input ends: with the word ``ended`` as a rule, without it where the
process died, such as by ``kill -9``, for want of memory, or by Lightning when another rank died.
"""

import sys

ENDED = b"ended"


def main(run_id: str, lock: str) -> None:
    if sys.stdin.buffer.read() == ENDED:
        return
    from filelock import FileLock, Timeout

    try:
        # a resumed run holds the lock: then the run is its own to end
        with FileLock(lock).acquire(timeout=0):
            import mlflow

            client = mlflow.MlflowClient()
            if client.get_run(run_id).info.status == "RUNNING":
                client.set_terminated(run_id, "FAILED")
    except Timeout:
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
