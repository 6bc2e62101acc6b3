"""The main job: a recipe becomes a trained, tested and recorded model."""

import json
import logging
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import pandas as pd
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
)
from lightning.pytorch.utilities import rank_zero_only

from gtzan_lightning import figures as pictures
from gtzan_lightning import metrics
from gtzan_lightning.classifier import GenreClassifier
from gtzan_lightning.cli import dump
from gtzan_lightning.compare import table_of
from gtzan_lightning.corpus import digest
from gtzan_lightning.data import GenreData
from gtzan_lightning.errors import UserError
from gtzan_lightning.models import model_class
from gtzan_lightning.settings import Recipe, TrainerSettings
from gtzan_lightning.splits import PARTS
from gtzan_lightning.tagger import read_checkpoint
from gtzan_lightning.tracking import Tracker, check_output, environment, runs_table

CURVES = ["train/loss_epoch", "valid/loss", "train/song_accuracy", "valid/song_accuracy"]


@dataclass
class Outcome:
    """What a run left behind."""

    run_id: str
    folder: Path
    figures: dict[str, float]


def train(recipe: Recipe, resume: str | None = None) -> Outcome:
    """Prepare the songs, train, test the best checkpoint, record everything.

    Args:
        resume: id of an interrupted run of the same recipe, to go on with.

    Raises:
        UserError: bad input; nothing is recorded then.
    """
    _quieten()
    check_output(recipe.track)
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    data = GenreData(recipe)
    data.setup()
    say = rank_zero_only(print)
    say(f"{data.corpus.name}, {data.split.label}: {data.split.counts()} songs")
    if data.split.warning:
        say(f"WARNING: {data.split.warning}")
    if not data.grid("test"):
        say("no song of the test part is here: the model is measured on the validation part only")
    model = make_model(recipe, data)
    tracker = Tracker(recipe.track)
    if resume:
        tracker.reopen(resume)
    else:
        tracker.start(run_name(recipe, data), flat(recipe), _tags(recipe, data))
    folder = run_folder(recipe, tracker.run_id)
    _check_same_songs(folder, data)
    say(f"run {tracker.run_id}; checkpoints in {folder}")
    with tracker.recording():
        _describe(tracker, recipe, data, folder)
        try:
            minutes = _fit(recipe, data, model, tracker, folder, resume)
        except SystemExit:  # Lightning's answer to Ctrl-C
            _keep_best(tracker, folder)
            say(f"interrupted; go on with --resume {tracker.run_id}")
            raise
        predictions = _predict(recipe, data, model, folder)
        found = _report(tracker, predictions, data, folder)
        parameters = sum(p.numel() for p in model.network.parameters())
        tracker.log_metrics({"minutes": minutes, "parameters": parameters, **found})
        _keep_best(tracker, folder)
        if recipe.track.log_model:
            tracker.log_model(folder / "best.ckpt")
    (folder / "done").touch()
    (folder / "last.ckpt").unlink(missing_ok=True)
    return Outcome(tracker.run_id, folder, found)


def result_lines(recipe: Recipe, outcome: Outcome) -> str:
    """What ``run.py`` ends with: the headline, and the table with the run's own row marked."""
    found = outcome.figures
    part = "test" if found.get("final/test/songs") else "valid"
    get = {name: found[f"final/{part}/{name}"] for name in _HEADLINE}
    headline = (
        f"{part}: song accuracy {get['song_accuracy']:.3f} "
        f"[{get['song_accuracy_low']:.3f}, {get['song_accuracy_high']:.3f}] on "
        f"{get['songs']:.0f} songs (mean probability {get['song_accuracy_mean']:.3f}, hard vote "
        f"{get['song_accuracy_hard']:.3f}, single clips {get['clip_accuracy']:.3f})"
    )
    table = table_of(runs_table(recipe.track), outcome.run_id)
    return f"{table.markdown()}\n\n{headline}"


_HEADLINE = ("song_accuracy", "song_accuracy_low", "song_accuracy_high", "songs")
_HEADLINE += ("song_accuracy_mean", "song_accuracy_hard", "clip_accuracy")


def make_model(recipe: Recipe, data: GenreData) -> GenreClassifier:
    """The untrained model of a recipe for the songs of ``data``."""
    about = {
        "genres": data.corpus.genres,
        "picture": data.spec.to_dict(),
        "corpus": data.corpus.name,
        "songs_fingerprint": data.corpus.fingerprint,
        "protocol": data.split.label,
        "split_fingerprint": data.split.fingerprint,
    }
    weights = data.class_weights() if recipe.fit.class_weights else None
    return model_class(recipe.model.name)(recipe, about, len(data.corpus.songs), weights)


