"""predictions.csv, read and checked: a table of scores must not rest on a NaN, or on a row twice.

Both the store's readers and the ledger's use it. It is imported by them alone, as pandas takes its
time.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gtzan_lightning.errors import UserError, in_a_line
from gtzan_lightning.recipe.bounded import TABLE_BYTES, bytes_of

KEYS = ("part", "song", "artist", "start", "genre")  # columns; each other one is a genre
NEEDED = ("part", "song", "start", "genre")
PARTS = ("train", "valid", "test")
OFF = 0.01  # by which a row's probabilities may miss 1: they are written with six decimals


def read_predictions_csv(file: Path, what: str) -> pd.DataFrame:
    """The table of a run's predictions; the artist is "" where it is unknown.

    Args:
        what: whose it is, for messages.

    Raises:
        UserError: it can't be read or is no such table; names the row.
    """
    where, content = f"{what} {file}", bytes_of(file, what, TABLE_BYTES)
    words: dict[str, type[str]] = dict.fromkeys(("part", "song", "artist", "genre"), str)
    try:
        table = pd.read_csv(io.BytesIO(content), dtype=words, keep_default_na=False)
    except (ValueError, OverflowError, RecursionError) as error:
        said = in_a_line(error)
        raise UserError(f"{where} is no table of predictions ({said}): test the run anew") from None
    genres = [name for name in table.columns if name not in KEYS]
    lacking = [name for name in NEEDED if name not in table]
    if lacking or len(genres) < 2 or table.empty:
        need = f"a column {lacking[0]!r}" if lacking else "rows, or columns of two genres"
        raise UserError(f"{where} is no table of predictions: it lacks {need}")
    numbers = ["start", *genres]
    table[numbers] = table[numbers].apply(_as_numbers)
    _check(table, genres, where)
    return table


def _as_numbers(column: "pd.Series[Any]") -> "pd.Series[float]":
    """NaN for cells that are none; pandas' own ``to_numeric`` fails at integers of 400 digits."""
    if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
        return column.map(_number).astype(float)
    return column.astype(float)


def _number(cell: object) -> float:
    try:
        return float(str(cell))
    except ValueError:
        return float("nan")


def _check(table: pd.DataFrame, genres: list[str], where: str) -> None:
    logs = table[genres].to_numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.exp(logs).sum(1)
    wrong = {
        "its part is none": ~table["part"].isin(PARTS),
        "its start is no number": ~np.isfinite(table["start"]),
        "its genre has no column": ~table["genre"].isin(genres),
        "a probability is no number": ~np.isfinite(logs).all(1),
        "its probabilities do not sum to 1": ~(np.abs(sums - 1) < OFF),
        "it is there twice": table.duplicated(["part", "song", "start"]),
        "its song has two genres": table.groupby("song")["genre"].transform("nunique") > 1,
    }
    for why, rows in wrong.items():
        bad = np.flatnonzero(np.asarray(rows))
        if len(bad):
            row = table.iloc[bad[0]]
            raise UserError(
                f"{where}, line {bad[0] + 2}: {row['part']} song {row['song']}, clip at "
                f"{row['start']} s: {why}; {len(bad)} of {len(table)} rows are so: test the run "
                "anew, or leave it out"
            )
