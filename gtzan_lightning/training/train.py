"""The main job: a recipe becomes a trained, tested and recorded model."""

import contextlib
import errno
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    RichProgressBar,
)
from lightning.pytorch.profilers import AdvancedProfiler, PyTorchProfiler, SimpleProfiler
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from gtzan_lightning.data.module import GenreData
from gtzan_lightning.errors import UserError
from gtzan_lightning.models import CLASSICAL, model_class
from gtzan_lightning.models.checkpoint import read_checkpoint
from gtzan_lightning.models.classifier import GenreClassifier
from gtzan_lightning.recipe.command_line import LAST
from gtzan_lightning.recipe.settings import Recipe, TrainerSettings
from gtzan_lightning.tracking.lightning_logger import RunLogger
from gtzan_lightning.tracking.reading import check_output
from gtzan_lightning.tracking.run_folder import folder_of, keep_recipe, stopwatch, unfinished
from gtzan_lightning.tracking.sender import LoggedModel
from gtzan_lightning.tracking.tracker import Tracker
from gtzan_lightning.training.callbacks import (
    AveragedWeights,
    Checkpoint,
    EpochLines,
    WholeFiles,
    say,
)
from gtzan_lightning.training.hardware import keep_freed_memory, launcher
from gtzan_lightning.training.report import (
    describe,
    file_name,
    membership_mark,
    remarks,
    report,
    run_name,
    tags,
    write_predictions,
)

PROFILERS = {"simple": SimpleProfiler, "advanced": AdvancedProfiler, "pytorch": PyTorchProfiler}
SHARED_RUN = "GTZAN_LIGHTNING_RUN_ID"  # environment variable: the run of all processes


@dataclass(frozen=True)
class Outcome:
    """What a run left behind: its MLflow id, its folder and its final figures."""

    run_id: str
    folder: Path
    figures: dict[str, float]


def train(
    recipe: Recipe,
    resume: str | None = None,
    more_tags: dict[str, str] | None = None,
    more_callbacks: Sequence[Callback] = (),
) -> Outcome:
    """Prepare the songs, train, test the best checkpoint, record everything.

    Args:
        resume: id of an interrupted run of the same recipe, to go on with; or ``LAST``: the newest
            one that nobody makes just now, or else a new run.
        more_tags: of the MLflow run.
        more_callbacks: of Lightning's trainer, such as a sweep's pruning.

    Raises:
        UserError: bad input; nothing is recorded then.
        SystemExit: Ctrl-C; the run is closed as killed, with its best checkpoint.
    """
    _quieten()
    keep_freed_memory()
    torch.set_float32_matmul_precision(recipe.fit.matmul_precision)
    trainer = _refuse_early(recipe)
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    data = GenreData(recipe)
    data.setup()
    for line in remarks(recipe, data):
        say(line)
    model = None if recipe.model.name in CLASSICAL else make_model(recipe, data)
    tracker = Tracker(recipe.track)
    run_id = _open_run(tracker, recipe, data, resume, more_tags or {})
    folder = folder_of(recipe.track, _told_to_all(trainer, run_id))
    with tracker.recording(), _closing(tracker, folder):
        describe(tracker, recipe, data, folder)
        figures: dict[str, float] = {}
        if model is None:
            from gtzan_lightning.models.baselines import fit_and_predict

            rows, minutes = fit_and_predict(recipe, data)
        else:
            minutes = _fit(recipe, data, model, tracker, folder, more_callbacks)
            rows = _predict(recipe, data, model, folder)
            figures["parameters"] = sum(p.numel() for p in model.network.parameters())
        if rank_zero_only.rank != 0:
            return Outcome(folder.name, folder, {})
        predictions = write_predictions(rows, data, folder)
        found = report(tracker, predictions, data)
        tracker.log_metrics({"minutes": minutes, **figures, **found})
        tracker.log_file(folder / file_name("predictions.csv", data))
        if model is not None:
            best, code = folder / "best.ckpt", "gtzan_lightning.inference.pyfunc"
            tracker.log_file(best, "checkpoints")
            if recipe.track.log_model:
                logged = LoggedModel(code, best, data.corpus.genres, data.spec.sample_rate)
                tracker.log_model(logged)
    (folder / "done").touch()
    (folder / "last.ckpt").unlink(missing_ok=True)
    return Outcome(folder.name, folder, found)


