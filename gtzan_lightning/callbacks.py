"""What Lightning's trainer calls back during a run, beyond its own callbacks."""

from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, WeightAveraging
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

say = rank_zero_only(print)


class EpochLines(Callback):
    """A line an epoch where there is no terminal to draw a bar on, such as a cluster's log."""

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        if trainer.state.fn == "fit":
            names = ("valid/loss", "valid/song_accuracy")
            figures = ", ".join(f"{name} {trainer.callback_metrics[name]:.3f}" for name in names)
            say(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: {figures}", flush=True)


class AveragedWeights(WeightAveraging):
    """Validates and keeps an exponential moving average of the weights (and batch statistics).

    The average looks back ``epochs`` epochs, whatever their number of steps; a plain mean of all
    weights so far serves until there are as many (Polyak and Juditsky, 1992).

    The average stays in the module from the validation to the end of the epoch, so that the best
    checkpoint, saved in between, is the model that was validated: Lightning's own callback gives
    a checkpoint of weights alone the last weights instead.
    """

    def __init__(self, epochs: float) -> None:
        super().__init__(avg_fn=self._blend)
        self.epochs = epochs
        self.least = 0.0
        self.swapped = False

    def on_fit_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        steps = trainer.estimated_stepping_batches / trainer.max_epochs
        self.least = 1 / max(1.0, self.epochs * steps)

    def on_validation_epoch_start(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
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

    def _blend(self, average: Tensor, now: Tensor, blended: Tensor) -> Tensor:
        if not now.is_floating_point():  # such as a batch norm's count of batches
            return now
        return average.lerp(now, max(1 / (int(blended) + 1), self.least))
