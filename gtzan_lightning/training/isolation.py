"""A training that leaves the process as it was: seeds, warnings, log levels, environment."""

import contextlib
import logging
import os
import random
import signal
import threading
import warnings
from collections.abc import Iterator

import lightning
import numpy as np
import torch

# Lightning's hints that do not apply here: the packed corpus needs no loader processes, and
# torchmetrics has gathered the votes of all processes when a score is logged
HINTS = (
    ".*LeafSpec.*",
    ".*is smaller than the logging interval.*",
    ".*does not have many workers.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*sync_dist=True.*",
    ".*No (negative|positive) samples in targets.*",
    "Found .* in eval mode at the start of training",  # a frozen trunk's
    ".*`srun` command is available.*",
)


@contextlib.contextmanager
def isolated(seed: int, matmul_precision: str) -> Iterator[None]:
    """Seeded, without Lightning's hints; a notebook finds its own state again afterwards.

    Args:
        seed: of Python, numpy and torch.
        matmul_precision: as ``torch.set_float32_matmul_precision`` takes it.
    """
    logger = logging.getLogger("lightning.pytorch")
    level, environment = logger.level, dict(os.environ)
    try:
        with warnings.catch_warnings(), _random_states_kept(), _torch_kept(), _interrupts_kept():
            for hint in HINTS:
                warnings.filterwarnings("ignore", hint)
            logger.setLevel(logging.WARNING)
            torch.set_float32_matmul_precision(matmul_precision)
            lightning.seed_everything(seed, workers=True, verbose=False)
            yield
    finally:
        logger.setLevel(level)
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)


@contextlib.contextmanager
def _random_states_kept() -> Iterator[None]:
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_rng_state(cpu)
        torch.cuda.set_rng_state_all(gpus)


@contextlib.contextmanager
def _torch_kept() -> Iterator[None]:
    precision = torch.get_float32_matmul_precision()
    strict = torch.are_deterministic_algorithms_enabled()
    only_warn = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(strict, warn_only=only_warn)


@contextlib.contextmanager
def _interrupts_kept() -> Iterator[None]:
    """Lightning has an interrupted process ignore every later Ctrl-C."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)
