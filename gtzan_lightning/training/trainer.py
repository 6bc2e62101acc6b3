"""Lightning's trainer, as a recipe asks for it."""

from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.profilers import AdvancedProfiler, PyTorchProfiler, SimpleProfiler
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.fit_settings import TrainerSettings
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.training.callbacks import WholeFiles
from gtzan_lightning.training.launch import check_launch, cluster_plugins
from gtzan_lightning.training.loggers import check_loggers
from gtzan_lightning.training.screen import Screen

PROFILERS = {"simple": SimpleProfiler, "advanced": AdvancedProfiler, "pytorch": PyTorchProfiler}


def make_trainer(
    recipe: Recipe, logger: Any, callbacks: list[Callback], folder: Path | None = None
) -> lightning.Trainer:
    """Lightning's trainer; only one with a folder, where its profile goes, trains."""
    own = {name: getattr(recipe.fit, name) for name in TrainerSettings.model_fields}
    own = {name: value for name, value in own.items() if value is not None}
    profiler = own.pop("profiler", None)
    if profiler and folder:
        own["profiler"] = PROFILERS[profiler](dirpath=folder, filename="profile")
    screen = [] if any(isinstance(c, Screen) for c in callbacks) else [Screen()]
    own["deterministic"] = {"true": True, "false": False}.get(own["deterministic"], "warn")
    return lightning.Trainer(
        **own,
        logger=logger,
        callbacks=[*callbacks, *screen],
        enable_progress_bar=False,  # Lightning's own
        plugins=[WholeFiles(), *cluster_plugins()],
        enable_model_summary=False,
        enable_checkpointing=bool(logger),
        use_distributed_sampler=False,  # TrainBatches and the grid share clips out themselves
        num_sanity_val_steps=0,
    )


def checked_trainer(recipe: Recipe) -> lightning.Trainer:
    """A trainer made early, to say what can't work before songs are decoded and a run is opened.

    Raises:
        UserError: Lightning refuses the settings, or the run could not be recorded.
        ModuleNotFoundError: a library of ``track.also`` is missing, which an extra brings.
    """
    try:
        trainer = make_trainer(recipe, False, [])
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"Lightning refuses fit.*: {' '.join(str(error).split())}") from None
    check_loggers(recipe.track)
    check_launch(trainer, recipe.fit.strategy, recipe.fit.num_nodes)
    return trainer
