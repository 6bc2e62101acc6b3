"""The one training loop: every architecture is a GenreClassifier with its own network."""

from dataclasses import fields
from typing import Any, ClassVar

import lightning
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassF1Score,
    MulticlassStatScores,
)

from gtzan_lightning.data.protocols import PARTS
from gtzan_lightning.errors import Untrainable
from gtzan_lightning.models.checkpoint import CHECKPOINT, CHECKPOINT_FORMAT
from gtzan_lightning.models.song_votes import SongVotes, macro
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.recipe.section import ModelSettings, Shape
from gtzan_lightning.results.predictions import ClipPredictions
from gtzan_lightning.version import __version__


def build_network(
    cls: type[nn.Module], settings: ModelSettings, genres: int, shape: Shape
) -> nn.Module:
    """A network that is known to hold pictures of that shape (channel, bin, frame).

    Raises:
        Untrainable: it cannot hold them, or its weights can't be had.
    """
    try:
        network = cls(settings, genres, shape).eval()
        with torch.no_grad():
            network(torch.zeros(2, *shape))
    except RuntimeError as error:
        raise Untrainable(
            f"--model {settings.name} can't hold pictures of {shape[1]} bins x {shape[2]} frames "
            f"({' '.join(str(error).split())[:100]}): take longer clips (--data.clip_seconds), "
            "more --data.bins, or resize them with --data.picture_size"
        ) from None
    return network.train()


