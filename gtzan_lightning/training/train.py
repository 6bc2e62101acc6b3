"""The main job: a recipe becomes a trained, tested and recorded model."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import lightning
import numpy as np
import pandas as pd
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from gtzan_lightning.data.module import GenreData
from gtzan_lightning.errors import NoNumber, UserError, refused
from gtzan_lightning.models import BASELINES, build_network, check_rate
from gtzan_lightning.models.checkpoint import Contents, keep_temperature, read_checkpoint
from gtzan_lightning.models.classifier import GenreClassifier
from gtzan_lightning.models.fine_tuning import freeze
from gtzan_lightning.recipe.command_line import LAST
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.recipe.section import Shape
from gtzan_lightning.terminal import fitted
from gtzan_lightning.tracking.lightning_logger import RunLogger
from gtzan_lightning.tracking.reading import check_output
from gtzan_lightning.tracking.run_folder import folder_of, keep_recipe, unfinished
from gtzan_lightning.tracking.sender import LoggedModel
from gtzan_lightning.tracking.tracker import Tracker
from gtzan_lightning.training.callbacks import say
from gtzan_lightning.training.finite import ADVICE
from gtzan_lightning.training.fit import fit
from gtzan_lightning.training.isolation import isolated
from gtzan_lightning.training.launch import SHARED_RUN, shared_run_id
from gtzan_lightning.training.loggers import more_loggers
from gtzan_lightning.training.report import (
    describe,
    file_name,
    membership_digest,
    predictions_table,
    remarks,
    report,
    run_name,
    tags,
    write_predictions,
)
from gtzan_lightning.training.trainer import checked_trainer, make_trainer

NetworkMaker = Callable[[int, Shape], nn.Module]  # number of genres, shape of a picture


@dataclass(frozen=True)
class Outcome:
    """What a run left behind: its MLflow id, its folder and its final scores."""

    run_id: str
    folder: Path
    scores: dict[str, float]


def train(
    recipe: Recipe,
    resume: str | None = None,
    network: NetworkMaker | None = None,
    more_tags: dict[str, str] | None = None,
    more_callbacks: Sequence[Callback] = (),
    said: set[str] | None = None,
) -> Outcome:
    """Prepare the songs, train, test the best checkpoint, record everything.

    The process keeps its seeds, warning filters, log levels and environment variables.

    Args:
        resume: id of an interrupted run of this recipe, or ``LAST``: the newest, else a new run.
        network: of the model ``custom``: pictures (clip, channel, bin, frame) -> logits.
        more_tags, more_callbacks: of the MLflow run, of Lightning's trainer.
        said: what earlier trainings have said of songs, which is not said again.

    Raises:
        UserError: bad input; nothing is recorded then.
        KeyboardInterrupt: the run is closed as killed, with its best checkpoint.
    """
    check_output(recipe.track)
    with isolated(recipe.seed, recipe.fit.matmul_precision):
        trainer = checked_trainer(recipe)
        data, recipe = _songs(recipe, said)
        model = None if recipe.model.name in BASELINES else make_model(recipe, data, network)
        tracker = Tracker(recipe.track)
        run_id = _open_run(tracker, recipe, data, resume, more_tags or {}, said is None)
        folder = folder_of(recipe.track, shared_run_id(trainer, run_id))
        with tracker.recording(), _interruptible(tracker, folder):
            describe(tracker, recipe, data, folder)
            if model is None:
                scores = _measure_baseline(data, tracker, folder)
            else:
                scores = _train_network(data, model, tracker, folder, more_callbacks)
    if trainer.is_global_zero:
        (folder / "done").touch()
        (folder / "last.ckpt").unlink(missing_ok=True)
    return Outcome(folder.name, folder, scores)


def _songs(recipe: Recipe, said: set[str] | None) -> tuple[GenreData, Recipe]:
    """The songs, and the recipe with the protocol that they have."""
    data, known = GenreData(recipe), set() if said is None else said
    data.setup()
    for line in remarks(data.recipe, data):
        if line not in known:
            say(fitted(line))
        known.add(line)
    return data, data.recipe


def make_model(
    recipe: Recipe, data: GenreData, network: NetworkMaker | None = None
) -> GenreClassifier:
    """The untrained model of a recipe for the songs of ``data``.

    Args:
        network: as ``train`` takes it.

    Raises:
        UserError: a network without the model ``custom``, or the other way round.
    """
    if (network is None) == (recipe.model.name == "custom"):
        raise UserError(
            "a network of your own goes with the model custom, and the other way round: "
            'train(Recipe.load("custom", {"model.title": NAME}), network=...)'
        )
    contents = Contents(
        recipe=recipe,
        genres=data.corpus.genres,
        corpus_kind=data.corpus.info["kind"],
        picture=data.spec.to_dict(),
        shape=data.shape,
        corpus=data.corpus.name,
        songs_fingerprint=data.corpus.fingerprint,
        protocol=data.split.label,
        split_fingerprint=data.split.fingerprint,
    )
    weights = data.class_weights() if recipe.fit.class_weights else None
    if network is None:
        net = build_network(recipe.model, data.genres, data.shape)
        check_rate(net, data.spec)
    else:
        net = network(data.genres, data.shape)
    freeze(net, recipe.fit)
    return GenreClassifier(contents, net, len(data.corpus.songs), weights)


def predict(
    trainer: lightning.Trainer, model: GenreClassifier, data: GenreData, checkpoint: str | Path
) -> pd.DataFrame:
    """Predictions of a checkpoint on the parts that the recipe measures (``data.measured_parts``).

    Args:
        trainer: any trainer; ``callbacks.run_callbacks`` keeps its best checkpoint.

    Returns:
        A row for each clip: part, song, start (seconds), genre, a log-probability for each genre.

    Raises:
        UserError: a prediction is no number.
    """
    model.load_state_dict(read_checkpoint(Path(checkpoint)).state_dict)
    predictions = {}
    for part in data.measured_parts:
        if part == "test":
            trainer.test(model, datamodule=data, verbose=False)
        else:
            data.evaluated = part
            trainer.validate(model, datamodule=data, verbose=False)
        predictions[part] = model.gathered_predictions("test" if part == "test" else "valid")
        if not np.isfinite(predictions[part].log_probs).all():
            raise NoNumber(
                f"the network's predictions of the {part} part are no numbers: nothing is scored; "
                f"{ADVICE}"
            )
    return predictions_table(predictions, data)


def _measure_baseline(data: GenreData, tracker: Tracker, folder: Path) -> dict[str, float]:
    from gtzan_lightning.models.baselines import fit_and_predict

    of_parts, minutes = fit_and_predict(data.recipe, data)
    predictions = predictions_table(of_parts, data)
    return _record(tracker, data, folder, predictions, {"minutes": minutes}) or {}


def _train_network(
    data: GenreData,
    model: GenreClassifier,
    tracker: Tracker,
    folder: Path,
    more_callbacks: Sequence[Callback],
) -> dict[str, float]:
    with more_loggers(data.recipe, run_name(data.recipe, data), folder) as also:
        minutes = fit(data, model, [RunLogger(tracker), *also], folder, more_callbacks)
        tracker.log_file(folder / "fit-profile.txt")
        trainer = make_trainer(data.recipe, False, [])
        predictions = predict(trainer, model, data, folder / "best.ckpt")
        parameters = sum(p.numel() for p in model.network.parameters())
        numbers = {"minutes": minutes, "parameters": parameters}
        scores = _record(tracker, data, folder, predictions, numbers) or {}
        for logger in also:
            logger.log_metrics(scores)
    if scores:  # the first process has them
        keep_temperature(folder / "best.ckpt", scores["temperature"])
    tracker.log_file(folder / "best.ckpt", "checkpoints")
    # MLflow can't rebuild a network that this package does not know
    if data.recipe.track.log_model and data.recipe.model.name != "custom":
        code, rate = "gtzan_lightning.inference.pyfunc", data.spec.kept.sample_rate
        best = folder / "best.ckpt"
        tracker.log_model(LoggedModel(code, best, data.corpus.genres, rate))
        if name := data.recipe.track.register:
            tracker.log_registration(name)
    return scores


@rank_zero_only
def _record(
    tracker: Tracker,
    data: GenreData,
    folder: Path,
    predictions: pd.DataFrame,
    numbers: dict[str, float],
) -> dict[str, float]:
    """Predictions, and every score recomputed from them, into the run; by the first process."""
    write_predictions(predictions, data, folder)
    scores = report(tracker, predictions, data)
    tracker.log_metrics({**numbers, **scores})
    tracker.log_file(folder / file_name("predictions.csv", data))
    return scores


@rank_zero_only
def _open_run(
    tracker: Tracker,
    recipe: Recipe,
    data: GenreData,
    resume: str | None,
    more_tags: dict[str, str],
    is_only: bool,
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
    data.on_opening = lambda: tracker.log_opening(data.measured_by(recipe))
    os.environ[SHARED_RUN] = tracker.run_id
    if is_only or resume:
        where = (
            f"run {tracker.run_id}{' resumes' if resume else ''}; checkpoints in {tracker.folder}"
        )
        say(fitted(where))
    return tracker.run_id


@contextlib.contextmanager
def _interruptible(tracker: Tracker, folder: Path) -> Iterator[None]:
    """An interrupted run keeps its best checkpoint and says how to resume it."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):  # Lightning makes the second of the first
        tracker.log_file(folder / "best.ckpt", "checkpoints")
        say(f"interrupted; resume it with --resume {folder.name}")
        raise KeyboardInterrupt from None
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        if (line := refused(error)) is None:
            raise
        raise UserError(f"{line}; then resume the run with --resume {folder.name}") from None


def _check_same_songs(folder: Path, data: GenreData) -> None:
    known = folder / "split.txt"
    if known.exists() and known.read_bytes() != membership_digest(data).encode():
        raise UserError(
            f"run {folder.name} trained on other songs than are here now: bring them back, or "
            "start a new run"
        )
