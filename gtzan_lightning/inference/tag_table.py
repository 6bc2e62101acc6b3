"""Tables of genres, a row for each file: CSV, Parquet, JSON Lines.

Needs no model and no sound: what can't work is said before they are loaded.
"""

import csv
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from gtzan_lightning.data.listing import AUDIO, sounds_under, why_no_file, why_no_folder
from gtzan_lightning.errors import UserError

COLUMNS = ("path", "genre", "probability", "seconds", "remarks", "error")
_TEXTS = ("path", "genre", "remarks", "error")  # the other columns are numbers
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Format:
    """How a table is read and written; rows to write hold texts, "" where there is no number."""

    read: Callable[[Path], Rows]
    write: Callable[[Path, Rows], None]


def find_sounds(places: Sequence[Path], none_yet: bool = False) -> list[Path]:
    """Sound files of folders (at any depth, in order) and files that are named themselves.

    Among them are those that can't be read, and folders that can't be: see ``sounds_under``.

    Args:
        none_yet: there may be no sound.

    Raises:
        UserError: a place does not exist or can't be listed, or there is no sound in any.
    """
    files: dict[Path, None] = {}  # a set that keeps the order
    for place in places:
        if os.path.isdir(place):
            if why := why_no_folder(place):
                raise UserError(f"{place}: {why}")
            files |= dict.fromkeys(sounds_under(place))
        elif os.path.lexists(place):
            files[place] = None
        else:
            raise UserError(f"{place} does not exist")
    if not files and not none_yet:
        raise UserError(
            f"no sound in {', '.join(map(str, places))}: looked for *{{{','.join(AUDIO)}}}"
        )
    return list(files)


def check_out(out: Path) -> None:
    """Raise UserError if a table can't be written there."""
    if out.suffix not in FORMATS:
        raise UserError(f"--out {out} must end in {_suffixes()}")
    if os.path.lexists(out):
        raise UserError(f"{out} exists: remove it, or name another file with --out")
    if not os.path.isdir(out.parent):
        raise UserError(f"--out {out}: there is no folder {out.parent}")


def read_table(file: Path) -> Rows:
    """The rows of a table.

    Raises:
        UserError: no such file, or no table of genres.
    """
    if file.suffix not in FORMATS:
        raise UserError(f"{file} is no table of genres: its name must end in {_suffixes()}")
    if os.path.lexists(file) and (why := why_no_file(file)):
        raise UserError(f"{file} can't be read: {why}")
    try:
        rows = FORMATS[file.suffix].read(file)
        if not all(isinstance(row["path"], str) for row in rows):
            raise TypeError("a path that is no text")
        rows = [{**row, "genre": row["genre"] or ""} for row in rows]
        if not all(isinstance(row["genre"], str) for row in rows):
            raise TypeError("a genre that is no text")
    except OSError as error:
        raise UserError(f"{file} can't be read: {error.strerror or error}") from None
    except (ValueError, TypeError, KeyError, RecursionError, NotImplementedError, csv.Error):
        raise UserError(f"{file} is no table that gtzan tag --out wrote") from None
    return rows


def write_table(file: Path, rows: Rows, suffix: str) -> None:
    """Write rows of texts in the format of a suffix."""
    FORMATS[suffix].write(file, rows)


def read_csv(file: Path) -> Rows:
    """Not by pandas, which takes no name that is not UTF-8."""
    with file.open(newline="", encoding="utf-8", errors="surrogateescape") as source:
        return list(csv.DictReader(source))


def _write_csv(file: Path, rows: Rows) -> None:
    with file.open("w", newline="", encoding="utf-8", errors="surrogateescape") as sink:
        writer = csv.writer(_Lines(sink))
        writer.writerow(rows[0])
        writer.writerows(row.values() for row in rows)


class _Lines:
    r"""Ends lines with \n. The csv module, told to do so itself, puts no quotes around a \r."""

    def __init__(self, sink: TextIO) -> None:
        self.sink = sink

    def write(self, line: str) -> int:
        return self.sink.write(line.removesuffix("\r\n") + "\n")


def _read_parquet(file: Path) -> Rows:
    import pandas as pd

    rows = pd.read_parquet(file).to_dict("records")
    return [{str(column): cell for column, cell in row.items()} for row in rows]


def _write_parquet(file: Path, rows: Rows) -> None:
    import pandas as pd

    # the format holds UTF-8 only
    named = [
        {**row, "path": os.fsencode(row["path"]).decode(errors="backslashreplace")} for row in rows
    ]
    table = pd.DataFrame(_with_numbers(named))
    numbers = dict.fromkeys([c for c in table.columns if c not in _TEXTS], float)
    table.astype(numbers).to_parquet(file, index=False)


def _read_jsonl(file: Path) -> Rows:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _write_jsonl(file: Path, rows: Rows) -> None:
    # a name that is not UTF-8 becomes an escape, such as \udce9, that readers of JSON undo
    with file.open("w", encoding="utf-8", errors="backslashreplace") as sink:
        for row in _with_numbers(rows):
            sink.write(json.dumps(row, ensure_ascii=False) + "\n")


def _with_numbers(rows: Rows) -> Rows:
    """The rows with numbers in place of their texts, None for those that a broken file lacks."""
    return [
        {
            column: cell if column in _TEXTS else float(cell) if cell else None
            for column, cell in row.items()
        }
        for row in rows
    ]


FORMATS = {
    ".csv": Format(read_csv, _write_csv),
    ".parquet": Format(_read_parquet, _write_parquet),
    ".jsonl": Format(_read_jsonl, _write_jsonl),
}


def _suffixes() -> str:
    *others, last = FORMATS
    return f"{', '.join(others)} or {last}"
