"""What a run writes down: its name and tags, what it is made of, and its scores."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from lightning.pytorch.utilities import rank_zero_only

from gtzan_lightning.data.augment import WaveAugmentation
from gtzan_lightning.data.catalogue import filtered_songs, gtzan_ids, known_fault, summary
from gtzan_lightning.data.module import GenreData
from gtzan_lightning.data.protocols import PARTS
from gtzan_lightning.files import replacing
from gtzan_lightning.recipe.baseline_settings import ClassicalSettings
from gtzan_lightning.recipe.fit_settings import LAST
from gtzan_lightning.recipe.identity import flat
from gtzan_lightning.recipe.model_settings import CustomSettings, embedding_settings
from gtzan_lightning.recipe.pretrained_settings import Pretrained
from gtzan_lightning.recipe.recipes import Recipe, dump
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.results import calibration, known_faults, plots
from gtzan_lightning.results import predictions as metrics
from gtzan_lightning.results.rows import marker
from gtzan_lightning.results.screen import shown
from gtzan_lightning.results.summary import headline, markdown, more_sentences, scored_part
from gtzan_lightning.results.tables import table_of
from gtzan_lightning.tracking.environment import CODE, environment
from gtzan_lightning.tracking.reading import openings, predictions_if_any, runs_table
from gtzan_lightning.tracking.tracker import Tracker
from gtzan_lightning.tracking.view import page_of_runs

CURVES = ["train/loss_epoch", "valid/loss", "train/song_accuracy", "valid/song_accuracy"]


def run_name(recipe: Recipe, data: GenreData) -> str:
    """The name that was asked for; else model, corpus, protocol, seed and fold."""
    leaky = f"-{marker(data.warning)}" if data.warning else ""
    fold = [f"fold{recipe.data.fold}"] * recipe.data.has_folds
    words = (recipe.title, data.corpus.name, recipe.data.split, f"seed{recipe.seed}", *fold)
    return (recipe.track.name or "-".join(words)) + leaky


def tags(recipe: Recipe, data: GenreData) -> dict[str, str]:
    made_with = environment()
    return {
        **data.measured_by(recipe),
        "features": _features(recipe, data),
        "songs": data.split.counts(),
        **{f"leak_{part}": leak.sentence for part, leak in data.split.leaks.items()},
        **membership(data),
        "warning": data.warning,
        "tuned_on": recipe.tuned_on,
        "kept": "last epoch" if recipe.fit.monitor == LAST else "",
        "precision": "" if isinstance(recipe.model, ClassicalSettings) else recipe.fit.precision,
        "mlflow.source.name": "experiments/run.py",
        "mlflow.source.git.commit": made_with["commit"],
        **{k: made_with[k] for k in (*CODE, "machine", "python")},
    }


def _features(recipe: Recipe, data: GenreData) -> str:
    table = getattr(recipe.model, "table", None)
    if table:
        return f"table {Path(table).name}"
    label, heard = data.spec.label(recipe.data.clip_seconds), heard_before(recipe)
    embedding = f"embedding {recipe.data.embedding} of " if recipe.data.embedding else ""
    saw = recipe.model.saw if isinstance(recipe.model, Pretrained) else ""
    before = f"; heard {heard}" if heard else f"; saw {saw}" * bool(saw)
    return f"{embedding}{label}{before}"


def heard_before(recipe: Recipe) -> str:
    """What the network, or that of the embedding, learnt from before; it may hold these songs."""
    if recipe.data.embedding:
        return embedding_settings(recipe.data).heard
    return getattr(recipe.model, "heard", "")


def remarks(recipe: Recipe, data: GenreData) -> list[str]:
    """What a user should know of the songs before the training starts, a line each."""
    corpus, split = data.corpus, data.split
    lines = []
    if heard := heard_before(recipe):
        lines.append(f"the network has heard {heard}, which may hold recordings of these songs")
    if corpus.problems:
        lines.append(f"verification: {summary(corpus.problems)} (the run's verification.csv)")
    lines.append(f"{corpus.name}, {split.label}: {split.counts()} songs")
    leaks = [leak.sentence for leak in split.leaks.values() if leak.songs]
    lines.append(f"what training has heard before: {'; '.join(leaks)}")
    if data.warning:
        lines.append(f"WARNING: {data.warning}")
    genre_of = {song["id"]: song["genre"] for song in corpus.songs}
    for part in PARTS:
        here = {genre_of[song] for song in split.songs(part)}
        lacking = [genre for genre in corpus.genres if genre not in here]
        if here and lacking:
            lines.append(f"the {part} part has no song of {', '.join(lacking)}")
    if not data.grid("test"):
        lines.append(
            "no song of the test part is here: the model is measured on the validation part only"
        )
    if corpus.is_pictures and WaveAugmentation.changes(recipe.augment):
        lines.append("the corpus holds pictures: time shift and noise of waveforms are left out")
    return lines


def membership(data: GenreData) -> dict[str, str]:
    """Tags that are equal where the same songs, with the same sound, are in the same parts."""
    return {"split_fingerprint": data.split.fingerprint, "sounds": data.corpus.sounds}


def membership_digest(data: GenreData) -> str:
    """``membership`` in a line."""
    return " ".join(membership(data).values())


@rank_zero_only
def describe(tracker: Tracker, recipe: Recipe, data: GenreData, folder: Path) -> None:
    """What the run is made of, before it trains: recipe, songs, membership, surroundings."""
    corpus = data.corpus
    members = pd.DataFrame(
        [(s["id"], s["genre"], data.split.members[s["id"]], s.get("digest")) for s in corpus.songs],
        columns=["song", "genre", "part", "digest"],
    )
    if data.split.by_clip:
        clips = [(part, *clip[:2]) for part in PARTS for clip in data.grid(part)]
        rows = [(corpus.ids[row], start, part) for part, row, start in clips]
        tracker.log(pd.DataFrame(rows, columns=["song", "start", "part"]), "LEAKY_clips.csv")
    problems = pd.DataFrame(
        [(p.what, p.name, p.detail, p.left_out) for p in corpus.problems],
        columns=["what", "name", "detail", "left_out"],
    )
    with replacing(folder / "songs.csv") as part:
        members.to_csv(part, index=False)
    with replacing(folder / "split.txt") as part:
        part.write_text(membership_digest(data))
    # MLflow changes no parameter: a complete run may open its test part, and its folder be moved
    later = ("fit.open_test", "track.")
    tracker.log_params({k: v for k, v in flat(recipe).items() if not k.startswith(later)})
    tracker.log(dump(recipe), "recipe.yaml")
    tracker.log_file(folder / "songs.csv")
    tracker.log(problems, "verification.csv")
    tracker.log(json.dumps(environment(), indent=1), "environment.json")
    tracker.log_songs(folder / "songs.csv", corpus.name, corpus.fingerprint)
    counts = {f"songs_{part}": len(data.split.songs(part)) for part in PARTS}
    tracker.log_metrics(counts)


def report(tracker: Tracker, predictions: pd.DataFrame, data: GenreData) -> dict[str, float]:
    """Scores and plots of every part, made of the predictions, into the run; returns the scores."""
    scores = {"temperature": calibration.temperature(predictions)}
    training = metrics.scores(predictions, "train").items()
    scores |= {f"final/train/{name}": value for name, value in training}
    for part in ("valid", "test"):
        of_part = metrics.scores(predictions, part)
        if not of_part:
            continue
        of_part |= calibration.calibration(predictions, part)
        if data.corpus.universe == gtzan_ids():
            of_part |= known_faults.three_counts(predictions, part, known_fault, filtered_songs())
        scores |= {f"final/{part}/{name}": value for name, value in of_part.items()}
        title = f"{data.corpus.name}, {data.split.label}, {part}: {of_part['songs']} songs"
        table, counts = metrics.per_genre(predictions, part), metrics.confusion(predictions, part)
        confusion = plots.confusion_plot(counts, data.corpus.genres, title)
        tracker.log(table, file_name(f"{part}_per_genre.csv", data))
        tracker.log(plots.per_genre_plot(table, title), file_name(f"{part}_per_genre.png", data))
        tracker.log(confusion, file_name(f"{part}_confusion.png", data))
        reliable = plots.reliability_plot(calibration.reliabilities(predictions, part), title)
        tracker.log(reliable, file_name(f"{part}_reliability.png", data))
    monitor = data.recipe.fit.monitor
    shown = [*CURVES, monitor] if monitor != LAST else CURVES
    history = {name: tracker.history(name) for name in dict.fromkeys(shown)}
    if any(history.values()):  # a baseline without epochs has none
        tracker.log(plots.learning_curves(history), file_name("learning_curves.png", data))
    history["epoch"] = tracker.history("epoch")
    use = _use(data.recipe, tracker.run_id)
    tracker.log_description(markdown(scores, predictions, history, monitor, data.warning, use))
    return scores


def _use(recipe: Recipe, run_id: str) -> str:
    """Commands that use a run's network; a baseline keeps none, your own one needs its code."""
    if isinstance(recipe.model, ClassicalSettings | CustomSettings):
        return ""
    return f"gtzan tag FOLDER --run {run_id} --out genres.csv"


