"""Loggers of Lightning beside the run's own: TensorBoard, Weights & Biases.

Neither library is imported unless ``track.also`` names it.
"""

import contextlib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from gtzan_lightning.errors import UserError, in_a_line
from gtzan_lightning.recipe.identity import flat
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.recipe.settings import TrackSettings


def check_loggers(track: TrackSettings) -> None:
    """Raises ModuleNotFoundError where a library is missing that an extra brings."""
    for library in track.also:
        import_module(library)


@contextlib.contextmanager
def more_loggers(recipe: Recipe, name: str, folder: Path) -> Iterator[list[Logger]]:
    """The loggers that a recipe names; they have its settings, and are closed after the block.

    Args:
        name: of the run.
        folder: of the run; its name is the run's id.

    Raises:
        UserError: Weights & Biases refuses to start.
    """
    loggers = [LOGGERS[library](recipe, name, folder) for library in recipe.track.also]
    with contextlib.ExitStack() as closing:
        for logger in loggers:
            if isinstance(logger, WandbLogger):
                closing.push(_started(logger))
            logger.log_hyperparams(flat(recipe))
        yield loggers


def _tensorboard(recipe: Recipe, name: str, folder: Path) -> Logger:
    return TensorBoardLogger(folder, name="", version="tensorboard", default_hp_metric=False)


def _wandb(recipe: Recipe, name: str, folder: Path) -> Logger:
    return WandbLogger(name, folder, version=folder.name, project=recipe.track.experiment)


def _started(logger: WandbLogger) -> Callable[..., None]:
    """Start a run of Weights & Biases; returns what ends it, with the status of a block."""
    try:
        run = logger.experiment
    except Exception as error:  # of whatever kind the library has
        raise UserError(
            f"track.also wandb: it does not start ({in_a_line(error)}): try wandb login, or "
            "WANDB_MODE=offline"
        ) from None
    return lambda kind, *error: run.finish(exit_code=int(kind is not None))


LOGGERS: dict[str, Callable[[Recipe, str, Path], Logger]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
}
