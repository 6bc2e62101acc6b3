"""Rows of the benchmark: two sides timed in turn, ratios, times and sizes with a bound.

Two sides take turns (A B A B ...) after one untimed turn each, so that whatever else the machine
does falls on both; a ratio is the median over the turns, with the least and the greatest. Nothing
heavy is imported.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gtzan_lightning.errors import in_a_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# seconds before a turn: threads of OpenBLAS and OpenMP spin for about 0.03 s after their last work,
# on the cores that the other side wants then
PAUSE = 0.2
COLUMNS = ("what", "ours", "against", "ratio (range)", "target", "met?")
Pair = tuple[float, float]  # seconds of our side and of the other, in one turn
Act = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """A line of the table; ``value`` is what the target is about, NaN where there is none."""

    key: str  # of the MLflow metric
    cells: tuple[str, ...]  # as COLUMNS
    value: float


@dataclass
class Results:
    """What the parts of the benchmark measured."""

    rows: list[Row] = field(default_factory=list)
    plots: dict[str, "Figure"] = field(default_factory=dict)  # file name -> plot

    def add(self, row: Row) -> None:
        """Keep a row, and print it."""
        self.rows.append(row)
        print(" | ".join(cell for cell in row.cells if cell), flush=True)


@dataclass(frozen=True)
class Target:
    """A bound; ``times`` a ratio, otherwise ``unit`` of a time or a size."""

    bound: float
    least: bool  # else the most that is allowed
    unit: str = "x"

    def __str__(self) -> str:
        return f"{'>=' if self.least else '<'} {self.bound:g} {self.unit}"

    def met(self, value: float) -> str:
        """Whether a value is within the bound: yes or no."""
        return "yes" if (value >= self.bound if self.least else value < self.bound) else "no"


def interleaved(ours: Act, other: Act, repeats: int) -> list[Pair]:
    """Seconds of both sides, turn by turn, after one untimed turn of each."""
    ours(), other()
    return [(seconds(ours, PAUSE), seconds(other, PAUSE)) for _ in range(repeats)]


def seconds(act: Act, pause: float = 0.0) -> float:
    """Seconds that an act takes, after a pause of as many."""
    time.sleep(pause)
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def compared(
    key: str,
    what: str,
    against: str,
    pairs: list[Pair],
    clips: int,
    target: Target | None,
    of: str = "clips",
) -> Row:
    """How many times as fast our side is: the other side's seconds over ours.

    Args:
        clips: what each side handled in a turn.
        of: what they are called.
    """
    ratios = [other / ours for ours, other in pairs]
    rates = [clips / statistics.median(side) for side in zip(*pairs, strict=True)]
    ratio = statistics.median(ratios)
    spread = f"{ratio:.3g} ({min(ratios):.3g}-{max(ratios):.3g}, n = {len(ratios)})"
    verdict = (str(target), target.met(ratio)) if target else ("", "")
    shown = [f"{rate:,.0f} {of}/s" if rate >= 100 else f"{rate:.3g} {of}/s" for rate in rates]
    return Row(key, (what, shown[0], f"{against}: {shown[1]}", spread, *verdict), ratio)


def measured(key: str, what: str, values: list[float], target: Target, worst: bool = False) -> Row:
    """A number with a bound of its own: the best of the turns, or the worst, with their range."""
    value = max(values) if worst else min(values)
    spread = f"{min(values):.3g}-{max(values):.3g}, n = {len(values)}"
    cell = f"{value:.3g} {target.unit} ({spread})"
    return Row(key, (what, cell, "", "", str(target), target.met(value)), value)


def unmeasured(key: str, what: str, against: str, target: Target, reason: str) -> Row:
    """The row of a library that can't be used here, and why."""
    against = f"{against}: can't be measured here ({in_a_line(reason)})"
    return Row(key, (what, "", against, "", str(target), ""), float("nan"))


def table(rows: list[Row]) -> str:
    """Rows in Markdown."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(row.cells for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
