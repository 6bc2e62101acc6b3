"""Tables as a terminal shows them: short columns that fit its width; elsewhere Markdown."""

import io
import shutil
import sys
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table as Drawn
from rich.text import Text

from gtzan_lightning.results.rows import Row
from gtzan_lightning.results.tables import Table

LONG = 30  # letters of a cell
MARK = "> "  # before the row of the run that has just ended


def shown(table: Table, own: str = "") -> str:
    """A table for standard output.

    Args:
        own: id of a run whose row is marked.
    """
    if not sys.stdout.isatty():
        return table.markdown(own)
    marked = [own in row.runs for row in table.rows]
    remarks = [f"{MARK.strip()} this run."] * any(marked) + table.remarks
    return drawn(table.title, [_cells(row) for row in table.rows], remarks, marked)


def drawn(
    title: str,
    rows: Sequence[Mapping[str, str]],
    remarks: Sequence[str] = (),
    marked: Sequence[bool] = (),
    breaks: Sequence[str] = (),
) -> str:
    """A table as wide as the terminal at most; columns that are empty everywhere are left out.

    Args:
        rows: title -> text of each cell; the first column, and those of long texts, break where
            there is no room.
        breaks: titles of other columns that break.
        marked: which rows are printed in bold, with a mark.
    """
    marked = marked or [False] * len(rows)
    table = Drawn(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    filled = [name for name in rows[0] if any(row[name] for row in rows)] if rows else []
    for place, name in enumerate(filled):
        is_long = name in breaks or max(len(row[name]) for row in rows) > LONG
        is_number = name != "run" and all(row[name][:1].isdigit() for row in rows if row[name])
        least = min(12, max(len(row[name]) for row in rows)) if place == 0 else None
        table.add_column(name, overflow="fold", no_wrap=place > 0 and not is_long, min_width=least)
        table.columns[place].justify = "right" if is_number else "left"
    for row, is_own in zip(rows, marked, strict=True):
        cells = [Text(row[name]) for name in filled]
        cells[0] = Text(MARK) + cells[0] if is_own else cells[0]
        table.add_row(*cells, style="bold" if is_own else "")
    text = io.StringIO()
    width = shutil.get_terminal_size().columns
    console = Console(file=text, width=width, force_terminal=True, highlight=False)
    console.print(Text(title, "bold"), table, *map(Text, remarks), sep="\n")
    return text.getvalue().rstrip("\n")


def with_interval(accuracy: str, interval: str) -> str:
    """Such as ``0.600 ± 0.010 [0.543, 0.655]``."""
    return f"{accuracy} [{interval}]" if interval else accuracy


def _cells(row: Row) -> dict[str, str]:
    """The columns that matter most; ``compare --out`` writes all."""
    cells = row.cells()
    return {
        "model": cells["model"],
        "run": row.short_runs(),
        "song accuracy": with_interval(row.accuracy_text(), row.interval_text(", ")),
        "n": cells["n"],
        "seeds": cells["seeds"] if row.seeds > 1 else "",
        "folds": cells["folds"],
        "F1": cells["macro F1"],
        "min": cells["minutes"],
    }
