"""Comparisons as HTML pages that need no network (``*.html.jinja``; ``style.jinja`` is for all).

Tables of runs sort by their headings, intervals are drawn, learning curves and confusion matrices
fold out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle

import pandas as pd

from gtzan_lightning.results.pairs import texts
from gtzan_lightning.results.predictions import confusion, genre_columns
from gtzan_lightning.results.significance import Pair
from gtzan_lightning.results.tables import Row, Table
from gtzan_lightning.results.template import template

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2")
SORTED_BY = {  # column -> number of a row; the others are sorted as text
    "n": "n", "seeds": "seeds", "folds": "folds", "song accuracy": "accuracy",
    "95 % interval": "low", "macro F1": "f1", "AUROC": "auroc", "parameters": "parameters",
    "minutes": "minutes",
}  # fmt: skip
FIRST = ("model", "song accuracy", "95 % interval")  # columns that a phone shows
History = list[tuple[int, float]]


@dataclass(frozen=True)
class Details:
    """What folds out under a table's row.

    Attributes:
        curves: validation song accuracy of every epoch, of every run.
        counts: (genre, genre) songs of the first run that has predictions; empty without one.
    """

    name: str
    colour: str
    curves: list[list[float]]
    genres: list[str]
    counts: list[list[int]]


def html(
    tables: Sequence[Table],
    predictions: Callable[[str], pd.DataFrame | None],
    history: Callable[[str], History],
    run_url: Callable[[str], str | None],
    command: str,
) -> str:
    """The page of tables as text.

    Args:
        predictions: run id -> its predictions, or None.
        history: run id -> (step, validation song accuracy) of its epochs.
        run_url: run id -> address of its page, or None where no server shows it.
        command: that serves such pages; the tooltip of a run without an address.
    """
    sections = [
        (table, [
            _details(row, colour, table.part, predictions, history)
            for row, colour in zip(table.rows, cycle(COLOURS), strict=False)
        ])
        for table in tables
    ]  # fmt: skip
    return template("page.html.jinja").render(
        sections=sections, sorted_by=SORTED_BY, ordered=_ordered, run_url=run_url, command=command
    )


def html_of_pairs(pairs: Sequence[Pair], where: str) -> str:
    """The page of a comparison. Args: where: what the systems were measured on."""
    sentences = [pair.sentence() for pair in pairs]
    page = template("pairs.html.jinja")
    return page.render(lines=texts(pairs), sentences=sentences, where=where)


def _ordered(line: dict[str, str]) -> list[str]:
    """The names of the columns, those first that a narrow screen has room for."""
    return [name for name in FIRST if name in line] + [name for name in line if name not in FIRST]


def _details(
    row: Row,
    colour: str,
    part: str,
    predictions: Callable[[str], pd.DataFrame | None],
    history: Callable[[str], History],
) -> Details:
    name = f"{row.cells()['model']} ({row.recipe})"
    curves = [[value for _, value in history(run)] for run in row.runs]
    curves = [curve for curve in curves if len(curve) > 1]
    first = next((p for p in map(predictions, row.runs) if p is not None), None)
    if first is None or not (first["part"] == part).any():
        return Details(name, colour, curves, [], [])
    return Details(name, colour, curves, genre_columns(first), confusion(first, part).tolist())
