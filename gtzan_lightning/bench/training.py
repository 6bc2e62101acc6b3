"""Our whole training step against the bare network's, in one run of the trainer."""

import contextlib
import io
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from gtzan_lightning.bench.rows import Pair, Results, Target, compared
from gtzan_lightning.data.packing import prepare
from gtzan_lightning.models import build_network
from gtzan_lightning.models.classifier import GenreClassifier
from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.recipe.settings import DataSettings
from gtzan_lightning.training.train import train

RATE = Target(0.95, least=True)
NETWORKS = {
    "EfficientNet-B0": ["--model", "efficientnet"],
    "ResNet-18": ["--model", "resnet", "--model.depth", "18"],
}


class _Enough(Exception):
    """Ends a training that was timed often enough."""


class SideBySide(Callback):
    """Blocks of the trainer's steps in turn with as many bare steps of a network of its own.

    Our block is everything between the ends of two steps: loader, transfer, features,
    augmentation, network, gradient clipping, optimiser, averaging, metrics and logging. ``pairs``
    holds the seconds of each turn of ``steps`` steps, after one untimed turn.

    Raises:
        _Enough: in the trainer, after ``repeats`` turns.
    """

    def __init__(self, block: int, steps: int, repeats: int) -> None:
        self.block, self.steps, self.repeats = block, steps, repeats
        self.pairs: list[Pair] = []
        self.ours = self.others = 0.0
        self.done, self.since = -1, 0.0
        self.bare: Callable[[], None]

    def on_train_batch_start(
        self, trainer: lightning.Trainer, module: Any, batch: dict[str, Any], index: int
    ) -> None:
        if self.done < 0:
            self.bare = bare_step(trainer, module, batch["picture"], batch["target"])
            self.done, self.since = 0, time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        self.done += 1
        if self.done % self.block:
            return
        _settle(module.device)
        middle = time.perf_counter()
        for _ in range(self.block):
            self.bare()
        _settle(module.device)
        end = time.perf_counter()
        self.ours += middle - self.since
        self.others += end - middle
        if self.done % self.steps == 0:
            self.pairs.append((self.ours, self.others))
            self.ours = self.others = 0.0
        if len(self.pairs) > self.repeats:
            del self.pairs[0]
            raise _Enough
        self.since = time.perf_counter()


def bare_step(
    trainer: lightning.Trainer, module: GenreClassifier, picture: torch.Tensor, target: torch.Tensor
) -> Callable[[], None]:
    """Forward, loss, backward and optimiser step of a second network of the same recipe.

    Memory format, precision and optimiser are the trainer's; the pictures are ready on the device.
    """
    contents = module.contents
    network = build_network(module.recipe.model, len(contents.genres), contents.shape)
    bare = GenreClassifier(contents, network, songs=1).to(module.device)
    bare.trainer = trainer
    configured = bare.configure_optimizers()
    optimizer = configured[0][0] if isinstance(configured, tuple) else configured
    picture, target = picture.clone(), target.clone()

    def step() -> None:
        optimizer.zero_grad()
        with trainer.precision_plugin.forward_context():
            loss = bare.loss(bare.network(picture), target)
        loss.backward()
        optimizer.step()

    return step


def training(results: Results, data: DataSettings, repeats: int, scratch: Path) -> None:
    """Three-second clips of the packed waveforms, with each recipe's batch and augmentation."""
    # a turn holds one record of the loss: every 50 steps as a run has it, every 10 more often
    steps = 50 if torch.cuda.is_available() else 10
    songs = len(prepare(data).songs)
    for name, flags in NETWORKS.items():
        recipe = _recipe(flags, data, steps, repeats, songs, scratch)
        pairs = side_by_side(recipe, steps, repeats)
        key, batch = f"training/{flags[1]}", recipe.fit.batch_size
        what = f"training step, {name}, batches of {batch}"
        results.add(compared(key, what, "bare network", pairs, steps * batch, RATE))


def side_by_side(recipe: Recipe, steps: int, repeats: int) -> list[Pair]:
    """Seconds of our steps and of the bare ones, turn by turn, in a run of ``run.py``'s kind."""
    # a GPU works ahead of the program, which sides that change at every step would stop; on a
    # processor they do, so that whatever else runs there falls on both
    clock = SideBySide(steps if torch.cuda.is_available() else 1, steps, repeats)
    with contextlib.suppress(_Enough), contextlib.redirect_stdout(io.StringIO()):
        train(recipe, more_callbacks=[clock])
    return clock.pairs


def _recipe(
    flags: list[str], data: DataSettings, steps: int, repeats: int, songs: int, scratch: Path
) -> Recipe:
    """The model's own recipe, with an epoch that is long enough for all blocks."""
    batch = parse_run(flags)[0].fit.batch_size
    clips = math.ceil(4 * (repeats + 1) * steps * batch / songs)
    folders = ["--data.root", data.root, "--data.packed", data.packed]
    more = (
        f"--data.clip_seconds 3 --data.clips_per_song {clips} --fit.max_epochs 1 "
        f"--fit.log_every_n_steps {steps} --track.uri local"
    ).split()
    return parse_run([*flags, *folders, *more, "--track.folder", str(scratch)])[0]


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
