"""Rows of many files from a Ray cluster: Ray Data over their listing, a pool of taggers over that.

The journal stays with the command that was started: blocks of rows stream back to it as they are
made. Blocks of a worker that died are made again by another.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

# both are read at the import: nothing is reported to Ray's makers, and what its own processes say
# stays out of the terminal (failures come as exceptions)
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")

import pyarrow as pa
import ray
import ray.data
import torch
from ray.data import ActorPoolStrategy, DataContext
from ray.data.exceptions import ExecutionTimeoutError, SystemException
from ray.exceptions import RayError

from gtzan_lightning.errors import UserError, in_a_line
from gtzan_lightning.inference.tag_files import rows_of
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.models.checkpoint import Checkpoint

LOCAL = "local"
# a block is what a dead worker repeats and what reaches the journal at once; each costs Ray about
# 2 ms before the first starts
SONGS_IN_A_BLOCK = 256
BLOCKS_A_WORKER = 8
STARTS = 3  # of a worker that dies while it starts, in a row
TRIES = 5  # of a block whose workers die; Ray alone would never end at a file that crashes decoders


class TaggingWorker:
    """A worker of the pool: keeps one tagger while blocks of paths come and go."""

    def __init__(self, checkpoint: list[ray.ObjectRef], folder: str, threads: int) -> None:
        """Args:
        checkpoint: one reference to what ``tagger.fetch_checkpoint`` returns.
        folder: where relative paths start.
        threads: that decode.
        """
        tagger = Tagger(ray.get(checkpoint[0]))
        self.tagger = tagger.to("cuda" if torch.cuda.is_available() else "cpu")
        self.folder, self.threads = Path(folder), threads

    def __call__(self, block: pa.Table) -> pa.Table:
        """(path,) -> a row for each, cells as bytes: file names need not be UTF-8."""
        names = block["path"].to_pylist()
        files = [self.folder / os.fsdecode(name) for name in names]
        rows = zip(names, rows_of(self.tagger, files, self.threads), strict=True)
        return pa.table({"row": [[name, *map(os.fsencode, row[1:])] for name, row in rows]})


def rows_on_ray(
    files: Sequence[Path], checkpoint: Checkpoint, address: str, workers: int | None
) -> Iterator[list[str]]:
    """Each file's row as ``tag_files.rows_of`` makes it, in the order of their completion.

    Args:
        checkpoint: of ``tagger.fetch_checkpoint``; it is sent to the workers.
        address: ``local`` for a Ray of this machine that ends with the rows; ``auto`` or
            ``HOST:PORT`` for a running cluster, whose machines see the files at the same paths.
        workers: taggers (none: one for every GPU of the cluster, without GPUs one for every core).

    Raises:
        UserError: the cluster can't be reached, or the work can't continue there.
    """
    if not files:
        return
    _join(address, workers)
    try:
        listing = _listing(files, checkpoint, workers)
        blocks = listing.iter_batches(batch_size=None, batch_format="pyarrow")
        for block in cast(Iterator[pa.Table], blocks):
            for row in block["row"].to_pylist():
                yield [os.fsdecode(cell) for cell in row]
    except (RayError, ExecutionTimeoutError, SystemException) as error:
        raise UserError(
            f"Ray stopped: {_in_a_line(error)}; rows made so far are kept, the same command resumes"
        ) from None
    finally:
        ray.shutdown()


def _join(address: str, workers: int | None) -> None:
    """Start a Ray or join one; its own progress bars and messages stay out of the terminal."""
    own: dict[str, Any] = {}
    if address == LOCAL:
        cores = max(workers, os.cpu_count() or 1) if workers else None
        own = {"num_cpus": cores, "include_dashboard": False}
    try:
        with _without_stderr():
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (OSError, RayError, RuntimeError, ValueError, SystemExit) as error:
        # the address of a cluster that ended without saying so makes Ray exit
        raise UserError(
            f"--ray {address}: no cluster can be joined: {_in_a_line(error)} (one that wants a "
            "token is joined by its HOST:PORT only with RAY_AUTH_MODE=token)"
        ) from None
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_consecutive_actor_init_deaths = STARTS


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Without what Ray's libraries print past Python's logging while they start."""
    sys.stderr.flush()
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


def _listing(
    files: Sequence[Path], checkpoint: Checkpoint, workers: int | None
) -> ray.data.Dataset:
    """The files as a dataset of rows that are yet to be made."""
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    workers = workers or gpus or max(1, int(resources.get("CPU", 1)))
    threads = _cores_of_a_gpu() if gpus else 1  # a GPU's songs are decoded on its machine's cores
    songs = min(SONGS_IN_A_BLOCK, max(1, len(files) // (workers * BLOCKS_A_WORKER)))
    names = [{"path": os.fsencode(file)} for file in files]
    return ray.data.from_items(names, override_num_blocks=-(-len(names) // songs)).map_batches(
        TaggingWorker,
        fn_constructor_args=([ray.put(checkpoint)], str(Path.cwd()), threads),
        batch_size=None,
        batch_format="pyarrow",
        # those that find no room yet must not keep the others from starting
        compute=ActorPoolStrategy(min_size=1, max_size=workers, initial_size=workers),
        num_cpus=threads,
        num_gpus=1 if gpus else 0,
        max_task_retries=TRIES - 1,
    )


def _cores_of_a_gpu() -> int:
    """How many every GPU can have, so that a tagger finds room on any machine that has one."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    shares = [m.get("CPU", 1) // m["GPU"] for m in machines if m.get("GPU", 0) >= 1]
    return max(1, int(min(shares, default=1)))


def _in_a_line(error: BaseException) -> str:
    """What is at the bottom of an error that came from another process."""
    cause = getattr(error, "cause", None) or error.__cause__ or error
    return in_a_line(str(cause).partition("Traceback")[0]).rstrip(": ")