def run_folder(recipe: Recipe, run_id: str) -> Path:
    return Path(recipe.track.folder) / "runs" / run_id


def run_name(recipe: Recipe, data: GenreData) -> str:
    leaky = "-LEAKY" if data.split.warning else ""
    words = (recipe.model.name, data.corpus.name, recipe.data.split, f"seed{recipe.seed}")
    return recipe.track.name or "-".join(words) + leaky


def flat(recipe: Recipe) -> dict[str, Any]:
    """The recipe as ``section.name`` -> value."""
    found: dict[str, Any] = {}
    for section, values in recipe.model_dump(mode="json").items():
        if isinstance(values, dict):
            found |= {f"{section}.{name}": value for name, value in values.items()}
        else:
            found[section] = values
    return found


def recipe_key(recipe: Recipe) -> str:
    """The same for two runs that differ in nothing but seed, fold, places and hardware."""
    plain = flat(recipe)
    for name in ("seed", "data.fold", "data.root", "data.packed", "data.corpus", "data.workers"):
        plain.pop(name)
    own = set(TrainerSettings.model_fields) - {"max_epochs", "precision", "gradient_clip_val"}
    own -= {"accumulate_grad_batches", "limit_train_batches", "max_time"}
    kept = {
        k: v
        for k, v in plain.items()
        if not k.startswith("track.") and k.removeprefix("fit.") not in own
    }
    return digest(json.dumps(kept, sort_keys=True).encode())[:6]


def _fit(
    recipe: Recipe,
    data: GenreData,
    model: GenreClassifier,
    tracker: Tracker,
    folder: Path,
    resume: str | None,
) -> float:
    """Train; returns the minutes that this took, of all the run's sessions."""
    fit = recipe.fit
    mode = "max" if fit.monitor == "valid/song_accuracy" else "min"
    best = ModelCheckpoint(
        dirpath=folder, filename="best", monitor=fit.monitor, mode=mode, save_weights_only=True,
        enable_version_counter=False,
    )  # fmt: skip
    last = ModelCheckpoint(
        dirpath=folder, filename="last", monitor=None, enable_version_counter=False
    )
    callbacks: list[Callback] = [best, last, LearningRateMonitor("step")]
    if fit.patience:
        callbacks.append(EarlyStopping(fit.monitor, mode=mode, patience=fit.patience))
    trainer = _trainer(recipe, tracker.logger(), callbacks)
    clock = folder / "minutes"
    before = float(clock.read_text()) if clock.exists() else 0.0
    start = time.monotonic()
    if resume:
        read_checkpoint(folder / "last.ckpt")
    try:
        trainer.fit(
            model, datamodule=data, ckpt_path=folder / "last.ckpt" if resume else None,
            weights_only=True,
        )  # fmt: skip
    finally:
        minutes = before + (time.monotonic() - start) / 60
        clock.write_text(f"{minutes:.3f}")
    return minutes


def _trainer(recipe: Recipe, logger: Any, callbacks: list[Callback]) -> lightning.Trainer:
    own = {n: getattr(recipe.fit, n) for n in TrainerSettings.model_fields}
    own = {n: v for n, v in own.items() if v is not None}
    own["deterministic"] = {"true": True, "false": False}.get(own["deterministic"], "warn")
    if logger is False:
        own.pop("limit_train_batches", None)
    return lightning.Trainer(
        **own,
        logger=logger,
        callbacks=[*callbacks, RichProgressBar()],
        enable_model_summary=False,
        enable_checkpointing=bool(logger),
        use_distributed_sampler=False,  # TrainBatches and the grid share clips out themselves
        num_sanity_val_steps=0,
    )


def _predict(recipe: Recipe, data: GenreData, model: GenreClassifier, folder: Path) -> pd.DataFrame:
    """Predictions of the best checkpoint on valid and, once, test; written to the run's folder."""
    trainer = _trainer(recipe, False, [])
    best = read_checkpoint(folder / "best.ckpt")
    model.load_state_dict(best["state_dict"])
    parts = []
    trainer.validate(model, datamodule=data, verbose=False)
    parts.append(_table(model, data, "valid"))
    if data.grid("test"):
        trainer.test(model, datamodule=data, verbose=False)
        parts.append(_table(model, data, "test"))
    predictions = pd.concat(parts, ignore_index=True)
    part = folder / "predictions.csv.part"
    predictions.to_csv(part, index=False, float_format="%.7g")
    part.rename(folder / _file("predictions.csv", data))
    return predictions