def _refuse_early(recipe: Recipe) -> lightning.Trainer:
    """Say what can't work before songs are decoded and a run is opened."""
    check_output(recipe.track)
    try:
        trainer = _trainer(recipe, False, [])
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"Lightning refuses --fit.*: {' '.join(str(error).split())}") from None
    if not isinstance(trainer.strategy.launcher, _SubprocessScriptLauncher | None):
        raise UserError(f"--fit.strategy {recipe.fit.strategy} can't be recorded: take ddp")
    cluster = getattr(trainer.strategy, "cluster_environment", None)
    if recipe.fit.num_nodes > 1 and isinstance(cluster, LightningEnvironment):
        raise UserError(
            "--fit.num_nodes above 1 needs torchrun or SLURM to start the processes: see "
            "experiments/slurm/train.sh"
        )
    return trainer


@rank_zero_only
def _open_run(
    tracker: Tracker, recipe: Recipe, data: GenreData, resume: str | None, more_tags: dict[str, str]
) -> str:
    """The new or resumed run's id; the processes that Lightning starts from this one get it too."""
    if resume == LAST:
        resume = unfinished(recipe)
    if resume:
        _check_same_songs(folder_of(recipe.track, resume), data)
        tracker.resume(resume)
    else:
        tracker.start(run_name(recipe, data), {**tags(recipe, data), **more_tags})
    keep_recipe(tracker.folder, recipe)
    os.environ[SHARED_RUN] = tracker.run_id
    say(f"run {tracker.run_id}{' goes on' if resume else ''}; checkpoints in {tracker.folder}")
    return tracker.run_id


def _told_to_all(trainer: lightning.Trainer, run_id: str | None) -> str:
    """The first process's run, in every process.

    Those that torchrun or SLURM start meet here, earlier than Lightning lets them; those that
    Lightning starts later find it in their environment.
    """
    cluster = getattr(trainer.strategy, "cluster_environment", None)
    if run_id is None and isinstance(cluster, LightningEnvironment):
        return os.environ[SHARED_RUN]
    if cluster is not None and cluster.creates_processes_externally and trainer.world_size > 1:
        trainer.strategy.setup_environment()
        run_id = trainer.strategy.broadcast(run_id)
    return run_id


@contextlib.contextmanager
def _closing(tracker: Tracker, folder: Path) -> Iterator[None]:
    """An interrupted run keeps its best checkpoint and says how to go on."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):  # Lightning makes the second of the first
        tracker.log_file(folder / "best.ckpt", "checkpoints")
        say(f"interrupted; go on with --resume {folder.name}")
        raise SystemExit(1) from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise UserError(
            f"no space left while run {folder.name} was written: make room, then go on with "
            f"--resume {folder.name}"
        ) from None


@contextlib.contextmanager
def _compiler_named(compiled: bool) -> Iterator[None]:
    """torch.compile that can't, such as without a C++ compiler, becomes one line."""
    try:
        yield
    except Exception as error:
        if not compiled or not type(error).__module__.startswith(("torch._dynamo", "torch._ind")):
            raise
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"--fit.compile: torch.compile can't ({reason}): leave it out") from None


def make_model(recipe: Recipe, data: GenreData) -> GenreClassifier:
    """The untrained model of a recipe for the songs of ``data``."""
    about = {
        "genres": data.corpus.genres,
        "corpus_kind": data.corpus.info["kind"],
        "picture": data.spec.to_dict(),
        "shape": data.shape,
        "corpus": data.corpus.name,
        "songs_fingerprint": data.corpus.fingerprint,
        "protocol": data.split.label,
        "split_fingerprint": data.split.fingerprint,
    }
    weights = data.class_weights() if recipe.fit.class_weights else None
    return model_class(recipe.model.name)(recipe, about, len(data.corpus.songs), weights)


