"""Optuna's studies: how they are opened, and who is at which trial."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from gtzan_lightning.errors import UserError
from gtzan_lightning.tracking.processes import is_alive
from gtzan_lightning.tuning.space import Space

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
PATIENCE = 120.0  # seconds for the process that creates a study to start its parent run
# name -> sampler of a seed and of the number of trials that are random first
SAMPLERS: dict[str, Callable[[int, int], optuna.samplers.BaseSampler]] = {
    # constant_liar: a worker expects little of what another is trying just now
    "tpe": lambda seed, startup: optuna.samplers.TPESampler(
        seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=startup
    ),
    "qmc": lambda seed, startup: optuna.samplers.QMCSampler(seed=seed, scramble=True),
    "random": lambda seed, startup: optuna.samplers.RandomSampler(seed=seed),
}


@dataclass(frozen=True)
class Search:
    """How recipes are proposed, and whether poor trials are stopped early."""

    sampler: str  # one of SAMPLERS
    seed: int
    startup: int  # trials that tpe draws at random first
    prune: bool

    @property
    def pruner(self) -> optuna.pruners.BasePruner:
        """Optuna's, which stops no trial without ``prune``."""
        if self.prune:
            return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)
        return optuna.pruners.NopPruner()


def open_study(
    space: Space, name: str, kept: BaseStorage, search: Search, start_parent: Callable[[], str]
) -> optuna.Study:
    """A new study, or the one of that name, if it was made for the same space.

    Args:
        start_parent: starts the study's MLflow run and returns its id. Of several processes that
            open a study at once only the one that creates it calls this; the others wait.

    Raises:
        UserError: the study of that name was made for another space, or has no parent run.
    """
    end = time.monotonic() + PATIENCE
    while not (_has_parent(name, kept) or _create(space, name, kept, start_parent)):
        if time.monotonic() > end:
            raise UserError(
                f"study {name!r} has no parent run: the process that created it died, or was no "
                "sweep. Give this one another --name"
            )
        time.sleep(0.5)
    study = optuna.load_study(study_name=name, storage=kept, pruner=search.pruner)
    # qmc's points are one sequence; the others would draw their first ones again
    drawn = 0 if search.sampler == "qmc" else len(study.get_trials(deepcopy=False))
    study.sampler = SAMPLERS[search.sampler](search.seed + drawn, search.startup)
    if study.user_attrs.get("space") != space.text:
        raise UserError(
            f"study {name!r} was made for another space: give this one another --name, or the "
            "space and flags that it was made with"
        )
    return study


def _has_parent(name: str, kept: BaseStorage) -> bool:
    try:
        return "parent" in kept.get_study_user_attrs(kept.get_study_id_from_name(name))
    except KeyError:  # there is no such study
        return False


def _create(space: Space, name: str, kept: BaseStorage, start_parent: Callable[[], str]) -> bool:
    """Create the study and start its parent run; false where the study exists."""
    try:  # one of several processes succeeds, in a journal as in a database
        study = kept.create_new_study([StudyDirection.MAXIMIZE], name)
    except DuplicatedStudyError:
        return False
    try:
        kept.set_study_user_attr(study, "space", space.text)
        kept.set_study_user_attr(study, "parent", start_parent())
    except BaseException:
        kept.delete_study(study)  # else the next process would wait for its parent run
        raise
    return True


def revive(study: optuna.Study) -> int:
    """Trials that a dead process of this machine left running are tried again; returns how many."""
    count = 0
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        if lives(trial) is False:
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params, user_attrs={"again": trial.number})
            count += 1
    return count


def ended(study: optuna.Study) -> int:
    """How many trials were completed or pruned."""
    return sum(t.state in ENDED for t in study.get_trials(deepcopy=False))


def places_before(study: optuna.Study, number: int, shared: bool) -> int:
    """How many trials before this one have ended, or will as far as is known."""
    trials = [t for t in study.get_trials(deepcopy=False) if t.number < number]
    running = [lives(t) for t in trials if t.state == TrialState.RUNNING]
    over = sum(t.state in ENDED for t in trials)
    return over + running.count(True) + shared * running.count(None)


def lives(trial: FrozenTrial) -> bool | None:
    """Whether the trial's process runs; None of another machine's, or of one not known yet."""
    return is_alive(trial.user_attrs.get("process", ""))
