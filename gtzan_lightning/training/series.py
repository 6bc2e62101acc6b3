"""Several runs of one recipe, of other seeds and folds: finished ones are kept, others made."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from gtzan_lightning.data.module import GenreData
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import LAST
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.results.rows import column
from gtzan_lightning.tracking.environment import CODE, environment
from gtzan_lightning.tracking.reading import has_store, runs_table
from gtzan_lightning.tracking.run_folder import folder_of
from gtzan_lightning.training.callbacks import say
from gtzan_lightning.training.hardware import gpus
from gtzan_lightning.training.isolation import isolated
from gtzan_lightning.training.report import membership
from gtzan_lightning.training.train import train
from gtzan_lightning.training.trainer import checked_trainer

SHARE = "GTZAN_LIGHTNING_SHARE"  # environment variable of a worker, such as 0/2


@dataclass(frozen=True)
class Member:
    """A run of a series, and the tags that it is recognised by in the store."""

    recipe: Recipe
    tags: dict[str, str]
    data: GenreData

    def find(self, runs: pd.DataFrame) -> str | None:
        """Id of the newest finished run of this recipe, seed, fold, songs and code."""
        names = [*self.tags]
        if runs.empty or not {*names, "status"} <= set(runs.columns):
            return None
        same = (runs[names].astype(str) == pd.Series(self.tags)).all(axis=1)
        ended = runs[same & (runs["status"] == "FINISHED")]
        return None if ended.empty else str(ended["run_id"].iloc[0])


def members(recipes: Sequence[Recipe]) -> list[Member]:
    """The runs that recipes ask for."""
    code = {name: environment()[name] for name in CODE}
    of_recipes = []
    for recipe in recipes:
        data = GenreData(recipe)
        data.setup()
        of_recipes.append(
            Member(data.recipe, {**data.measured_by(data.recipe), **membership(data), **code}, data)
        )
    return of_recipes


def run_series(
    recipes: Sequence[Recipe], more_tags: dict[str, str] | None = None
) -> dict[str, Recipe]:
    """Make the runs that are not finished yet, of this process' share; returns those that are.

    Interrupted runs are resumed. A finished run that kept its test part closed opens it where a
    recipe asks for that.

    Returns:
        Ids of the finished runs of all recipes, with their recipes.

    Raises:
        UserError: as ``train`` does; or one training would start several processes itself.
    """
    series, said = members(recipes), set[str]()
    check_one_process(recipes[0])
    for number, member in enumerate(series, 1):
        what = f"run {number} of {len(series)}: {describe(member.recipe)}"
        if number - 1 not in own_share(len(series)):
            continue
        done = next(iter(finished([member])), None)
        if done is None:
            say(what)
            train(member.recipe, LAST, more_tags=more_tags, said=said)
        elif _must_open(member, done):
            say(f"{what}, whose test part is opened")
            train(member.recipe, done, said=said)
        else:
            say(f"{what} is finished: {done}")
    return finished(series)


def describe(recipe: Recipe) -> str:
    """Such as ``small_cnn, artist, seed 1, fold 0``."""
    fold = f", fold {recipe.data.fold}" if recipe.data.has_folds else ""
    return f"{recipe.title}, {recipe.data.split}, seed {recipe.seed}{fold}"


def own_share(count: int) -> range:
    """Which of so many runs are this process': task of a SLURM array, worker of a machine."""
    number = r"[0-9]{1,7}"
    task = int(_said("SLURM_ARRAY_TASK_ID", "0", number))
    task -= int(_said("SLURM_ARRAY_TASK_MIN", "0", number))
    step, tasks = (
        int(_said(f"SLURM_ARRAY_TASK_{name}", "1", "[1-9][0-9]{0,6}")) for name in ("STEP", "COUNT")
    )
    worker, workers = map(int, _said(SHARE, "0/1", "[0-9]{1,4}/[1-9][0-9]{0,3}").split("/"))
    of_task = range(max(0, task) // step, count, tasks)
    return of_task[worker::workers]


def _said(name: str, default: str, pattern: str) -> str:
    """An environment variable. Raises UserError where it is not as its program sets it."""
    text = os.environ.get(name, default)
    if not re.fullmatch(pattern, text):
        raise UserError(f"{name} is {text!r} in the environment, not such as {default}: unset it")
    return text


def run_workers(count: int, command: list[str], kept: str) -> None:
    """Run a command in so many processes, which share the cores, and the GPUs one by one.

    Args:
        kept: what remains where one fails, for the message.

    Raises:
        UserError: a worker failed.
    """
    threads = max(1, (os.cpu_count() or 1) // count)
    workers = []
    for number in range(count):
        more = {"OMP_NUM_THREADS": str(threads), SHARE: f"{number}/{count}"}
        if gpus():
            more["CUDA_VISIBLE_DEVICES"] = gpus()[number % len(gpus())]
        workers.append(subprocess.Popen(command, env={**os.environ, **more}))
    try:
        failed = sum(worker.wait() != 0 for worker in workers)
    except KeyboardInterrupt:
        for worker in workers:
            worker.wait()  # the terminal has interrupted them as well
        raise
    if failed:
        raise UserError(f"{failed} of {count} workers failed: {kept}")


def worker_command(command: str, argv: Sequence[str]) -> list[str]:
    """The same command without ``--workers``, for one of them."""
    at = argv.index("--workers")
    own = [*argv[:at], *argv[at + 2 :]]
    return [sys.executable, "-m", "gtzan_lightning", command, *own]


def finished(series: Sequence[Member]) -> dict[str, Recipe]:
    """Ids of the finished runs of a series, with their recipes."""
    track = series[0].recipe.track
    runs = runs_table(track) if has_store(track) else pd.DataFrame()
    return {done: m.recipe for m in series if (done := m.find(runs))}


def _must_open(member: Member, run_id: str) -> bool:
    """Whether a finished run is to open its test part, and can: it is of this machine."""
    if not member.recipe.fit.open_test or "test" not in member.data.measured_parts:
        return False
    runs = runs_table(member.recipe.track)
    tested = column(runs, "final/test/songs")[runs["run_id"] == run_id] > 0
    here = (folder_of(member.recipe.track, run_id) / "recipe.yaml").exists()
    return here and not tested.any()


def check_one_process(recipe: Recipe) -> None:
    """Raises UserError where a training of the recipe would start several processes itself."""
    with isolated(recipe.seed, recipe.fit.matmul_precision):
        trainer = checked_trainer(recipe)
    if trainer.world_size > 1 and not os.environ.get("SLURM_NTASKS"):
        raise UserError(
            f"several runs one after another take one device each, not {trainer.world_size}: add "
            f"--workers {trainer.world_size} for runs at the same time, or fit.devices 1"
        )
