"""Sweeps: Optuna proposes recipes of a space, every trial is a run under one parent run.

The objective is the best epoch's song accuracy on the validation part; the test part stays closed.
The only file that imports optuna.
"""

import os
import subprocess
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import optuna
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback
from matplotlib.figure import Figure
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback
from optuna.trial import FrozenTrial, TrialState

from gtzan_lightning.errors import EXTRAS, UserError
from gtzan_lightning.pairs import ALPHA, System, mcnemar, system
from gtzan_lightning.processes import is_alive, mark
from gtzan_lightning.settings import TrackSettings
from gtzan_lightning.spaces import Space
from gtzan_lightning.store import check_output, read_predictions, shown
from gtzan_lightning.tracking import Tracker
from gtzan_lightning.training import train

OBJECTIVE = "valid/song_accuracy"
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    # constant_liar: a worker expects little of what another is trying just now
    "tpe": lambda seed: optuna.samplers.TPESampler(
        seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=10
    ),
    "qmc": lambda seed: optuna.samplers.QMCSampler(seed=seed, scramble=True),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}


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
    ended = sum(t.state in ENDED for t in study.trials)
    if ended or revived:
        print(f"study {name}: {ended} trials ended, {revived} interrupted ones are tried again")
    tracker = Tracker(track)
    parent = study.user_attrs.get("parent")
    if parent:
        tracker.reopen(parent)
    else:
        tracker.start(f"sweep-{name}", {"space": space.text}, {"sweep": name})
        study.set_user_attr("parent", tracker.run_id)
    with tracker.recording(own_metrics=False):
        if ended < trials:
            if workers > 1:
                run_workers(workers, others)
            else:
                work(study, space, trials, tracker.run_id)
        return report(study, tracker)


def storage(where: str | None, track: TrackSettings, name: str) -> BaseStorage:
    """A journal file beside the runs, or the database of a URL (one of its own, not MLflow's).

    Raises:
        UserError: the database can't be opened.
        ModuleNotFoundError: the database needs a driver that an extra brings.
    """
    if where:
        return _database(where)
    folder = Path(track.folder) / "sweeps"
    folder.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(folder / f"{name}.journal")))


def _database(where: str, again: bool = True) -> BaseStorage:
    try:
        return optuna.storages.RDBStorage(where, heartbeat_interval=60)
    except Exception as error:  # the drivers of many databases, each with errors of its own
        missing = error.__cause__
        if isinstance(missing, ModuleNotFoundError) and missing.name in EXTRAS:
            raise missing from None
        if again:  # of several that make the tables of a new database at once, one succeeds
            time.sleep(2)
            return _database(where, again=False)
        reason = " ".join(str(error).split())[:150]
        raise UserError(f"--storage {shown(where)} can't be opened: {shown(reason)}") from None


