"""What Lightning's trainer calls back during a run."""

import math
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    ModelCheckpoint,
    WeightAveraging,
)
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from gtzan_lightning.models.tensors import write_tensors
from gtzan_lightning.recipe.fit_settings import LAST
from gtzan_lightning.recipe.recipes import Recipe

LEARNING_RATE = "watch/learning_rate"  # MLflow's page sorts names: below final, train and valid
TAKEN = 25  # steps of an epoch whose weights are averaged
say = rank_zero_only(print)


def run_callbacks(recipe: Recipe, folder: str | Path) -> list[Callback]:
    """What a recipe asks of any trainer: ``best.ckpt``, ``last.ckpt``, averaging, stopping.

    The best checkpoint is the one with the best ``fit.monitor`` on the validation part, or that
    of the last validation where this is ``last``.

    Args:
        folder: where the checkpoints go.
    """
    fit = recipe.fit
    mode = "max" if fit.monitor == "valid/song_accuracy" else "min"
    score = None if fit.monitor == LAST else fit.monitor
    best = Checkpoint(
        dirpath=folder, filename="best", monitor=score, mode=mode, save_weights_only=True,
        enable_version_counter=False, save_on_train_epoch_end=False,
    )  # fmt: skip
    best.lenience = min(fit.min_delta, 0.0) if fit.patience else 0.0
    callbacks: list[Callback] = [best]
    if fit.resumable:
        last = Checkpoint(
            dirpath=folder, filename="last", monitor=None, enable_version_counter=False,
            save_on_train_epoch_end=True,
        )  # fmt: skip
        callbacks.append(last)
    if fit.average_epochs:
        callbacks.append(AveragedWeights(fit.average_epochs))
    if fit.patience:
        callbacks.append(EarlyStopping(fit.monitor, fit.min_delta, fit.patience, mode=mode))
    return callbacks


class WholeFiles(TorchCheckpointIO):
    """Checkpoints that are there whole or not at all, on any file system.

    Lightning writes them to the system's temporary folder and moves them, which is a copy where
    the run's folder is on another file system.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        write_tensors(Path(path), checkpoint)


class Checkpoint(ModelCheckpoint):
    """Resumes in a folder that was moved since: Lightning's would forget the best score.

    Attributes:
        lenience: not above 0: a score that is worse by less than this replaces the best one.
    """

    lenience = 0.0

    @property
    def state_key(self) -> str:
        """Another for each file: two may keep the newest weights, and Lightning's would be one."""
        return f"{super().state_key} {self.filename}"

    def check_monitor_top_k(
        self, trainer: lightning.Trainer, current: Tensor | None = None
    ) -> bool:
        if current is not None:
            current = current + (self.lenience if self.mode == "min" else -self.lenience)
        return super().check_monitor_top_k(trainer, current)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def here(path: str) -> str:
            return str(Path(self.dirpath or "") / Path(path).name) if path else path

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        moved = {name: here(state_dict[name]) for name in paths if name in state_dict}
        scores = {here(path): score for path, score in state_dict.get("best_k_models", {}).items()}
        super().load_state_dict(
            {**state_dict, **moved, "best_k_models": scores, "dirpath": self.dirpath}
        )


class AveragedWeights(WeightAveraging):
    """Validates and keeps an exponential moving average of the weights (and batch statistics).

    The average looks back ``epochs`` epochs, whatever their number of steps; a plain mean of all
    weights so far serves until there are as many (Polyak and Juditsky, 1992). The weights of at
    most ``TAKEN`` steps an epoch are taken: neighbours are alike, and each costs a pass over them.

    The average stays in the module from the validation to the end of the epoch, so that the best
    checkpoint, saved in between, is the model that was validated: Lightning's own callback gives
    a checkpoint of weights alone the last weights instead.
    """

    def __init__(self, epochs: float) -> None:
        super().__init__(multi_avg_fn=self._blend)
        self.epochs = epochs
        self.every = 1
        self.least = 0.0
        self.swapped = False

    def on_fit_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        steps = trainer.estimated_stepping_batches / (trainer.max_epochs or 1)
        self.every = math.ceil(steps / TAKEN)
        self.least = 1 / max(1.0, self.epochs * steps / self.every)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return step_idx is not None and (step_idx + 1) % self.every == 0

    def on_validation_epoch_start(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return  # no training epoch follows that would swap back
        super().on_validation_epoch_start(trainer, module)
        self.swapped = True

    def on_validation_epoch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        """Not yet: see the class."""

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        super().on_train_epoch_end(trainer, module)
        if self.swapped:
            self._swap_models(module)
            self.swapped = False

    def _blend(self, average: list[Tensor], now: list[Tensor], blended: Tensor) -> None:
        if now[0].is_floating_point():
            torch._foreach_lerp_(average, now, max(1 / (int(blended) + 1), self.least))
        else:  # such as a batch norm's count of batches
            torch._foreach_copy_(average, now)


class LearningRate(Callback):
    """The head's learning rate, the largest of the network's, as the metric ``LEARNING_RATE``.

    Args:
        every: steps from one record to the next.
    """

    def __init__(self, every: int) -> None:
        self.every = every

    def on_train_batch_start(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, batch: Any, index: int
    ) -> None:
        if (trainer.global_step + 1) % self.every == 0:
            groups = (group for optimizer in trainer.optimizers for group in optimizer.param_groups)
            module.log(LEARNING_RATE, max(group["lr"] for group in groups))
