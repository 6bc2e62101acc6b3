"""kill -9 at random moments of everything that takes long, resumed to the same bytes."""

import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from gtzan_lightning.data.catalogue import GENRES
from gtzan_lightning.data.synthetic import render
from tests import interrupted
from tests.attack.processes import Ended, run
from tests.attack.work import GTZAN, Tried, Work
from tests.conftest import RATE, quick_flags

LIMIT = 600.0  # seconds that a command may take
START = 3.0  # seconds in which Python imports
TRIES = 3  # moments that may come too late, of one kill
COPIES = 20  # of each clean song, so that tagging takes longer than its start
SPACE = """space:
  model.dropout: {float: [0.0, 0.5]}
  fit.learning_rate: {float: [1.0e-3, 1.0e-2], log: true}
"""


@dataclass(frozen=True)
class Job:
    """A command that is killed, and what it leaves.

    Attributes:
        share: of all kills.
        command: of a folder for its outputs; the same again resumes.
        left: what must be equal, from that folder.
    """

    name: str
    share: float
    command: Callable[[Path], list[str]]
    left: Callable[[Path], bytes]


def kills(work: Work) -> Iterator[Tried]:
    """Runs (packing, training, checkpoints, testing, logging), then the other commands."""
    folder = work.folder("kills")
    jobs = _jobs(work, folder)
    counts = [round(work.kills * job.share) for job in jobs]
    for one in interrupted.kills(work.kills - sum(counts), work.seed, folder / "run"):
        yield Tried(f"run: {one.moment}", one.lost)
    for job, count in zip(jobs, counts, strict=True):
        yield from _killed(job, count, work.seed, folder / job.name)


def _killed(job: Job, count: int, seed: int, folder: Path) -> Iterator[Tried]:
    def give(name: str, kill_after: float | None = None) -> Ended:
        (folder / name).mkdir(parents=True, exist_ok=True)
        return run(job.command(folder / name), LIMIT, kill_after)

    whole = give("whole")
    if whole.status != 0:
        yield Tried(f"{job.name}, undisturbed", f"status {whole.status}: {whole.said[-200:]}")
        return
    seconds, truth = give("again").seconds, job.left(folder / "whole")
    if job.left(folder / "again") != truth:
        yield Tried(f"{job.name}, twice", "other bytes without any kill")
        return
    draw = random.Random(seed)
    for number in range(count):
        for _ in range(TRIES):
            moment = draw.uniform(START, seconds)
            shutil.rmtree(folder / "killed", ignore_errors=True)
            if give("killed", moment).status is None and not _is_over(job, folder / "killed"):
                break
            seconds = max(START + 1, 0.97 * moment)
        again = give("killed")
        lost = again.noise() or ("" if again.status == 0 else again.said.strip()[-200:])
        if not lost and job.left(folder / "killed") != truth:
            lost = "other bytes than the undisturbed command's"
        yield Tried(f"{job.name}: {moment:.1f} of {seconds:.1f} s ({number + 1})", lost)


def _is_over(job: Job, folder: Path) -> bool:
    """Whether all was there already when the process was killed."""
    try:
        return bool(job.left(folder))
    except (OSError, ValueError, AssertionError):
        return False


def _jobs(work: Work, folder: Path) -> list[Job]:
    work.hostile  # noqa: B018 (they are made)
    clean, songs, gtzan = str(work.songs / "clean"), folder / "songs", _gtzan(folder / "gtzan")
    _copies(work.songs / "clean", songs)
    space = folder / "space.yaml"
    space.write_text(SPACE)
    pack = [sys.executable, "-m", "tests.attack.packs", "pack", clean]
    tag = [*GTZAN, "tag", str(songs), "--run", work.checkpoint, "--out"]
    ladder = ["--data.corpus", "gtzan", "--data.root", str(gtzan), "--data.features", "mfcc"]
    ladder += ["--model.neighbours", "1", "--model.summary", "mean", "--data.split", "auto"]
    ladder += ["--data.folds", "3", "--data.valid_fraction", "0.4", "--equal", "--rungs", "clips"]
    sweep = ["--space", str(space), "--sampler", "qmc", "--no-prune", "--trials", "4"]
    return [
        Job("packing", 0.12, lambda to: [*pack, str(to / "packed"), str(to / "out")], _packed),
        Job("tagging", 0.16, lambda to: [*tag, str(to / "table.csv")], _file("table.csv")),
        Job("sweeping", 0.12, lambda to: [*GTZAN, "sweep", *quick_flags(to / "packed", to),
                                          "--track.log_model", "false", *sweep], _trials),
        Job("laddering", 0.12, lambda to: [*GTZAN, "ladder", *quick_flags(to / "packed", to, "knn"),
                                           *ladder, "stratified", "artist", "--out",
                                           str(to / "out")], _rungs),
    ]  # fmt: skip


def _file(name: str) -> Callable[[Path], bytes]:
    return lambda folder: (folder / name).read_bytes()


def _packed(folder: Path) -> bytes:
    """The array and the table of songs; nothing half written."""
    (made,) = (file.parent for file in folder.glob("packed/*/corpus.json"))
    assert not list(folder.rglob("*.part"))
    return b"".join(file.read_bytes() for file in sorted(made.iterdir()) if file.is_file())


def _trials(folder: Path) -> bytes:
    """What was tried and its accuracies: a resumed study numbers its trials differently."""
    (file,) = folder.glob("mlruns/runs/*/artifacts/trials.csv")
    table = pd.read_csv(file).drop(columns=["trial", "run"])
    return table.sort_values(list(table.columns)).to_csv(index=False).encode()


def _rungs(folder: Path) -> bytes:
    """The ladder without the ids of its runs."""
    return pd.read_csv(folder / "out" / "ladder.csv").drop(columns="run").to_csv().encode()


def _copies(clean: Path, songs: Path) -> None:
    """The clean songs, so often that tagging takes some time."""
    songs.mkdir(parents=True)
    for file in sorted(clean.rglob("*.*")):
        for number in range(COPIES):
            os.link(file, songs / f"{file.stem}-{number:02}{file.suffix}")


def _gtzan(root: Path) -> Path:
    """A part of GTZAN: six synthetic songs of each genre."""
    for genre in GENRES:
        (root / genre).mkdir(parents=True)
        for number in range(6):
            wave = render(genre, number, 0, 4.0, RATE)
            soundfile.write(root / genre / f"{genre}.{number:05}.wav", np.round(wave, 4), RATE)
    return root
