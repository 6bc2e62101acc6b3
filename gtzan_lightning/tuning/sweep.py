"""Sweeps: Optuna proposes recipes of a space, every trial is a run under one parent run.

The objective is the best epoch's song accuracy on the validation part; the test part stays closed.
Only this file, study.py and storage.py import optuna.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import lightning
import optuna
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback
from optuna.study import MaxTrialsCallback
from optuna.trial import FrozenTrial, TrialState

from gtzan_lightning.errors import NoNumber, Untrainable, UserError
from gtzan_lightning.recipe.recipes import Recipe, with_settings
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.results.significance import ALPHA, System, holm, mcnemar, of_run
from gtzan_lightning.tracking.processes import process_id
from gtzan_lightning.tracking.reading import check_output, read_predictions
from gtzan_lightning.tracking.tracker import Tracker
from gtzan_lightning.training.screen import Screen, duration
from gtzan_lightning.training.series import run_workers
from gtzan_lightning.training.train import train
from gtzan_lightning.tuning.screen import shown
from gtzan_lightning.tuning.space import Space
from gtzan_lightning.tuning.storage import storage
from gtzan_lightning.tuning.study import (
    ENDED,
    Search,
    ended,
    open_study,
    places_before,
    revive,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OBJECTIVE = "valid/song_accuracy"


def sweep(
    space: Space,
    name: str,
    trials: int,
    url: str | None,
    search: Search,
    workers: int,
    command: list[str],
) -> str:
    """Open or resume a study and try until it has so many ended trials; returns what to print.

    Args:
        url: of the study's database, or None for a journal file.
        command: starts a worker, where there are several.

    Raises:
        UserError: another space's study, a database that can't be opened, workers that failed.
    """
    study, tracker = _open(space, name, url, search)
    revived = revive(study)
    before = ended(study)
    if before or revived:
        print(f"study {name}: {before} trials ended, {revived} interrupted ones are tried again")
    if not tracker.run_id:
        tracker.resume(study.user_attrs["parent"])
    with tracker.recording(with_system_metrics=False):
        tracker.log_params({"space": space.text})
        if workers == 1:
            work(study, space, trials, shared=bool(url))
        elif before < trials:
            run_workers(workers, command, "what they tried is kept in the study")
        return report(study, tracker, trials)


def join(space: Space, name: str, trials: int, url: str | None, search: Search) -> None:
    """Be one of several workers of a study; the first one opens it."""
    study, tracker = _open(space, name, url, search)
    if tracker.run_id:
        with tracker.recording(with_system_metrics=False):
            tracker.log_params({"space": space.text})
    study.sampler.reseed_rng()  # of one seed, all workers would begin with the same recipes
    work(study, space, trials, shared=True)


def _open(space: Space, name: str, url: str | None, search: Search) -> tuple[optuna.Study, Tracker]:
    """The study, and a tracker that has started the parent run where the study is new."""
    check_output(space.track)
    tracker = Tracker(space.track)

    def start_parent() -> str:
        tracker.start(f"sweep-{name}", {"sweep": name})
        return tracker.run_id

    kept = storage(url, space.track, name)
    return open_study(space, name, kept, search, start_parent), tracker


def work(study: optuna.Study, space: Space, trials: int, shared: bool) -> None:
    """Try until the study has that many ended trials; several processes may do so at once.

    Args:
        shared: other machines may run trials too; the database fails those that fall silent.
    """

    said: set[str] = set()

    def objective(trial: optuna.Trial) -> float:
        trial.set_user_attr("process", process_id())
        place = places_before(study, trial.number, shared) + 1
        if place > trials:
            study.stop()  # other processes run the last trials
            raise _Surplus
        screen = Screen(f"trial {place} of {trials}, ", has_lines=False)
        return _accuracy(study, trial, space.draw(trial), screen, said)

    # a worker that is started again after the others made the last trials has nothing to do
    if ended(study) >= trials:
        return
    stops = MaxTrialsCallback(trials, states=ENDED)
    tell = partial(_tell, trials=trials, before=ended(study), began=time.monotonic())
    study.optimize(objective, callbacks=[stops, tell], catch=(_Surplus,))


def _accuracy(
    study: optuna.Study, trial: optuna.Trial, recipe: Recipe, screen: Screen, said: set[str]
) -> float:
    """Train a trial's recipe as a child of the study's run; returns its validation accuracy."""
    tags = {
        "mlflow.parentRunId": study.user_attrs["parent"],
        "sweep": study.study_name,
        "trial": str(trial.number),
    }
    pruning = _Pruning(trial)
    words = (recipe.track.name, study.study_name, f"trial{trial.number}")
    recipe = with_settings(recipe, {"track.name": "-".join(filter(None, words))})
    try:
        outcome = train(recipe, more_tags=tags, more_callbacks=[pruning, screen], said=said)
    except (Untrainable, NoNumber, torch.OutOfMemoryError) as error:
        # a corner of the space that no network can be made of has no accuracy to report; were it
        # one of Optuna's failures, it would be tried again for ever
        print(f"trial {trial.number} can't be trained: {str(error).splitlines()[0]}")
        trial.set_user_attr("failed", True)
        raise optuna.TrialPruned from None
    trial.set_user_attr("run", outcome.run_id)
    if pruning.pruned:
        raise optuna.TrialPruned
    return outcome.scores["final/valid/song_accuracy"]


def report(study: optuna.Study, tracker: Tracker, trials: int) -> str:
    """Table and plots of a study into its parent run; returns what to print.

    Args:
        trials: how many ended ones were asked for.

    Raises:
        UserError: no trial was completed.
    """
    table = trials_table(study, tracker.track)
    tracker.log(table, "trials.csv")
    complete = [t for t in study.trials if t.state == TrialState.COMPLETE]
    if not complete:
        raise UserError(
            "no trial was completed: their lines above say why; widen the space, or shorten what "
            "does not fit these songs"
        )
    for name, plot in _plots(study, len(complete)).items():
        tracker.log(plot, f"{name}.png")
    tracker.log_metrics({"best/song_accuracy": study.best_value, "trials": len(complete)})
    lines = [shown(table, study.study_name), ""]
    if len(table) < trials:
        lines = [
            f"{len(table)} of {trials} trials have ended. Others are running, or were lost: then "
            "the same command resumes the study\n",
            *lines,
        ]
    return "\n".join([*lines, _best(study, table, tracker.track)])


def _best(study: optuna.Study, table: pd.DataFrame, track: TrackSettings) -> str:
    """The best trial: its accuracy, how sure that is, its settings."""
    best = study.best_trial
    songs = len(_system(best, track).right)
    ties = int(table["like the best"].eq("yes").sum()) - 1
    sentence = (
        f"best: trial {best.number}, validation song accuracy {study.best_value:.3f} on {songs} "
        f"songs, where one song is {1 / songs:.4f}; {ties} other trials can't be told from it "
        "(McNemar, Holm for all trials). It was chosen on those songs, so the accuracy is "
        "optimistic: train the recipe anew and test it (--open-test)."
    )
    return "\n".join([sentence, *(f"  {name}: {value}" for name, value in best.params.items())])


def trials_table(study: optuna.Study, track: TrackSettings) -> pd.DataFrame:
    """A row a trial, best first; ``like the best`` where McNemar's test can't tell them apart.

    The best of many trials is compared with all others, so its p are Holm's.
    """
    trials = [t for t in study.trials if t.state in ENDED]
    alike = _alike(study, [t for t in trials if t.state == TrialState.COMPLETE], track)
    rows = []
    for trial in sorted(trials, key=lambda t: (t.state != TrialState.COMPLETE, -(t.value or 0))):
        row = {"trial": trial.number, "state": _state(trial)}
        like = alike.get(trial.number, "")
        row |= {"song accuracy": trial.value, "like the best": like, **trial.params}
        rows.append({**row, "run": trial.user_attrs.get("run", "")})
    return pd.DataFrame(rows)


def _alike(
    study: optuna.Study, complete: list[FrozenTrial], track: TrackSettings
) -> dict[int, str]:
    """Number of a complete trial -> whether it is like the best one."""
    if not complete:
        return {}
    best = study.best_trial
    others = [trial for trial in complete if trial.number != best.number]
    answers = _system(best, track)
    corrected = holm([mcnemar(answers, _system(trial, track)) for trial in others])
    words = {
        trial.number: "yes" if p >= ALPHA else "no"
        for trial, (p, _) in zip(others, corrected, strict=True)
    }
    return {best.number: "yes", **words}


def _system(trial: FrozenTrial, track: TrackSettings) -> System:
    """Which validation songs a trial got right."""
    return of_run(str(trial.number), read_predictions(trial.user_attrs["run"], track), "valid")


class _Pruning(Callback):
    """Reports every validation to the trial and stops a run that the pruner gives up."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial, self.best, self.pruned = trial, 0.0, False

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        if trainer.state.fn != "fit":
            return
        self.best = max(self.best, float(trainer.callback_metrics[OBJECTIVE]))
        self.trial.report(self.best, trainer.current_epoch)
        if self.trial.should_prune():
            self.pruned = trainer.should_stop = True


