"""A ledger's digests, beside it: a line or a file that was changed by hand, or by a bit, is named.

``docs/results.sha256`` has one of each line of ``docs/results.csv`` and of each file of
``docs/results``.
"""

import hashlib
from collections.abc import Hashable, Mapping
from pathlib import Path

import pandas as pd

from gtzan_lightning.errors import UserError
from gtzan_lightning.files import file_sha256
from gtzan_lightning.recipe.command_line import write_output

Digests = dict[str, str]  # of "line RUN" and of "FOLDER/FILE"


def keep_digests(ledger: Path, lines: pd.DataFrame) -> None:
    """Write the digests of a ledger whose lines and files are right."""
    digests = {**_of_files(ledger), **_of_lines(lines)}
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    write_output(_beside(ledger), text)


def check_digests(
    ledger: Path, lines: pd.DataFrame, replaced: frozenset[str] = frozenset()
) -> None:
    """Compare a ledger with the digests beside it, where it has any.

    Args:
        replaced: runs whose lines and files are about to be written anew.

    Raises:
        UserError: names the first line or file that is not as it was added, or is gone.
    """
    if not _beside(ledger).exists():
        return
    kept = _read(ledger)
    found = {**_of_files(ledger), **_of_lines(lines)}
    for name in sorted(kept.keys() | found.keys()):
        run = name.removeprefix("line ").split("/")[-1].split(".")[0]
        if kept.get(name) != found.get(name) and run not in replaced:
            what = f"{ledger}: the {name}" if name.startswith("line ") else ledger.parent / name
            state = "is gone" if name not in found else "is not as 'results.py add' wrote it"
            raise UserError(
                f"{what} {state}, by {_beside(ledger).name}: take it back from version control, or "
                f"add the run again with 'results.py add {run}'"
            )


def _beside(ledger: Path) -> Path:
    return ledger.with_suffix(".sha256")


def _read(ledger: Path) -> Digests:
    text = _beside(ledger).read_text(errors="replace")
    pairs = [line.partition("  ")[::2] for line in text.splitlines()]
    return {name: digest for digest, name in pairs}


def _of_lines(lines: pd.DataFrame) -> Digests:
    return {f"line {line['run_id']}": _of_line(line) for line in lines.to_dict("records")}


def _of_line(line: Mapping[Hashable, str]) -> str:
    # not of empty cells, so that a new column changes no line
    cells = sorted((name, cell) for name, cell in line.items() if cell)
    return hashlib.sha256(repr(cells).encode()).hexdigest()


def _of_files(ledger: Path) -> Digests:
    folder = ledger.with_suffix("")
    return {
        f"{folder.name}/{file.name}": file_sha256(file)
        for file in (folder.iterdir() if folder.is_dir() else [])
        if not file.name.startswith(".")
    }
