"""Comparison tables as one HTML page that needs no network (``page.html.jinja``).

Tables sort on a click, intervals are drawn, learning curves and confusion matrices fold out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader

from gtzan_lightning.results.predictions import confusion, genre_columns
from gtzan_lightning.results.tables import Row, Table

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2")
SORTED_BY = {  # column -> number of a row; the others are sorted as text
    "n": "n", "seeds": "seeds", "folds": "folds", "song accuracy": "accuracy",
    "95 % interval": "low", "macro F1": "f1", "AUROC": "auroc", "parameters": "parameters",
    "minutes": "minutes",
}  # fmt: skip
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
) -> str:
    """The page as text.

    Args:
        predictions: run id -> its predictions, or None.
        history: run id -> (step, validation song accuracy) of its epochs.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    sections = [
        (table, [
            _details(row, colour, table.part, predictions, history)
            for row, colour in zip(table.rows, cycle(COLOURS), strict=False)
        ])
        for table in tables
    ]  # fmt: skip
    page = environment.get_template("page.html.jinja")
    return page.render(sections=sections, sorted_by=SORTED_BY)


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
