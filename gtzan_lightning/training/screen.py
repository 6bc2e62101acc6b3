"""What a training shows: a line for each epoch, and in a terminal a bar of the running one."""

import sys
import time
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, Timer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gtzan_lightning.training.callbacks import say

WIDTHS = {
    "epoch": 9, "train loss": 12, "valid loss": 12, "song accuracy": 15, "best": 8, "time": 9,
    "left": 12,
}  # fmt: skip
TRAIN, VALID, ACCURACY = "train/loss_epoch", "valid/loss", "valid/song_accuracy"


class Screen(Callback):
    """Lines of epochs that stay, and a bar at the foot of a terminal.

    A line is written as the next epoch begins: the loss of training is known only then.

    Args:
        before: stands before every bar, such as ``trial 3 of 30, ``.
        has_lines: whether epochs leave lines.
    """

    def __init__(self, before: str = "", has_lines: bool = True) -> None:
        self.before, self.has_lines = before, has_lines
        self.is_terminal = sys.stdout.isatty()
        self.best: float | None = None  # song accuracy of all epochs
        self.scores: dict[str, float] = {}  # of the validation of the last epoch, if there was one
        self.ended, self.began, self.fit_began = 0, 0.0, 0.0  # epochs of this process; seconds
        self.number = 0  # of the running epoch, from 1
        self.limits: list[Timer] = []  # of the whole training, such as fit.max_time
        self.bar: Progress | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        self.ended, self.fit_began = 0, time.monotonic()
        own = trainer.callbacks  # type: ignore[attr-defined]
        self.limits = [callback for callback in own if isinstance(callback, Timer)]
        if self.has_lines and self.is_terminal:
            say("".join(f"{title:>{width}}" for title, width in WIDTHS.items()), flush=True)

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: Any) -> None:
        self._end_epoch(trainer)
        self.number, self.began = trainer.current_epoch + 1, time.monotonic()
        self._show(trainer, self._epoch(trainer), trainer.num_training_batches)

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any) -> None:
        self._advance()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        self.ended += 1

    def on_train_end(self, trainer: lightning.Trainer, module: Any) -> None:
        self._end_epoch(trainer)
        self._stop()

    def on_validation_start(self, trainer: lightning.Trainer, module: Any) -> None:
        is_epoch = trainer.state.fn == "fit"
        part = getattr(trainer.datamodule, "evaluated", "valid")  # type: ignore[attr-defined]
        what = f"{self._epoch(trainer)}, validation" if is_epoch else f"measuring the {part} part"
        self._show(trainer, what, sum(trainer.num_val_batches))

    def on_validation_batch_end(self, trainer: lightning.Trainer, *args: Any) -> None:
        self._advance()

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        if trainer.state.fn != "fit":
            self._stop()
            return
        known = trainer.callback_metrics
        self.scores = {name: float(known[name]) for name in (VALID, ACCURACY) if name in known}
        self.best = max(self.best or 0.0, self.scores.get(ACCURACY, 0.0))

    def on_test_start(self, trainer: lightning.Trainer, module: Any) -> None:
        self._show(trainer, "measuring the test part", sum(trainer.num_test_batches))

    def on_test_batch_end(self, trainer: lightning.Trainer, *args: Any) -> None:
        self._advance()

    def on_test_end(self, trainer: lightning.Trainer, module: Any) -> None:
        self._stop()

    def on_exception(self, trainer: lightning.Trainer, *args: Any) -> None:
        self._stop()

    def _epoch(self, trainer: lightning.Trainer) -> str:
        return f"epoch {self.number}/{trainer.max_epochs}"

    def _end_epoch(self, trainer: lightning.Trainer) -> None:
        """The line of the epoch that has ended, if one has."""
        if not self.ended or not self.began:
            return
        number, every = self.number, int(trainer.max_epochs or 0)
        seconds, self.began = time.monotonic() - self.began, 0.0
        left = (time.monotonic() - self.fit_began) / self.ended * (every - number)
        for limit in self.limits:
            left = min(left, limit.time_remaining() or 0.0)
        is_last = trainer.should_stop or number == every
        scores = {TRAIN: float(trainer.callback_metrics[TRAIN]), **self.scores}
        best = {} if self.best is None else {"best": self.best}
        times = (duration(seconds), "" if is_last else duration(left))
        self.scores = {}
        if self.has_lines:
            make = _row if self.is_terminal else _sentence
            say(make(f"{number}/{every}", scores | best, times), flush=True)

    def _show(self, trainer: lightning.Trainer, what: str, total: float) -> None:
        """A bar from its start, in the place of the one before."""
        if not self.is_terminal or not trainer.is_global_zero:
            return
        self.bar = self.bar or _started()
        for task in self.bar.task_ids:
            self.bar.remove_task(task)
        self.bar.add_task(self.before + what, total=total)

    def _advance(self) -> None:
        if self.bar:
            self.bar.advance(self.bar.task_ids[0])

    def _stop(self) -> None:
        if self.bar:
            self.bar.stop()
        self.bar = None


def duration(seconds: float) -> str:
    """Such as ``4.2 s``, ``12 s``, ``3 min`` or ``2 h 5 min``."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _row(epoch: str, scores: dict[str, float], times: tuple[str, str]) -> str:
    """The line of a terminal, under the titles of ``WIDTHS``."""
    names = (TRAIN, VALID, ACCURACY, "best")
    numbers = [f"{scores[name]:.3f}" if name in scores else "" for name in names]
    cells = zip([epoch, *numbers, *times], WIDTHS.values(), strict=True)
    return "".join(f"{text:>{width}}" for text, width in cells).rstrip()


def _sentence(epoch: str, scores: dict[str, float], times: tuple[str, str]) -> str:
    """The line of a log, such as a cluster's."""
    took, left = times
    words = [*(f"{name} {value:.3f}" for name, value in scores.items()), took]
    return f"epoch {epoch}: {', '.join(words)}" + (f", {left} left" if left else "")


def _started() -> Progress:
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        transient=True,
    )  # fmt: skip
    bar.start()
    return bar
