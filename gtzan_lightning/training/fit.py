"""The training itself: Lightning's trainer, from the first or last checkpoint to the last epoch."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger

from gtzan_lightning.data.module import GenreData
from gtzan_lightning.errors import UserError, in_a_line
from gtzan_lightning.models.checkpoint import check_resumable
from gtzan_lightning.models.classifier import GenreClassifier
from gtzan_lightning.tracking.run_folder import stopwatch
from gtzan_lightning.training.callbacks import LearningRate, run_callbacks
from gtzan_lightning.training.finite import FiniteLoss
from gtzan_lightning.training.frozen import KeptMaps
from gtzan_lightning.training.trainer import make_trainer


def fit(
    data: GenreData,
    model: GenreClassifier,
    loggers: Sequence[Logger],
    folder: Path,
    more_callbacks: Sequence[Callback],
) -> float:
    """Train; returns the minutes that this took, interrupted starts included."""
    recipe = data.recipe
    callbacks = [FiniteLoss(folder), *run_callbacks(recipe, folder), *more_callbacks]
    callbacks.append(LearningRate(recipe.fit.log_every_n_steps))
    if recipe.fit.trunk == "frozen":
        callbacks.append(KeptMaps())
    trainer = make_trainer(recipe, loggers, callbacks, folder)
    last = folder / "last.ckpt" if (folder / "last.ckpt").exists() else None
    trained = folder / "trained"  # a run that stopped early would else train on when resumed
    if last:
        check_resumable(last, model.contents)
    if recipe.fit.compile:
        model.network.compile()
    with stopwatch(folder, trainer.is_global_zero) as minutes, _compiler_named(recipe.fit.compile):
        if not trained.exists():
            trainer.fit(model, datamodule=data, ckpt_path=last, weights_only=True)
            trained.touch()
    return minutes()


@contextlib.contextmanager
def _compiler_named(compiled: bool) -> Iterator[None]:
    """torch.compile that can't, such as without a C++ compiler, becomes one line."""
    try:
        yield
    except Exception as error:
        if not compiled or not type(error).__module__.startswith(("torch._dynamo", "torch._ind")):
            raise
        raise UserError(
            f"fit.compile: torch.compile can't ({in_a_line(error)}): leave it out"
        ) from None