def _fit(
    recipe: Recipe,
    data: GenreData,
    model: GenreClassifier,
    tracker: Tracker,
    folder: Path,
    more_callbacks: Sequence[Callback],
) -> float:
    """Train; returns the minutes that this took, interrupted starts included."""
    fit = recipe.fit
    mode = "max" if fit.monitor == "valid/song_accuracy" else "min"
    best = Checkpoint(
        dirpath=folder, filename="best", monitor=fit.monitor, mode=mode, save_weights_only=True,
        enable_version_counter=False, save_on_train_epoch_end=False,
    )  # fmt: skip
    last = Checkpoint(
        dirpath=folder, filename="last", monitor=None, enable_version_counter=False,
        save_on_train_epoch_end=True,
    )  # fmt: skip
    callbacks: list[Callback] = [best, last, LearningRateMonitor("step"), *more_callbacks]
    if fit.average_epochs:
        callbacks.append(AveragedWeights(fit.average_epochs))
    if fit.patience:
        callbacks.append(EarlyStopping(fit.monitor, mode=mode, patience=fit.patience))
    trainer = _trainer(recipe, RunLogger(tracker), callbacks, folder)
    known = folder / "last.ckpt" if (folder / "last.ckpt").exists() else None
    trained = folder / "trained"  # a run that stopped early would else train on when resumed
    if known:
        read_checkpoint(known)
    if fit.compile:
        model.network.compile()
    with stopwatch(folder, trainer.is_global_zero) as minutes, _compiler_named(fit.compile):
        if not trained.exists():
            trainer.fit(model, datamodule=data, ckpt_path=known, weights_only=True)
            trained.touch()
    tracker.log_file(folder / "fit-profile.txt")
    return minutes()


def _trainer(
    recipe: Recipe, logger: Any, callbacks: list[Callback], folder: Path | None = None
) -> lightning.Trainer:
    """Lightning's trainer; only one with a folder, where its profile goes, trains."""
    own = {n: getattr(recipe.fit, n) for n in TrainerSettings.model_fields}
    own = {n: v for n, v in own.items() if v is not None}
    profiler = own.pop("profiler", None)
    if profiler and folder:
        own["profiler"] = PROFILERS[profiler](dirpath=folder, filename="profile")
    own["deterministic"] = {"true": True, "false": False}.get(own["deterministic"], "warn")
    return lightning.Trainer(
        **own,
        logger=logger,
        callbacks=[*callbacks, RichProgressBar() if sys.stdout.isatty() else EpochLines()],
        enable_progress_bar=sys.stdout.isatty(),
        plugins=[WholeFiles(), *launcher()],
        enable_model_summary=False,
        enable_checkpointing=bool(logger),
        use_distributed_sampler=False,  # TrainBatches and the grid share clips out themselves
        num_sanity_val_steps=0,
    )


def _predict(
    recipe: Recipe, data: GenreData, model: GenreClassifier, folder: Path
) -> dict[str, dict[str, Any]]:
    """Rows of the best checkpoint's predictions on valid and, once, test."""
    trainer = _trainer(recipe, False, [])
    best = read_checkpoint(folder / "best.ckpt")
    model.load_state_dict(best["state_dict"])
    rows = {}
    trainer.validate(model, datamodule=data, verbose=False)
    rows["valid"] = _numpy(model.gathered_rows("valid"))
    if recipe.fit.test and data.grid("test"):
        trainer.test(model, datamodule=data, verbose=False)
        rows["test"] = _numpy(model.gathered_rows("test"))
    return rows


def _numpy(rows: dict[str, Any]) -> dict[str, Any]:
    return {name: values.numpy() for name, values in rows.items()}


def _check_same_songs(folder: Path, data: GenreData) -> None:
    known = folder / "split.txt"
    if known.exists() and known.read_text() != membership_mark(data):
        raise UserError(
            f"run {folder.name} trained on other songs than are here now: bring them back, or "
            "start a new run"
        )


def _quieten() -> None:
    """Lightning's hints that do not apply here: the packed corpus needs no loader processes."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*LeafSpec.*")
    warnings.filterwarnings("ignore", ".*is smaller than the logging interval.*")
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
    # torchmetrics has gathered the votes of all processes when a figure is logged
    warnings.filterwarnings("ignore", ".*sync_dist=True.*")
    warnings.filterwarnings("ignore", ".*No (negative|positive) samples in targets.*")
    warnings.filterwarnings("ignore", ".*`srun` command is available.*")