class _Surplus(Exception):
    """A trial that nobody asked for: other processes run the last ones."""


def _tell(study: optuna.Study, trial: FrozenTrial, trials: int, before: int, began: float) -> None:
    """Say how a trial ended, the best one so far, and how long the others will take.

    Args:
        trials: that are asked for.
        before: that had ended when this process began to try.
        began: when that was, as ``time.monotonic`` counts.
    """
    if trial.state == TrialState.FAIL:
        return
    count = ended(study)
    complete = trial.state == TrialState.COMPLETE
    words = [f"song accuracy {trial.value:.3f}" if complete else _state(trial)]
    if study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        words.append(f"best {study.best_value:.3f} (trial {study.best_trial.number})")
    if trial.duration:
        words.append(duration(trial.duration.total_seconds()))
    if before < count < trials:
        each = (time.monotonic() - began) / (count - before)
        words.append(f"{duration(each * (trials - count))} left")
    print(f"trial {trial.number}, {count} of {trials} ended: {', '.join(words)}", flush=True)
    torch.cuda.empty_cache()


def _state(trial: FrozenTrial) -> str:
    return "failed" if "failed" in trial.user_attrs else trial.state.name.lower()


def _plots(study: optuna.Study, complete: int) -> dict[str, "Figure"]:
    """Name -> Optuna's drawing of the study; importance needs four complete trials."""
    drawn = optuna.visualization.matplotlib
    makers: dict[str, Callable[..., Any]] = {
        "history": drawn.plot_optimization_history,
        "slices": drawn.plot_slice,
    }
    if complete > 3 and len(study.best_params) > 1:
        makers["importance"] = drawn.plot_param_importances
    plots = {}
    for name, make in makers.items():
        axes = make(study)
        plots[name] = (axes[0] if hasattr(axes, "__len__") else axes).get_figure()
        plots[name].set_size_inches(12 if name == "slices" else 8, 5)
    return plots
