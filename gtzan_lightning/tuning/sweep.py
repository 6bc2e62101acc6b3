"""Sweeps: Optuna proposes recipes of a space, every trial is a run under one parent run.

The objective is the best epoch's song accuracy on the validation part; the test part stays closed.
Only this file and studies.py import optuna.
"""

import os
import subprocess
from typing import Any

import lightning
import optuna
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback
from matplotlib.figure import Figure
from optuna.study import MaxTrialsCallback
from optuna.trial import FrozenTrial, TrialState

from gtzan_lightning.errors import Untrainable, UserError
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.results.significance import ALPHA, System, mcnemar, system
from gtzan_lightning.tracking.processes import mark
from gtzan_lightning.tracking.reading import check_output, read_predictions
from gtzan_lightning.tracking.tracker import Tracker
from gtzan_lightning.training.train import train
from gtzan_lightning.tuning.space import Space
from gtzan_lightning.tuning.study import ENDED, ended, open_study, places_before, revive, storage

OBJECTIVE = "valid/song_accuracy"


def sweep(
    space: Space,
    name: str,
    trials: int,
    where: str | None,
    options: dict[str, Any],
    workers: int,
    others: list[str],
) -> str:
    """Open or resume a study and try until it has so many ended trials; returns what to print.

    Args:
        where: URL of the study's database, or None for a journal file.
        options: sampler, seed and prune of ``open_study``.
        others: the command that each of several workers is.

    Raises:
        UserError: another space's study, a database that can't be opened, workers that failed.
    """
    track = space.track
    check_output(track)
    study = open_study(space, name, storage(where, track, name), **options)
    revived = revive(study)
    before = ended(study)
    if before or revived:
        print(f"study {name}: {before} trials ended, {revived} interrupted ones are tried again")
    tracker = Tracker(track)
    parent = study.user_attrs.get("parent")
    if parent:
        tracker.reopen(parent)
    else:
        tracker.start(f"sweep-{name}", {"sweep": name})
        study.set_user_attr("parent", tracker.run_id)
    with tracker.recording(own_metrics=False):
        tracker.log_params({"space": space.text})
        if workers == 1:
            work(study, space, trials, tracker.run_id, shared=bool(where))
        elif before < trials:
            run_workers(workers, others)
        return report(study, tracker, trials)


def work(study: optuna.Study, space: Space, trials: int, parent: str, shared: bool) -> None:
    """Try until the study has that many ended trials; several processes may do so at once.

    Args:
        shared: other machines may be at trials too; the database gives up those that fall silent.
    """

    def objective(trial: optuna.Trial) -> float:
        trial.set_user_attr("process", mark())
        if places_before(study, trial.number, shared) >= trials:
            study.stop()  # the trials that others are at are the last ones
            raise _Surplus
        recipe = space.draw(trial)
        watch = _Watch(trial)
        described = {
            "mlflow.parentRunId": parent,
            "sweep": study.study_name,
            "trial": str(trial.number),
        }
        try:
            outcome = train(recipe, more_tags=described, more_callbacks=[watch])
        except Untrainable as error:
            # a corner of the space that no network can be made of has no accuracy to report
            print(f"trial {trial.number} can't be trained: {error}")
            raise optuna.TrialPruned from None
        trial.set_user_attr("run", outcome.run_id)
        if watch.pruned:
            raise optuna.TrialPruned
        return outcome.figures["final/valid/song_accuracy"]

    # a worker that is started again after the others made the last trials has nothing to do
    if ended(study) >= trials:
        return
    stops = MaxTrialsCallback(trials, states=ENDED)
    study.optimize(objective, callbacks=[stops, _tell], catch=(_Surplus,))


def join(space: Space, name: str, trials: int, where: str | None, options: dict[str, Any]) -> None:
    """Be one of several workers of a study that is open already."""
    study = open_study(space, name, storage(where, space.track, name), **options)
    study.sampler.reseed_rng()  # of one seed, all workers would begin with the same recipes
    work(study, space, trials, study.user_attrs["parent"], shared=True)


