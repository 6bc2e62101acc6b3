"""What is measured in processes of its own: the start of a run, and what grows with the songs."""

import contextlib
import io
import itertools
import multiprocessing
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from gtzan_lightning.bench.rows import Pair, Results, Row, Target, compared, measured
from gtzan_lightning.bench.rows import seconds as time_of
from gtzan_lightning.data import sound_files
from gtzan_lightning.data.catalogue import GENRES
from gtzan_lightning.data.module import GenreData
from gtzan_lightning.data.packing import prepare
from gtzan_lightning.data.synthetic import render
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.recipe.settings import DataSettings, TrackSettings
from gtzan_lightning.results.plots import growth_plot
from gtzan_lightning.tracking.reading import first_time

RUN = (sys.executable, "-m", "gtzan_lightning", "run")
SIZES = (100, 1_000, 10_000)
RATE, SECONDS = 8_000, 2.0
RENDERED = 10  # songs of a genre that are rendered; the others are these at other levels
FIRST_STEP = (
    "--model efficientnet --data.corpus synthetic --data.synthetic_songs 10 "
    "--data.synthetic_seconds 4 --fit.max_epochs 1 --fit.limit_train_batches 1 "
    "--fit.log_every_n_steps 1 --track.uri local --track.log_model false"
)
SMALL = (
    f"--model small_cnn --data.corpus folder --data.sample_rate {RATE} --data.n_fft 512 "
    "--data.hop_length 256 --data.bins 32 --data.clip_seconds 1"
)


def start(results: Results, data: DataSettings, repeats: int, scratch: Path) -> None:
    """The main job on a small synthetic corpus, until its first step is recorded; ``--help``."""
    what = "run.py --model efficientnet, fresh process, to the end of the first training step"
    _first_step(scratch)  # packs the songs and makes the store
    times = [_first_step(scratch) for _ in range(min(repeats, 3))]
    results.add(measured("start/first_step_seconds", what, times, Target(12, False, "s")))
    times = [time_of(lambda: _run([*RUN, "--help"])) for _ in range(min(repeats, 3))]
    results.add(measured("start/help_seconds", "run.py --help", times, Target(1, False, "s")))


def _first_step(scratch: Path) -> float:
    """Seconds from the command until MLflow was given the first step's loss."""
    store = TrackSettings(folder=str(scratch / "mlruns"), uri="local")
    folders = ["--data.packed", str(scratch / "packed"), "--track.folder", store.folder]
    before = time.time()
    _run([*RUN, *FIRST_STEP.split(), *folders])
    return first_time(store, "train/loss_step") - before


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise UserError(f"{' '.join(command[1:4])} failed: {last}")


def growth(results: Results, data: DataSettings, repeats: int, scratch: Path) -> None:
    """Corpora of every size in turn, each packed and fed in a fresh process."""
    for size in SIZES:
        write_songs(scratch / f"songs{size}", size)
    turns: dict[int, list[dict[str, float]]] = {size: [] for size in SIZES}
    context = multiprocessing.get_context("spawn")
    for turn in range(min(repeats, 3)):
        for size in SIZES:
            packed = scratch / f"packed{size}-{turn}"
            with ProcessPoolExecutor(1, context) as process:
                songs = scratch / f"songs{size}"
                turns[size].append(process.submit(handle, songs, packed).result())
    for row in growth_rows(turns):
        results.add(row)
    medians = {
        size: {name: statistics.median(one[name] for one in of_size) for name in of_size[0]}
        for size, of_size in turns.items()
    }
    results.plots["growth.png"] = growth_plot(medians)


def growth_rows(turns: dict[int, list[dict[str, float]]]) -> list[Row]:
    """How many times as long a song or clip takes in the largest corpus as in the smallest."""
    least, most = min(turns), max(turns)
    whats = {
        "packing": "packing a song",
        "feeding": "feeding a clip of a training step",
        "evaluation": "an evaluation clip, to its picture",
    }
    rows = []
    for name, what in whats.items():
        pairs: list[Pair] = [
            (small[name], large[name])
            for small, large in zip(turns[least], turns[most], strict=True)
        ]
        middle = statistics.median(large for _, large in pairs)
        ratio = compared(f"growth/{name}", what, "", pairs, 1, Target(1.1, False))
        ours = f"{middle * 1e3:.3g} ms of {most:,} songs"
        against = f"{statistics.median(small for small, _ in pairs) * 1e3:.3g} ms of {least:,}"
        rows.append(Row(ratio.key, (what, ours, against, *ratio.cells[3:]), ratio.value))
    peaks = [turn["memory"] for turn in turns[most]]
    what = f"peak memory without a model, {most:,} songs"
    rows.append(measured("growth/memory_gb", what, peaks, Target(2, False, "GB"), worst=True))
    return rows


def write_songs(folder: Path, songs: int) -> None:
    """ROOT/GENRE/*.wav of synthetic songs of 2 s at 8 kHz, none the same as another."""
    for genre in GENRES:
        each = songs // len(GENRES)
        rendered = [render(genre, n, 0, SECONDS, RATE) for n in range(min(RENDERED, each))]
        (folder / genre).mkdir(parents=True)
        for number in range(each):
            level = 1 - 0.9 * number / each
            wave = level * rendered[number % len(rendered)]
            sound_files.write(folder / genre / f"{number:05}.wav", wave, RATE)


def handle(songs: Path, packed: Path, clips: int = 10_000) -> dict[str, float]:
    """Seconds to pack a song, to feed a training clip, to prepare an evaluation clip; peak GB.

    Args:
        clips: that are timed at least, in whole epochs.
    """
    recipe, _ = parse_run([*SMALL.split(), "--data.root", str(songs), "--data.packed", str(packed)])
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):  # its bar
        corpus = prepare(recipe.data)
    costs = {"packing": (time.perf_counter() - start) / len(corpus.songs)}
    data = GenreData(recipe)
    data.setup()
    costs["feeding"] = _each(data.train_dataloader, lambda batch: None, clips)
    costs["evaluation"] = _each(
        lambda: data.batches("valid"), lambda batch: data.on_after_batch_transfer(batch, 0), clips
    )
    return {**costs, "memory": peak_memory() / 1e9}


def _each(loader: Callable[[], DataLoader], use: Callable[[Any], object], clips: int) -> float:
    """Seconds a clip over whole epochs, their beginnings included, of at least so many clips."""
    for batch in itertools.islice(loader(), 2):
        use(batch)
    seen, start = 0, time.perf_counter()
    while seen < clips:
        for batch in loader():
            seen += len(batch["genre"])
            use(batch)
    return (time.perf_counter() - start) / seen


def peak_memory() -> int:
    """Bytes of this process that were resident at most, mapped files included."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux' ru_maxrss begins at what the parent process had
        return int(re.findall(r"VmHWM:\s*(\d+) kB", status.read_text())[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
