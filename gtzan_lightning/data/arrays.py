"""Arrays that were computed once and are kept; what is damaged is computed again.

A file is numpy's archive, which has a CRC-32 of each array that is compared as it is read.
"""

import tokenize
import zipfile
from pathlib import Path

import numpy as np

from gtzan_lightning.errors import in_a_line
from gtzan_lightning.files import replacing


def read_arrays(file: Path, *names: str) -> list[np.ndarray] | None:
    """The arrays of a file by their names; None where they are to be computed."""
    if not file.exists():
        return None
    try:
        with np.load(file) as kept:
            return [kept[name] for name in names]
    except (OSError, ValueError, KeyError, EOFError, SyntaxError, NotImplementedError,
            MemoryError, tokenize.TokenError, zipfile.BadZipFile) as error:  # fmt: skip
        print(f"{file} is damaged ({in_a_line(error)}): what it held is computed again", flush=True)
        return None


def write_arrays(file: Path, **arrays: np.ndarray) -> None:
    """Raises OSError where the disk can't take it."""
    with replacing(file) as part, part.open("wb") as sink:
        np.savez(sink, **arrays)  # type: ignore[arg-type]
