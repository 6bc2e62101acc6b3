"""One MLflow run for one training, from its start to its final status."""

import contextlib
import subprocess
import time
from collections.abc import Iterator

import mlflow
from filelock import FileLock
from lightning.pytorch.utilities import rank_zero_only

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.terminal import shown
from gtzan_lightning.tracking import store
from gtzan_lightning.tracking.access import complaint, mlflow_settings, reason
from gtzan_lightning.tracking.journal import Journal, is_first_process
from gtzan_lightning.tracking.processes import process_id
from gtzan_lightning.tracking.reading import store_uri
from gtzan_lightning.tracking.run_folder import LOCK, folder_of, lock_run
from gtzan_lightning.tracking.sender import Sender, is_hopeless
from gtzan_lightning.tracking.spool import Spool
from gtzan_lightning.tracking.system_metrics import system_metrics
from gtzan_lightning.tracking.view import keep_view
from gtzan_lightning.tracking.watchdog import ENDED, start_watchdog

PATIENCE = 300.0  # seconds that a finished run waits for a store that does not take its records


class Tracker(Journal):
    """A run that is started or resumed, recorded and ended.

    What is logged while it records is kept in the run's folder first and sent by a thread: a
    server that is slow, away or back again neither stops the training nor loses a record.

    Raises:
        UserError: the store can't be used.
    """

    lock: FileLock
    watchdog: subprocess.Popen[bytes]

    def __init__(self, track: TrackSettings) -> None:
        self.track, self.uri, self.run_id = track, store_uri(track), ""
        if is_first_process():
            self.client = store.connect(track)

    @rank_zero_only
    @mlflow_settings()
    def start(self, name: str, tags: dict[str, str]) -> None:
        """Open a run with its tags; end those whose process died without a word.

        Raises:
            UserError: the store refuses it.
        """
        tags = {**tags, "process": process_id()}
        try:
            experiment = store.experiment_id(self.client, self.track)
            keep_view(self.client, experiment)
            store.end_dead_runs(self.client, self.track, experiment)
            run = self.client.create_run(experiment, run_name=name, tags=tags)
        except mlflow.MlflowException as error:
            raise UserError(complaint(self.uri, error)) from None
        self._lock(run.info.run_id)

    @rank_zero_only
    @mlflow_settings()
    def resume(self, run_id: str) -> None:
        """Open an existing run again.

        Raises:
            UserError: the store does not know it, or another process uses it.
        """
        self._lock(run_id)
        try:
            # the process first: who sees the run running sees that it lives
            self.client.set_tag(run_id, "process", process_id())
            self.client.update_run(run_id, status="RUNNING")
        except mlflow.MlflowException as error:
            self._release(has_ended=True)
            raise UserError(
                f"run {run_id} can't be resumed in the MLflow store {shown(self.uri)} "
                f"({reason(error)})"
            ) from None

    def _lock(self, run_id: str) -> None:
        self.run_id, self.folder = run_id, folder_of(self.track, run_id)
        self.lock = lock_run(self.folder)
        self.watchdog = start_watchdog(self.uri, run_id, self.folder / LOCK)

    def _release(self, has_ended: bool) -> None:
        """Args: has_ended: in the store; else the watchdog has to end it there."""
        self.lock.release()
        if has_ended:
            self.watchdog.communicate(ENDED)
        elif self.watchdog.stdin:
            self.watchdog.stdin.close()  # it tries for an hour; nobody waits for it

    @contextlib.contextmanager
    def recording(self, with_system_metrics: bool = True) -> Iterator[None]:
        """What the block logs is sent; the run ends with the status of the block.

        Args:
            with_system_metrics: false where the block records runs of its own.

        Raises:
            UserError: the records could not be sent in the end; they are kept.
        """
        if not is_first_process():
            yield
            return
        with mlflow_settings():
            sender = Sender(self.client, self.run_id, self.folder)
            self.spool = Spool(self.folder, sender, is_hopeless)
            first = len(self.history("system/cpu_utilization_percentage"))
            status = "FAILED"
            try:
                with contextlib.ExitStack() as measuring:
                    if with_system_metrics:
                        measuring.enter_context(system_metrics(self.uri, self.log_metrics, first))
                    yield
                status = "FINISHED"
            except (KeyboardInterrupt, SystemExit):
                status = "KILLED"
                raise
            finally:
                self._end(self.spool, status)

    def _end(self, spool: Spool, status: str) -> None:
        """Send everything and end the run; one that was interrupted does not wait long for it."""
        is_finished = status == "FINISHED"
        failure, has_ended = None, False
        try:
            spool.drain(
                PATIENCE if is_finished else PATIENCE / 10,
                lambda: print(f"waiting for {shown(self.uri)} to take the records", flush=True),
            )
        except Exception as error:  # of whatever kind the store's client has
            failure, status = error, "FAILED" if is_finished else status
        try:
            self._terminate(status, 0.0 if failure else PATIENCE / 10)
            has_ended = True
        except Exception as error:
            failure = failure or error
        spool.close()
        self._release(has_ended)
        if is_finished and failure:
            raise UserError(
                f"{shown(self.uri)} did not take all records of run {self.run_id} "
                f"({reason(failure)}): they are kept; when it does, resume with --resume "
                f"{self.run_id}"
            ) from None

    def _terminate(self, status: str, patience: float) -> None:
        """Args: patience: seconds for a store that another process has locked just now."""
        end = time.monotonic() + patience
        while True:
            try:
                self.client.set_terminated(self.run_id, status)
                return
            except Exception as error:  # of whatever kind the store's client has
                if is_hopeless(error) or time.monotonic() > end:
                    raise
            time.sleep(1)