def result_lines(recipe: Recipe, run_id: str, scores: dict[str, float]) -> str:
    """What ``run.py`` ends with: the headline, and the table with the run's own row marked."""
    track = recipe.track
    lines = [series_lines(track, [run_id]), "", headline(scores), *more_sentences(scores)]
    runs = runs_table(track)
    has_test = (runs.loc[runs["run_id"] == run_id, "songs_test"] > 0).any()
    if has_test and scored_part(scores) == "valid":
        lines.append(
            "the test part stays closed; once everything is chosen, open it with --resume "
            f"{run_id} --open-test"
        )
    return "\n".join([*lines, page_of_runs(track)])


def series_lines(track: TrackSettings, run_ids: Sequence[str]) -> str:
    """What a series ends with: the table with the row of its runs."""
    runs, read = runs_table(track), partial(predictions_if_any, track=track)
    return shown(table_of(runs, run_ids[-1], read, openings(track)), run_ids[-1])


def file_name(name: str, data: GenreData) -> str:
    return f"{marker(data.warning)}_{name}" if data.warning else name


def predictions_table(
    of_parts: dict[str, metrics.ClipPredictions], data: GenreData
) -> pd.DataFrame:
    """Predictions of several parts as one table, with the songs' ids and the genres' names.

    Log-probabilities have six decimals, as in predictions.csv: scores are those of the file.
    """
    names = (data.corpus.ids, data.corpus.genres, data.seconds_per_step, data.corpus.artists)
    tables = [clips.table(part, *names) for part, clips in of_parts.items()]
    return pd.concat(tables, ignore_index=True).round(6)


def write_predictions(predictions: pd.DataFrame, data: GenreData, folder: Path) -> None:
    """predictions.csv in the run's folder: song, start, genre, log-probabilities."""
    with replacing(folder / file_name("predictions.csv", data)) as part:
        predictions.to_csv(part, index=False, float_format="%.10g")