def open_study(
    space: Space, name: str, kept: BaseStorage, sampler: str, seed: int, prune: bool
) -> optuna.Study:
    """A new study, or the one of that name, if it was made for the same space.

    Raises:
        UserError: the study of that name was made for another space.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    pruner = (
        optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)
        if prune
        else optuna.pruners.NopPruner()
    )
    study = optuna.create_study(
        study_name=name, storage=kept, direction="maximize", load_if_exists=True,
        sampler=SAMPLERS[sampler](seed), pruner=pruner,
    )  # fmt: skip
    known = study.user_attrs.get("space")
    if known is None:
        study.set_user_attr("space", space.text)
    elif known != space.text:
        raise UserError(
            f"study {name!r} was made for another space: give this one another --name, or the "
            "space and flags that it was made with"
        )
    return study


def revive(study: optuna.Study) -> int:
    """Trials that a dead process of this machine left running are tried again; returns how many."""
    count = 0
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        if is_alive(trial.user_attrs.get("process", "")) is False:
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params, user_attrs={"again": trial.number})
            count += 1
    return count


def work(study: optuna.Study, space: Space, trials: int, parent: str) -> None:
    """Try until the study has that many ended trials; several processes may do so at once."""

    def objective(trial: optuna.Trial) -> float:
        trial.set_user_attr("process", mark())
        recipe = space.draw(trial)
        watch = _Watch(trial)
        described = {
            "mlflow.parentRunId": parent,
            "sweep": study.study_name,
            "trial": str(trial.number),
        }
        try:
            outcome = train(recipe, more_tags=described, more_callbacks=[watch])
        except UserError as error:
            # a corner of the space that no network can be made of has no accuracy to report
            print(f"trial {trial.number} can't be trained: {error}")
            raise optuna.TrialPruned from None
        trial.set_user_attr("run", outcome.run_id)
        if watch.pruned:
            raise optuna.TrialPruned
        return outcome.figures["final/valid/song_accuracy"]

    study.optimize(objective, callbacks=[MaxTrialsCallback(trials, states=ENDED), _tell])


def join(space: Space, name: str, trials: int, where: str | None, options: dict[str, Any]) -> None:
    """Be one of several workers of a study that is open already."""
    study = open_study(space, name, storage(where, space.track, name), **options)
    study.sampler.reseed_rng()  # of one seed, all workers would begin with the same recipes
    work(study, space, trials, study.user_attrs["parent"])


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


def report(study: optuna.Study, tracker: Tracker) -> str:
    """Table and figures of a study into its parent run; returns what to print."""
    table = trials_table(study)
    tracker.log(table, "trials.csv")
    complete = [t for t in study.trials if t.state == TrialState.COMPLETE]
    if not complete:
        return "no trial was completed"
    for name, drawn in _figures(study, len(complete)).items():
        tracker.log(drawn, f"{name}.png")
    best = study.best_trial
    tracker.log_metrics({"best/song_accuracy": study.best_value, "trials": len(complete)})
    songs = len(_heard(best).right)
    lines = [table.drop(columns="run").to_markdown(index=False, floatfmt=".4g"), ""]
    near = int(table["like the best"].eq("yes").sum()) - 1
    lines.append(
        f"best: trial {best.number}, validation song accuracy {study.best_value:.3f} on {songs} "
        f"songs, where one song is {1 / songs:.4f}; {near} other trials can't be told from it "
        "(McNemar). It was chosen on those songs, so the figure is optimistic: train the recipe "
        "anew and test it."
    )
    lines += [f"  {name}: {value}" for name, value in best.params.items()]
    return "\n".join(lines)


def trials_table(study: optuna.Study) -> pd.DataFrame:
    """A row a trial, best first; ``like the best`` where McNemar's test can't tell them apart."""
    rows = []
    done = [t for t in study.trials if t.state in ENDED]
    best = None
    if any(t.state == TrialState.COMPLETE for t in done):
        best = _heard(study.best_trial)
    for trial in sorted(done, key=lambda t: (t.state != TrialState.COMPLETE, -(t.value or 0))):
        row: dict[str, Any] = {"trial": trial.number, "state": trial.state.name.lower()}
        row["song accuracy"] = trial.value
        row["like the best"] = ""
        if best is not None and trial.state == TrialState.COMPLETE:
            row["like the best"] = "yes" if mcnemar(best, _heard(trial)) >= ALPHA else "no"
        row |= trial.params
        row["run"] = trial.user_attrs.get("run", "")
        rows.append(row)
    return pd.DataFrame(rows)


def _heard(trial: FrozenTrial) -> System:
    """Which validation songs a trial got right."""
    return system(str(trial.number), [read_predictions(trial.user_attrs["run"])], "valid")


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


def _tell(study: optuna.Study, trial: FrozenTrial) -> None:
    value = "pruned" if trial.value is None or trial.state != TrialState.COMPLETE else trial.value
    ended = sum(t.state in ENDED for t in study.trials)
    print(f"trial {trial.number} ({ended} ended): {value}", flush=True)
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