class GenreClassifier(lightning.LightningModule):
    """Picture -> logits -> loss and metrics; a subclass says which network it trains.

    Args:
        recipe: the whole recipe.
        about: what a checkpoint needs to be used alone, as plain values: ``genres`` (label
            order), ``picture`` (PictureSpec), ``shape`` (of one picture), corpus and split
            fingerprints.
        songs: number of songs of the corpus, whose rows batches name.
        class_weights: (genre,) weights of the loss, or None.
    """

    network_class: ClassVar[type[nn.Module]]

    def __init__(
        self,
        recipe: Recipe,
        about: dict[str, Any],
        songs: int,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.recipe, self.about = recipe, about
        genres = len(about["genres"])
        # channels_last trains EfficientNet-B0 1.6 times as fast on two CPU cores (78 against 49
        # three-second clips a second)
        network = build_network(self.network_class, recipe.model, genres, about["shape"])
        self.network = network.to(memory_format=torch.channels_last)
        self.loss = nn.CrossEntropyLoss(class_weights, label_smoothing=recipe.fit.label_smoothing)
        clip = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(genres, average="micro"),
                "f1": MulticlassF1Score(genres, average=None),
                "auroc": MulticlassAUROC(genres, average=None),
                "counts": MulticlassStatScores(genres, average=None),
            }
        )
        self.clip_metrics = nn.ModuleDict({f"{p}_part": clip.clone() for p in PARTS})
        self.votes = nn.ModuleDict({f"{p}_part": SongVotes(songs, genres) for p in PARTS})
        # not Lightning's sync_dist: a progress bar, which the first process alone has, reads a
        # figure before the others get there, and all wait for ever
        self.losses = nn.ModuleDict({f"{p}_part": MeanMetric() for p in PARTS})
        self.plateau: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
        self.plateau_state: dict[str, Any] | None = None
        # clips of the epoch, measured at its end: a figure a step would stop a GPU to read it
        self.clips: dict[str, list[dict[str, Tensor]]] = {part: [] for part in PARTS}

    def forward(self, picture: Tensor) -> Tensor:  # (clip, channel, bin, frame) -> (clip, genre)
        return self.network(picture.to(self.dtype))

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        logits = self(batch["picture"])
        loss = self.loss(logits, batch["target"])
        if (self.global_step + 1) % self.trainer.log_every_n_steps == 0:
            self.log("train/loss_step", loss, batch_size=len(logits))
        self._keep("train", logits, loss.detach().expand(len(logits)), batch)
        return loss

    def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
        self._evaluate("valid", batch)

    def test_step(self, batch: dict[str, Tensor], index: int) -> None:
        self._evaluate("test", batch)

    def on_train_epoch_start(self) -> None:
        # the draws of an epoch depend on seed, epoch and process alone, so that a resumed run
        # goes on as the undisturbed one would have
        torch.manual_seed(self.recipe.seed + 1_000_003 * self.current_epoch + self.global_rank)
        self.clips["train"] = []

    def on_train_epoch_end(self) -> None:
        loss = self._log_figures("train")
        if self.plateau:
            self.plateau.step(loss)

    def on_validation_epoch_start(self) -> None:
        self.clips["valid"] = []

    def on_validation_epoch_end(self) -> None:
        self._log_figures("valid")

    def on_test_epoch_start(self) -> None:
        self.clips["test"] = []

    def on_test_epoch_end(self) -> None:
        self._log_figures("test")

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Lightning's; a processor leaves out the pass that multiplies gradients by 1.

        A GPU would have to wait for the norm to know.
        """
        if not gradient_clip_val or self.device.type != "cpu":
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
            return
        trained = [p for p in self.network.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in trained], foreach=True)
        if not norm <= gradient_clip_val:
            torch.nn.utils.clip_grads_with_norm_(trained, gradient_clip_val, norm, foreach=True)

    def configure_optimizers(self) -> Any:
        fit = self.recipe.fit
        decayed = [p for p in self.network.parameters() if p.requires_grad and p.ndim > 1]
        others = [p for p in self.network.parameters() if p.requires_grad and p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": fit.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        # one kernel for all weights: a third of the time; float16's scaler does not take it
        fused = fit.precision != "16-mixed" and self.device.type in ("cpu", "cuda")
        optimizer: torch.optim.Optimizer
        if fit.optimizer == "adam":
            optimizer = torch.optim.Adam(decayed + others, fit.learning_rate, fused=fused)
        elif fit.optimizer == "rmsprop":  # with Keras' defaults, not PyTorch's
            optimizer = torch.optim.RMSprop(
                decayed + others, fit.learning_rate, alpha=0.9, eps=1e-7
            )
        else:
            optimizer = torch.optim.AdamW(groups, fit.learning_rate, fused=fused)
        steps = int(self.trainer.estimated_stepping_batches)
        if fit.schedule == "one_cycle":
            schedule: Any = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, fit.learning_rate, total_steps=steps, pct_start=fit.warm_up
            )
        elif fit.schedule == "cosine":
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        elif fit.schedule == "plateau":
            # stepped by us: Lightning saves last.ckpt before it steps a schedule of epochs
            self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=0.5, patience=3
            )
            self.plateau.load_state_dict(self.plateau_state or self.plateau.state_dict())
            return optimizer
        else:
            return optimizer
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[CHECKPOINT] = {
            "format": CHECKPOINT_FORMAT,
            "version": __version__,
            "recipe": self.recipe.model_dump(mode="json"),
            **self.about,
        }
        if self.plateau:
            checkpoint["plateau"] = self.plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.plateau_state = checkpoint.get("plateau")

    def gathered_predictions(self, part: str) -> ClipPredictions:
        """Predictions of a part's last evaluation, of all processes."""
        columns = self._columns(part)
        names = (field.name for field in fields(ClipPredictions))
        own = ClipPredictions(*(columns[name].cpu().numpy() for name in names))
        if self.trainer.world_size == 1:
            return own
        everyone: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(everyone, own)
        return ClipPredictions.joined(everyone)

    def _evaluate(self, part: str, batch: dict[str, Tensor]) -> None:
        logits = self(batch["picture"])
        loss = nn.functional.cross_entropy(logits, batch["genre"], reduction="none")
        self._keep(part, logits, loss, batch)

    def _keep(self, part: str, logits: Tensor, loss: Tensor, batch: dict[str, Tensor]) -> None:
        named = {name: batch[name] for name in ("song", "start", "genre")}
        # a blend of two songs has no one genre: figures are of the clips that were not mixed
        pure = batch["target"].amax(1) == 1
        log_probs = logits.detach().float().log_softmax(1)
        self.clips[part].append({**named, "log_probs": log_probs, "loss": loss, "pure": pure})

    def _columns(self, part: str) -> dict[str, Tensor]:
        batches = self.clips[part]
        return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}

    def _log_figures(self, part: str) -> Tensor:
        """Into the records, of all processes; returns the mean loss."""
        clip, song = self.clip_metrics[f"{part}_part"], self.votes[f"{part}_part"]
        rows = self._columns(part)
        self.losses[f"{part}_part"].update(rows["loss"].mean(), len(rows["loss"]))
        loss = self.losses[f"{part}_part"].compute()
        self.log("train/loss_epoch" if part == "train" else f"{part}/loss", loss)
        self.losses[f"{part}_part"].reset()
        if rows["pure"].any():
            log_probs, number, genre = (
                rows[name][rows["pure"]] for name in ("log_probs", "song", "genre")
            )
            clip.update(log_probs.exp(), genre)
            song.update(log_probs, number, genre)
        # gathering waits for every process: one without a clip that was not mixed would never come
        if self.trainer.strategy.reduce_boolean_decision(song.update_called):
            clips = clip.compute()
            found = {"clip": macro(clips, clips["counts"][:, -1]), "song": song.compute()}
            for level, figures in found.items():
                for name, value in figures.items():
                    bar = name == "accuracy" and level == "song"
                    self.log(f"{part}/{level}_{name}", value.float(), prog_bar=bar)
        clip.reset()
        song.reset()
        return loss