def run_workers(count: int, command: list[str]) -> None:
    """A command in so many processes, which share the study and the cores.

    Raises:
        UserError: a worker failed.
    """
    threads = max(1, (os.cpu_count() or 1) // count)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    workers = [subprocess.Popen(command, env=environment) for _ in range(count)]
    try:
        failed = sum(worker.wait() != 0 for worker in workers)
    except KeyboardInterrupt:
        for worker in workers:
            worker.wait()  # the terminal has interrupted them as well
        raise
    if failed:
        raise UserError(f"{failed} of {count} workers failed: what they tried is kept in the study")


def report(study: optuna.Study, tracker: Tracker, trials: int) -> str:
    """Table and figures of a study into its parent run; returns what to print.

    Args:
        trials: how many ended ones were asked for.
    """
    table = trials_table(study, tracker.track)
    tracker.log(table, "trials.csv")
    complete = [t for t in study.trials if t.state == TrialState.COMPLETE]
    if not complete:
        return "no trial was completed"
    for name, drawn in _figures(study, len(complete)).items():
        tracker.log(drawn, f"{name}.png")
    best = study.best_trial
    tracker.log_metrics({"best/song_accuracy": study.best_value, "trials": len(complete)})
    songs = len(_answers(best, tracker.track).right)
    lines = []
    if len(table) < trials:
        lines = [
            f"{len(table)} of {trials} trials have ended: others are at the rest, or it was lost, "
            "and then the same command goes on\n"
        ]
    lines += [table.drop(columns="run").to_markdown(index=False, floatfmt=".4g"), ""]
    near = int(table["like the best"].eq("yes").sum()) - 1
    lines.append(
        f"best: trial {best.number}, validation song accuracy {study.best_value:.3f} on {songs} "
        f"songs, where one song is {1 / songs:.4f}; {near} other trials can't be told from it "
        "(McNemar). It was chosen on those songs, so the figure is optimistic: train the recipe "
        "anew and test it."
    )
    lines += [f"  {name}: {value}" for name, value in best.params.items()]
    return "\n".join(lines)


def trials_table(study: optuna.Study, track: TrackSettings) -> pd.DataFrame:
    """A row a trial, best first; ``like the best`` where McNemar's test can't tell them apart."""
    rows = []
    done = [t for t in study.trials if t.state in ENDED]
    best = None
    if any(t.state == TrialState.COMPLETE for t in done):
        best = _answers(study.best_trial, track)
    for trial in sorted(done, key=lambda t: (t.state != TrialState.COMPLETE, -(t.value or 0))):
        row: dict[str, Any] = {"trial": trial.number, "state": trial.state.name.lower()}
        row["song accuracy"] = trial.value
        row["like the best"] = ""
        if best is not None and trial.state == TrialState.COMPLETE:
            row["like the best"] = "yes" if mcnemar(best, _answers(trial, track)) >= ALPHA else "no"
        row |= trial.params
        row["run"] = trial.user_attrs.get("run", "")
        rows.append(row)
    return pd.DataFrame(rows)


def _answers(trial: FrozenTrial, track: TrackSettings) -> System:
    """Which validation songs a trial got right."""
    return system(str(trial.number), [read_predictions(trial.user_attrs["run"], track)], "valid")


class _Watch(Callback):
    """Reports every validation to the trial and stops a run that the pruner gives up."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial
        self.best = 0.0
        self.pruned = False

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        if trainer.state.fn != "fit":
            return
        self.best = max(self.best, float(trainer.callback_metrics[OBJECTIVE]))
        self.trial.report(self.best, trainer.current_epoch)
        if self.trial.should_prune():
            self.pruned = trainer.should_stop = True


class _Surplus(Exception):
    """A trial that nobody asked for: others have begun the last ones."""


def _tell(study: optuna.Study, trial: FrozenTrial) -> None:
    if trial.state == TrialState.FAIL:
        return
    value = "pruned" if trial.value is None or trial.state != TrialState.COMPLETE else trial.value
    print(f"trial {trial.number} ({ended(study)} ended): {value}", flush=True)
    torch.cuda.empty_cache()


def _figures(study: optuna.Study, complete: int) -> dict[str, Figure]:
    drawn = optuna.visualization.matplotlib
    makers = {"history": drawn.plot_optimization_history, "slices": drawn.plot_slice}
    if complete > 3 and len(study.best_params) > 1:
        makers["importance"] = drawn.plot_param_importances
    found = {}
    for name, make in makers.items():
        axes = make(study)
        axes = axes if not hasattr(axes, "__len__") else axes[0]
        figure = axes.get_figure()
        figure.set_size_inches(12 if name == "slices" else 8, 5)
        found[name] = figure
    return found
