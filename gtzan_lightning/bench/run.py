"""What the package costs beside what it is compared with: both sides timed in one run.

Nothing heavy is imported before something is measured.
"""

import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from gtzan_lightning.bench.rows import COLUMNS, Results, table
from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing
from gtzan_lightning.recipe.settings import DataSettings, TrackSettings

PARTS = {
    "training": "the whole training step against the bare network's",
    "feeding": "clips of the packed corpus against soundfile, torchaudio and librosa",
    "features": "the five pictures against librosa",
    "defences": "decoders in processes of their own, digests and journals against none",
    "start": "from the command to the first training step, and to --help",
    "growth": "packing, feeding and memory from 100 to 10,000 songs",
}


def bench(only: list[str], root: str, repeats: int, out: Path | None, track: TrackSettings) -> str:
    """Measure the parts, record them as an MLflow run, write and return the table.

    Raises:
        UserError: wrong root, or results can't be written.
    """
    from gtzan_lightning.tracking.reading import check_output
    from gtzan_lightning.training.hardware import keep_freed_memory

    if out is not None and out.is_dir():
        raise UserError(f"--out {out} is a folder: name a file")
    check_output(track)
    keep_freed_memory()  # as training does, whichever parts are measured
    data = DataSettings(root=root)
    about = machine(root, repeats)
    results = Results()
    with tempfile.TemporaryDirectory(prefix="gtzan_lightning-bench-") as scratch:
        for part, measure in _measures(only):
            print(f"{part}: {PARTS[part]}", flush=True)
            folder = Path(scratch) / part
            folder.mkdir()
            measure(results, data, repeats, folder)
    about["load at the end"] = _load()
    _record(results, about, track)
    text = markdown(results, about, out)
    if out is not None:
        _write(out, text, results)
    return text


def _measures(only: list[str]) -> Iterator[tuple[str, Callable[..., None]]]:
    """The parts in their order; each is imported when its turn comes."""
    files = {"feeding": "libraries", "features": "libraries", "start": "growth"}
    for part in [part for part in PARTS if part in only]:
        module = import_module(f"gtzan_lightning.bench.{files.get(part, part)}")
        yield part, getattr(module, part)


def machine(root: str, repeats: int) -> dict[str, str]:
    """What the measurements depend on: machine, versions, threads, and how busy the machine was."""
    import torch

    from gtzan_lightning.data.packing import resolve
    from gtzan_lightning.tracking.environment import environment

    corpus, _ = resolve(DataSettings(root=root))
    return {
        "processor": _processor(),
        "threads": str(torch.get_num_threads()),
        "songs": corpus if corpus == "synthetic" else f"{corpus} ({Path(root).name})",
        "repeats": str(repeats),
        "load at the start": _load(),
        **environment(),
    }


def markdown(results: Results, about: dict[str, str], out: Path | None) -> str:
    """The page: table, plots that lie beside it, machine."""
    images = [f"![{name}]({_beside(out, name).name})" for name in results.plots if out]
    lines = "\n".join(f"- {name}: {value}" for name, value in about.items())
    return "\n\n".join(
        [
            "# What it costs",
            "Made by `python experiments/bench.py`, whose `--help` says how each row is measured. "
            "A ratio is how many times as fast ours is (growth: how many times as long 10,000 "
            "songs take as 100, for each song or clip): median of the turns, with least and "
            "greatest; both sides took turns in one run.",
            table(results.rows),
            *images,
            lines,
        ]
    )


def _record(results: Results, about: dict[str, str], track: TrackSettings) -> None:
    import pandas as pd

    from gtzan_lightning.tracking.tracker import Tracker

    tracker = Tracker(track)
    # no model is trained: without a corpus tag the run stays out of the comparison tables
    tracker.start("bench", {"mlflow.source.name": "experiments/bench.py", **about})
    with tracker.recording(with_system_metrics=False):
        tracker.log(table(results.rows), "bench.md")
        cells = pd.DataFrame([row.cells for row in results.rows], columns=list(COLUMNS))
        tracker.log(cells, "bench.csv")
        tracker.log_metrics({row.key: row.value for row in results.rows})
        for name, plot in results.plots.items():
            tracker.log(plot, name)


def _write(out: Path, text: str, results: Results) -> None:
    try:
        for name, plot in results.plots.items():
            with replacing(_beside(out, name)) as part:
                plot.savefig(part, format="png", dpi=110)
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
    info = {}
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        lines = (line.partition(":") for line in listed.read_text().splitlines())
        info = {name.strip(): value.strip() for name, _, value in lines}
    return info.get("model name") or platform.processor() or platform.machine()
