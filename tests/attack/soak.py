"""An hour of work: the page's memory stays flat, and so does that of one table after another."""

import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from threading import Event, Thread

import numpy as np

from tests.attack.page import LARGEST, Page
from tests.attack.processes import run
from tests.attack.work import GTZAN, Tried, Work

EVERY = 30.0  # seconds between looks; a shorter soak has twenty looks
WARM = 0.2  # share of the soak in which libraries and caches may still grow
GROWTH = 64e6  # bytes that the rest may grow by, along the line of least squares
LIMIT = 1800.0  # seconds that one table may take


def soak(work: Work) -> Iterator[Tried]:
    """The page hears one song after another, while tables of the clean songs are made."""
    songs = [one for one in work.hostile if one.can_upload and one.path.stat().st_size < LARGEST]
    folder, over = work.folder("soak"), Event()
    peaks: list[tuple[float, int]] = []
    tagging = Thread(target=_tables, args=(work, folder, over, peaks), daemon=True)
    looks: list[tuple[float, int]] = []
    with Page(work.checkpoint, folder) as page:
        tagging.start()
        began, heard, failed = time.monotonic(), 0, ""
        every = min(EVERY, work.soak / 20)
        for one in cycle(songs):
            now = time.monotonic() - began
            if now >= len(looks) * every:
                looks.append((now, page.memory))
            if now > work.soak or page.process.poll() is not None:
                break
            said = page.hear(one.path).finding
            failed = failed or (said if said.startswith("the page ") else "")
            heard += 1
        over.set()
        died = "it died" if page.process.poll() is not None else failed
        kept = sum(file.stat().st_size for file in page.temporary.rglob("*") if file.is_file())
    tagging.join(LIMIT)
    what = f"page, {work.soak:.0f} s, {heard:,} songs"
    yield Tried(f"{what}, {kept / 1e6:.0f} MB of temporary files at its end", died)
    yield _flat(f"{what}: memory", looks)
    yield _flat(f"{len(peaks)} tables, one after another: highest memory of each", peaks)


def _flat(what: str, looks: list[tuple[float, int]]) -> Tried:
    """Whether memory is flat after the beginning: (seconds, bytes) of each look."""
    at, memory = np.array(looks, dtype=float).reshape(-1, 2).T
    late = at >= WARM * at.max(initial=0.0)
    at, memory = at[late], memory[late]
    if len(at) < 3:
        return Tried(what, f"only {len(at)} looks: too few to judge")
    growth = float(np.polyfit(at, memory, 1)[0] * (at[-1] - at[0]))
    said = f"{what} {memory.mean() / 1e6:.0f} MB, along its line {growth / 1e6:+.0f} MB"
    return Tried(said, f"it grows by {growth / 1e6:.0f} MB" if growth > GROWTH else "")


def _tables(work: Work, folder: Path, over: Event, peaks: list[tuple[float, int]]) -> None:
    """One ``gtzan tag`` after another until it is over; its seconds and highest memory."""
    began, out = time.monotonic(), folder / "table.csv"
    command = [*GTZAN, "tag", str(work.songs / "clean"), "--run", work.checkpoint]
    while not over.is_set():
        out.unlink(missing_ok=True)
        ended = run([*command, "--out", str(out)], LIMIT)
        peaks.append((time.monotonic() - began, ended.memory))
