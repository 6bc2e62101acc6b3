"""The one training loop, of every architecture."""

from dataclasses import fields
from typing import Any, cast

import lightning
import torch
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from gtzan_lightning.data.clips import Batch
from gtzan_lightning.data.protocols import PARTS
from gtzan_lightning.models.checkpoint import Contents
from gtzan_lightning.models.fine_tuning import parameter_groups
from gtzan_lightning.models.kept import Kept
from gtzan_lightning.models.layers import Trunked
from gtzan_lightning.models.part_scores import PartScores
from gtzan_lightning.results.predictions import ClipPredictions

WHOLE = (SingleDeviceStrategy, DDPStrategy)  # strategies whose processes hold all gradients


class GenreClassifier(lightning.LightningModule):
    """Picture -> logits -> loss and scores, with any network.

    A network whose settings depend on the length of the training has
    ``fit_to_epochs(batches, epochs)``: batches of an epoch, and epochs.

    Args:
        contents: the whole recipe, and what a checkpoint needs to be used alone.
        network: picture (clip, channel, bin, frame) -> logits (clip, genre).
        songs: number of songs of the corpus, whose rows batches name.
        class_weights: (genre,) weights of the loss, or None.
    """

    def __init__(
        self,
        contents: Contents,
        network: nn.Module,
        songs: int,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.contents, self.recipe = contents, contents.recipe
        # trains EfficientNet-B0 1.6 times as fast on two CPU cores (78 against 49 three-second
        # clips a second)
        self.network = convert_conv2d_weight_memory_format(network, torch.channels_last)
        smoothing = self.recipe.fit.label_smoothing
        self.loss = nn.CrossEntropyLoss(class_weights, label_smoothing=smoothing)
        genres = len(contents.genres)
        self.scores = nn.ModuleDict({f"{part}_part": PartScores(songs, genres) for part in PARTS})
        self.kept: Kept | None = None  # maps of a frozen trunk
        self.plateau: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
        self.plateau_state: dict[str, Any] | None = None

    def forward(self, picture: Tensor) -> Tensor:  # (clip, channel, bin, frame) -> (clip, genre)
        return self.network(picture.to(self.dtype))

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        logits = self._logits(batch)
        loss = self.loss(logits, batch["target"])
        if (self.global_step + 1) % self.recipe.fit.log_every_n_steps == 0:
            self.log("train/loss_step", loss, batch_size=len(logits))
        self._scores("train").add(logits, loss.detach().expand(len(logits)), batch)
        return loss

    def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
        self._evaluate("valid", batch)

    def test_step(self, batch: dict[str, Tensor], index: int) -> None:
        self._evaluate("test", batch)

    def on_fit_start(self) -> None:
        if hasattr(self.network, "fit_to_epochs"):
            fit = self.recipe.fit
            steps = self.trainer.estimated_stepping_batches / fit.max_epochs
            batches = steps * fit.accumulate_grad_batches
            cast(Any, self.network).fit_to_epochs(batches, fit.max_epochs)

    def on_train_epoch_start(self) -> None:
        # the draws of an epoch depend on seed, epoch and process alone, so that a resumed run
        # makes the same ones as an undisturbed one
        torch.manual_seed(self.recipe.seed + 1_000_003 * self.current_epoch + self.global_rank)
        self._scores("train").batches = []

    def on_train_epoch_end(self) -> None:
        loss = self._log_scores("train")
        if self.plateau:
            self.plateau.step(loss)

    def on_validation_epoch_start(self) -> None:
        self._scores("valid").batches = []

    def on_validation_epoch_end(self) -> None:
        self._log_scores("valid")

    def on_test_epoch_start(self) -> None:
        self._scores("test").batches = []

    def on_test_epoch_end(self) -> None:
        self._log_scores("test")

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Of the norm over all weights; strategies that shard them clip by themselves.

        Lightning's own refuses fused optimisers under mixed precision, also in bfloat16, which has
        no scale that they could have missed. A processor leaves out the pass that multiplies
        gradients by 1; a GPU would have to wait for the norm to know.
        """
        on_cpu = self.device.type == "cpu"
        if not gradient_clip_val or not (on_cpu or isinstance(self.trainer.strategy, WHOLE)):
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
            return
        weights = list(self.network.parameters())
        slopes = [w.grad for w in weights if w.grad is not None]
        norm = torch.nn.utils.get_total_norm(slopes, foreach=True)
        if not on_cpu or not norm <= gradient_clip_val:
            torch.nn.utils.clip_grads_with_norm_(weights, gradient_clip_val, norm, foreach=True)

    def configure_optimizers(self) -> Any:
        """The recipe's optimiser and schedule; AdamW decays no biases and no norms."""
        fit = self.recipe.fit
        groups = parameter_groups(self.network, fit)
        # one kernel for all weights: a third of the time; float16's scaler does not take it
        fused = fit.precision != "16-mixed" and self.device.type in ("cpu", "cuda")
        optimizer: torch.optim.Optimizer
        if fit.optimizer == "adamw":
            optimizer = torch.optim.AdamW(groups, fit.learning_rate, fused=fused)
        else:
            groups = [{**group, "weight_decay": 0.0} for group in groups]
            if fit.optimizer == "adam":
                optimizer = torch.optim.Adam(groups, fit.learning_rate, fused=fused)
            else:  # with Keras' defaults, not PyTorch's
                optimizer = torch.optim.RMSprop(groups, fit.learning_rate, alpha=0.9, eps=1e-7)
        steps = int(self.trainer.estimated_stepping_batches)
        if fit.schedule == "one_cycle":
            # a warm-up of exactly one step would divide by its length less one
            warm_up = fit.warm_up if fit.warm_up * steps != 1 else 0.999 * fit.warm_up
            schedule: Any = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, [group["lr"] for group in groups], steps, pct_start=warm_up
            )
        elif fit.schedule == "cosine":
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        elif fit.schedule == "plateau":
            # stepped by us: Lightning saves last.ckpt before it steps a schedule of epochs
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=fit.plateau_factor, patience=fit.plateau_patience
            )
            plateau.load_state_dict(self.plateau_state or plateau.state_dict())
            self.plateau = plateau
            return optimizer
        else:
            return optimizer
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.contents.write(checkpoint)
        if self.plateau:
            checkpoint["plateau"] = self.plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.plateau_state = checkpoint.get("plateau")

    def gathered_predictions(self, part: str) -> ClipPredictions:
        """Predictions of a part's last evaluation, of all processes."""
        rows = self._scores(part).rows()
        names = (field.name for field in fields(ClipPredictions))
        own = ClipPredictions(*(rows[name].cpu().numpy() for name in names))
        if self.trainer.world_size == 1:
            return own
        everyone: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(everyone, own)
        return ClipPredictions.joined(everyone)

    def _evaluate(self, part: str, batch: dict[str, Tensor]) -> None:
        logits = self._logits(batch)
        loss = nn.functional.cross_entropy(logits, batch["genre"], reduction="none")
        self._scores(part).add(logits, loss, batch)

    def _logits(self, batch: dict[str, Tensor]) -> Tensor:
        if self.kept is None:
            return self(batch["picture"])
        maps = torch.from_numpy(self.kept.of(cast(Batch, batch)))
        return cast(Trunked, self.network).head(maps.to(self.device))

    def _scores(self, part: str) -> PartScores:
        return cast(PartScores, self.scores[f"{part}_part"])

    def _log_scores(self, part: str) -> Tensor:
        """Log a part's epoch, of all processes; returns the mean loss."""
        scores = self._scores(part)
        loss = scores.update()
        self.log("train/loss_epoch" if part == "train" else f"{part}/loss", loss)
        # gathering waits for every process: one without a clip that was not mixed would never come
        if self.trainer.strategy.reduce_boolean_decision(scores.song.update_called):
            for name, value in scores.compute().items():
                self.log(f"{part}/{name}", value.float(), prog_bar=name == "song_accuracy")
        scores.reset()
        return loss
