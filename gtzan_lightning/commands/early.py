"""What a command says and refuses before it imports torch, which takes seconds."""

import sys
from collections.abc import Sequence

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import TrackSettings


def first_word(what: str) -> None:
    """Such as ``loading the model``, on the terminal of who waits for it."""
    if sys.stderr.isatty():
        print(f"{what} ...", file=sys.stderr, flush=True)


def check_runs(runs: Sequence[str], track: TrackSettings) -> None:
    """Refuse what no ``--run`` can mean.

    Raises:
        UserError: no such file, or no such run in a store on this machine.
    """
    from gtzan_lightning.tracking.glance import is_elsewhere, why_no_run

    for run in runs:
        if is_elsewhere(run):
            continue
        if run.endswith(".ckpt"):
            raise UserError(f"there is no checkpoint at {run}")
        if why := why_no_run(run, track):
            raise UserError(f"{run}: {why}")
