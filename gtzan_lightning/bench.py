"""What the package costs beside what it is compared with: both sides timed in one run.

Two sides take turns (A B A B ...) after one untimed turn each, so that whatever else the machine
does falls on both; a ratio is the median over the turns, with the least and the greatest. Nothing
heavy is imported before something is measured.
"""

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing
from gtzan_lightning.settings import DataSettings, TrackSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS = {
    "training": "the whole training step against the bare network's",
    "feeding": "clips of the packed corpus against soundfile, torchaudio and librosa",
    "features": "the five pictures against librosa",
    "start": "from the command to the first training step, and to --help",
    "growth": "packing, feeding and memory from 100 to 10,000 songs",
}
# seconds before a turn: threads of OpenBLAS and OpenMP spin for some 0.03 s after their last work,
# on the cores that the other side wants then
REST = 0.2
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
class Found:
    """What a part of the benchmark leaves behind."""

    rows: list[Row] = field(default_factory=list)
    figures: dict[str, "Figure"] = field(default_factory=dict)  # file name -> drawing

    def add(self, row: Row) -> None:
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
        return "yes" if (value >= self.bound if self.least else value < self.bound) else "no"


def interleaved(ours: Act, other: Act, repeats: int) -> list[Pair]:
    """Seconds of both sides, turn by turn, after one untimed turn of each."""
    ours(), other()
    return [(seconds(ours, REST), seconds(other, REST)) for _ in range(repeats)]


def seconds(act: Act, rest: float = 0.0) -> float:
    time.sleep(rest)
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
    per: str = "clips/s",
) -> Row:
    """How many times as fast our side is: the other side's seconds over ours.

    Args:
        clips: what each side handled in a turn.
    """
    ratios = [other / ours for ours, other in pairs]
    rates = [clips / statistics.median(side) for side in zip(*pairs, strict=True)]
    ratio = statistics.median(ratios)
    spread = f"{ratio:.3g} ({min(ratios):.3g}-{max(ratios):.3g}, n = {len(ratios)})"
    verdict = (str(target), target.met(ratio)) if target else ("", "")
    shown = [f"{rate:,.0f} {per}" if rate >= 100 else f"{rate:.3g} {per}" for rate in rates]
    return Row(key, (what, shown[0], f"{against}: {shown[1]}", spread, *verdict), ratio)


def measured(key: str, what: str, values: list[float], target: Target, worst: bool = False) -> Row:
    """A figure with a bound of its own: the best of the turns, or the worst, with their range."""
    value = max(values) if worst else min(values)
    spread = f"{min(values):.3g}-{max(values):.3g}, n = {len(values)}"
    cell = f"{value:.3g} {target.unit} ({spread})"
    return Row(key, (what, cell, "", "", str(target), target.met(value)), value)


def unmeasured(key: str, what: str, against: str, target: Target | None, reason: str) -> Row:
    reason = " ".join(reason.split())[:140]
    against = f"{against}: can't be measured here ({reason})"
    return Row(key, (what, "", against, "", str(target or ""), ""), float("nan"))


def bench(only: list[str], root: str, repeats: int, out: Path | None, track: TrackSettings) -> str:
    """Measure the parts, record them as an MLflow run, write and return the table.

    Raises:
        UserError: wrong root, or results can't be written.
    """
    from gtzan_lightning.store import check_output, store_uri
    from gtzan_lightning.surroundings import keep_freed_memory

    if out is not None and out.is_dir():
        raise UserError(f"--out {out} is a folder: name a file")
    check_output(track)
    keep_freed_memory()  # as training does, whichever parts are measured
    # the trainings below have a store of their own, which MLflow then takes for everybody's
    track = track.model_copy(update={"uri": store_uri(track)})
    data = DataSettings(root=root)
    about = machine(root, repeats)
    found = Found()
    with tempfile.TemporaryDirectory(prefix="gtzan_lightning-bench-") as scratch:
        for part, measure in _measures(only):
            print(f"{part}: {PARTS[part]}", flush=True)
            folder = Path(scratch) / part
            folder.mkdir()
            measure(found, data, repeats, folder)
    about["load at the end"] = _load()
    _record(found, about, track)
    text = markdown(found, about, out)
    if out is not None:
        _write(out, text, found)
    return text


def _measures(only: list[str]) -> Iterator[tuple[str, Callable[..., None]]]:
    """The parts in their order; each is imported when its turn comes."""
    for part in [part for part in PARTS if part in only]:
        if part == "training":
            from gtzan_lightning.bench_training import training as measure
        elif part in ("feeding", "features"):
            from gtzan_lightning import bench_peers

            measure = getattr(bench_peers, part)
        else:
            from gtzan_lightning import bench_growth

            measure = getattr(bench_growth, part)
        yield part, measure


def machine(root: str, repeats: int) -> dict[str, str]:
    """What the figures depend on: machine, versions, threads, and how busy the machine was."""
    import torch

    from gtzan_lightning.packing import resolve
    from gtzan_lightning.surroundings import environment

    corpus, _ = resolve(DataSettings(root=root))
    return {
        "processor": _processor(),
        "threads": str(torch.get_num_threads()),
        "songs": corpus if corpus == "synthetic" else f"{corpus} ({Path(root).name})",
        "repeats": str(repeats),
        "load at the start": _load(),
        **environment(),
    }


def table(rows: list[Row]) -> str:
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(row.cells for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown(found: Found, about: dict[str, str], out: Path | None) -> str:
    """The page: table, figures that lie beside it, machine."""
    drawn = [f"![{name}]({_beside(out, name).name})" for name in found.figures if out]
    lines = "\n".join(f"- {name}: {value}" for name, value in about.items())
    return "\n\n".join(
        [
            "# What it costs",
            "Made by `python experiments/bench.py`, whose `--help` says how each row is measured. "
            "A ratio is how many times as fast ours is (growth: how many times as long 10,000 "
            "songs take as 100, for each song or clip): median of the turns, with least and "
            "greatest; both sides took turns in one run.",
            table(found.rows),
            *drawn,
            lines,
        ]
    )


def _record(found: Found, about: dict[str, str], track: TrackSettings) -> None:
    import pandas as pd

    from gtzan_lightning.tracking import Tracker

    tracker = Tracker(track)
    # no model is trained: without a corpus tag the run stays out of the comparison tables
    tracker.start("bench", {"mlflow.source.name": "experiments/bench.py", **about})
    with tracker.recording(own_metrics=False):
        tracker.log(table(found.rows), "bench.md")
        cells = pd.DataFrame([row.cells for row in found.rows], columns=list(COLUMNS))
        tracker.log(cells, "bench.csv")
        tracker.log_metrics({row.key: row.value for row in found.rows})
        for name, figure in found.figures.items():
            tracker.log(figure, name)


def _write(out: Path, text: str, found: Found) -> None:
    try:
        for name, figure in found.figures.items():
            with replacing(_beside(out, name)) as part:
                figure.savefig(part, format="png", dpi=110)
        with replacing(out) as part:
            part.write_text(text + "\n")
    except OSError as error:
        raise UserError(f"the table can't be written to {out}: {error.strerror}") from None


def _beside(out: Path, name: str) -> Path:
    return out.with_name(f"{out.stem}-{name}")


def _load() -> str:
    """Processes that wanted to run in the last minute, on how many cores."""
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def _processor() -> str:
    info: dict[str, Any] = {}
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        lines = (line.partition(":") for line in listed.read_text().splitlines())
        info = {name.strip(): value.strip() for name, _, value in lines}
    return info.get("model name") or platform.processor() or platform.machine()
