"""What a checkpoint holds; written and read here alone."""

from pathlib import Path
from typing import Any

import torch

from gtzan_lightning.errors import UserError
from gtzan_lightning.version import __version__

CHECKPOINT = "gtzan_lightning"  # key under which a checkpoint describes itself
CHECKPOINT_FORMAT = 2


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of this package as plain values and tensors; code in it is never executed.

    Raises:
        UserError: missing, truncated, made by something else, or of another format.
    """
    if not path.is_file():
        raise UserError(f"there is no checkpoint at {path}")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and torch each have their own errors for bad bytes
        reason = " ".join(str(error).split())[:120]
        raise UserError(
            f"checkpoint {path} can't be read, it is truncated or not one of ours ({reason}): "
            "train again, or take another checkpoint"
        ) from None
    about = checkpoint.get(CHECKPOINT) if isinstance(checkpoint, dict) else None
    if about is None:
        raise UserError(f"checkpoint {path} was not made by gtzan_lightning")
    if about["format"] != CHECKPOINT_FORMAT:
        raise UserError(
            f"checkpoint {path} was made by gtzan_lightning {about['version']} (format "
            f"{about['format']}), this is {__version__} (format {CHECKPOINT_FORMAT}): install "
            "that version, or train again"
        )
    return checkpoint
