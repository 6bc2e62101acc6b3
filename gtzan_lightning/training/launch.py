"""The ways in which the processes of one training start, and how each of them learns of the run.

| launch | who starts the other processes | how they get the run's id |
|---|---|---|
| alone | nobody: there is one | it is theirs |
| lightning | Lightning, from the first one (``fit.devices 2``) | their environment |
| cluster | torchrun or SLURM, all at once | the first one broadcasts it |
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

import lightning
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

from gtzan_lightning.errors import UserError

SHARED_RUN = "GTZAN_LIGHTNING_RUN_ID"  # environment variable: the run of all processes


@dataclass(frozen=True)
class Launch:
    """Whether a trainer's processes start this way, and how they share the run's id."""

    applies: Callable[[lightning.Trainer], bool]
    share: Callable[[lightning.Trainer, str | None], str | None]


def _environment(trainer: lightning.Trainer) -> object:
    return getattr(trainer.strategy, "cluster_environment", None)


def _by_broadcast(trainer: lightning.Trainer, run_id: str | None) -> str | None:
    trainer.strategy.setup_environment()  # earlier than Lightning would let the processes meet
    return trainer.strategy.broadcast(run_id)


LAUNCHES: dict[str, Launch] = {
    "alone": Launch(lambda trainer: trainer.world_size == 1, lambda trainer, run_id: run_id),
    "lightning": Launch(
        lambda trainer: isinstance(_environment(trainer), LightningEnvironment),
        lambda trainer, run_id: run_id or os.environ[SHARED_RUN],
    ),
    "cluster": Launch(lambda trainer: _environment(trainer) is not None, _by_broadcast),
}


def shared_run_id(trainer: lightning.Trainer, run_id: str | None) -> str:
    """The first process's run, in every process.

    Args:
        run_id: the run, in the first process; None in the others.
    """
    launch = next(launch for launch in LAUNCHES.values() if launch.applies(trainer))
    shared = launch.share(trainer, run_id)
    assert shared, "the first process has no run"
    return shared


def check_launch(trainer: lightning.Trainer, strategy: str, num_nodes: int) -> None:
    """Refuse what could not be recorded as one run.

    Raises:
        UserError: a strategy that forks, or several machines without torchrun or SLURM.
    """
    if not isinstance(trainer.strategy.launcher, _SubprocessScriptLauncher | None):
        raise UserError(f"fit.strategy {strategy} can't be recorded: take ddp")
    if num_nodes > 1 and LAUNCHES["lightning"].applies(trainer):
        raise UserError(
            "fit.num_nodes above 1 needs torchrun or SLURM to start the processes: see "
            "experiments/slurm/train.sh"
        )


def cluster_plugins() -> list[SLURMEnvironment]:
    """Lightning's plugin for SLURM, where srun started this process, without its own requeueing.

    That saves the middle of an epoch into the current folder, and every later training that SLURM
    starts there, of whatever recipe, would begin from the file.
    """
    if TorchElasticEnvironment.detect() or not SLURMEnvironment.detect():
        return []
    return [SLURMEnvironment(auto_requeue=False)]