def _table(model: GenreClassifier, data: GenreData, part: str) -> pd.DataFrame:
    rows: dict[str, Any] = {k: v.numpy() for k, v in model.gathered_rows().items()}
    genres = data.corpus.genres
    rows["part"] = part
    rows["genre"] = [genres[n] for n in rows["genre"]]
    rows["song"] = [data.corpus.ids[n] for n in rows["song"]]
    rows["start"] = (rows["start"] * data.seconds_per_step).round(3)
    return metrics.predictions_table(rows, genres)


def _report(
    tracker: Tracker, predictions: pd.DataFrame, data: GenreData, folder: Path
) -> dict[str, float]:
    """Figures of every part, recomputed from the predictions, into the run."""
    tracker.log(folder / _file("predictions.csv", data), "predictions.csv")
    found: dict[str, float] = {}
    for part in ("valid", "test"):
        figures = metrics.figures(predictions, part)
        if not figures:
            continue
        found |= {f"final/{part}/{name}": value for name, value in figures.items()}
        table = metrics.per_genre(predictions, part)
        title = f"{data.corpus.name}, {data.split.label}, {part}: {figures['songs']} songs"
        counts = metrics.confusion(predictions, part)
        tracker.log(table, _file(f"{part}_per_genre.csv", data))
        tracker.log(pictures.per_genre_figure(table, title), _file(f"{part}_per_genre.png", data))
        confusion = pictures.confusion_figure(counts, data.corpus.genres, title)
        tracker.log(confusion, _file(f"{part}_confusion.png", data))
    curves = pictures.learning_curves(tracker.history(CURVES))
    tracker.log(curves, _file("learning_curves.png", data))
    return found


def _describe(tracker: Tracker, recipe: Recipe, data: GenreData, folder: Path) -> None:
    """What the run is made of, before it trains: recipe, songs, membership, surroundings."""
    if (folder / "recipe.yaml").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    corpus = data.corpus
    members = pd.DataFrame(
        [(s["id"], s["genre"], data.split.members.get(s["id"], "")) for s in corpus.songs],
        columns=["song", "genre", "part"],
    )
    problems = pd.DataFrame(
        [(p.what, p.name, p.detail, p.left_out) for p in corpus.problems],
        columns=["what", "name", "detail", "left_out"],
    )
    members.to_csv(folder / "songs.csv", index=False)
    (folder / "split.txt").write_text(data.split.fingerprint)
    tracker.log(dump(recipe), "recipe.yaml")
    tracker.log(members, "songs.csv")
    tracker.log(problems, "verification.csv")
    tracker.log(json.dumps(environment(), indent=1), "environment.json")
    tracker.log_songs(members, corpus.name, corpus.fingerprint)
    counts = {f"songs_{part}": len(data.split.songs(part)) for part in PARTS}
    tracker.log_metrics(counts)
    (folder / "recipe.yaml").write_text(dump(recipe))


def _tags(recipe: Recipe, data: GenreData) -> dict[str, str]:
    surroundings = environment()
    return {
        "model": recipe.model.name,
        "corpus": data.corpus.name,
        "features": f"{data.spec.picture} {data.spec.bins}, {recipe.data.clip_seconds:g} s",
        "protocol": data.split.label,
        "songs": data.split.counts(),
        "songs_fingerprint": data.corpus.fingerprint,
        "split_fingerprint": data.split.fingerprint,
        "seed": str(recipe.seed),
        "fold": str(recipe.data.fold),
        "recipe": recipe_key(recipe),
        "warning": data.split.warning,
        **{k: surroundings[k] for k in ("commit", "dirty", "machine", "python")},
    }


def _check_same_songs(folder: Path, data: GenreData) -> None:
    known = folder / "split.txt"
    if known.exists() and known.read_text() != data.split.fingerprint:
        raise UserError(
            f"run {folder.name} trained on other songs than are here now: bring them back, or "
            "start a new run"
        )


def _keep_best(tracker: Tracker, folder: Path) -> None:
    if (folder / "best.ckpt").exists():
        tracker.log(folder / "best.ckpt", "checkpoints/best.ckpt")


def _file(name: str, data: GenreData) -> str:
    return f"LEAKY_{name}" if data.split.warning else name


def _quieten() -> None:
    """Lightning's hints that do not apply here: the packed corpus needs no loader processes."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*LeafSpec.*")
    warnings.filterwarnings("ignore", ".*is smaller than the logging interval.*")
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
    warnings.filterwarnings("ignore", ".*No negative samples in targets.*")
    warnings.filterwarnings("ignore", ".*No positive samples in targets.*")
