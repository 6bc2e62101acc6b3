"""A loss, weight or prediction that is no number ends a run: it never looks like a result."""

import math
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from gtzan_lightning.errors import NoNumber

ADVICE = "train anew with a smaller fit.learning_rate, or fit.precision 32-true"
SHOWN = 5  # songs that a message names
STEPS = 50  # between two looks where a look makes a GPU wait
READS_EACH = ("cpu",)  # devices on which every loss is read at once


class FiniteLoss(Callback):
    """Stops the training where a loss is NaN or infinite, and names the step and its songs.

    On a processor at that step; on a GPU at most ``STEPS`` later, before anything is validated.
    Weights are looked at before each validation and at the end of each epoch, so that no
    checkpoint has what the last step may have broken.

    Args:
        folder: of the run, with the checkpoints of the epochs before.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unread: list[tuple[Tensor, Tensor, str]] = []  # loss, songs' rows, which step
        self.last: tuple[Tensor, str] | None = None  # songs' rows of the last step, and which

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        which = f"epoch {trainer.current_epoch + 1}, step {index + 1}, learning rate {rate:.2g}"
        loss = outputs["loss"].detach()
        self.unread.append((loss, batch["song"], which))
        self.last = batch["song"], which
        if loss.device.type in READS_EACH or len(self.unread) == STEPS:
            self._read(trainer)

    def on_validation_start(self, trainer: lightning.Trainer, module: Any) -> None:
        self._read(trainer)
        self._look_at_weights(trainer, module)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        self._read(trainer)
        self._look_at_weights(trainer, module)

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        loss = float(trainer.callback_metrics["valid/loss"])
        if trainer.state.fn == "fit" and not math.isfinite(loss):
            what = f"epoch {trainer.current_epoch + 1}: the loss of the valid part"
            raise NoNumber(f"{what} is {loss}; {self._advice()}")

    def _read(self, trainer: lightning.Trainer) -> None:
        if not self.unread:
            return
        losses = torch.stack([loss for loss, _, _ in self.unread]).cpu()
        bad = (~losses.isfinite()).nonzero()
        if len(bad):
            first = int(bad[0])
            _, rows, which = self.unread[first]
            raise NoNumber(
                f"{which}: the loss is {float(losses[first])} ({_songs(trainer, rows)}); "
                f"{self._advice()}"
            )
        self.unread.clear()

    def _look_at_weights(self, trainer: lightning.Trainer, module: Any) -> None:
        """A step may break the weights whose loss was a number, such as the last one."""
        if self.last is None or trainer.state.fn != "fit":
            return
        network = module.network
        named = dict([*network.named_parameters(), *network.named_buffers()])
        state = {n: t.detach() for n, t in named.items() if t.is_floating_point() and t.numel()}
        peaks = torch.stack([tensor.abs().max().float() for tensor in state.values()]).cpu()
        for name, peak in zip(state, peaks.tolist(), strict=True):
            if not math.isfinite(peak):
                rows, which = self.last
                raise NoNumber(
                    f"{which}: the step makes {name} no number ({_songs(trainer, rows)}); "
                    f"{self._advice()}"
                )

    def _advice(self) -> str:
        best, last = self.folder / "best.ckpt", self.folder / "last.ckpt"
        kept = f"the best epoch before is kept in {best}; " if best.exists() else ""
        again = f"; where it was chance, --resume {self.folder.name} goes on from {last.name}"
        return kept + ADVICE + again * last.exists()


def _songs(trainer: lightning.Trainer, rows: Tensor) -> str:
    """Such as ``songs blues.00001, pop.00007 and 14 more``."""
    ids = trainer.datamodule.corpus.ids  # type: ignore[attr-defined]
    songs = list(dict.fromkeys(ids[row] for row in rows.tolist()))
    more = f" and {len(songs) - SHOWN} more" if len(songs) > SHOWN else ""
    return f"songs {', '.join(songs[:SHOWN])}{more}"
