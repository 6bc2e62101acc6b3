"""An hour of work: the page's memory stays flat, and so does that of a command that watches."""

import csv
import shutil
import subprocess
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Self

import numpy as np

from tests.attack.page import FAILS, LARGEST, Page
from tests.attack.processes import bounded, kill_group, memory_of
from tests.attack.work import ENVIRONMENT, GTZAN, ROOT, Tried, Work

EVERY = 30.0  # seconds between looks; a shorter soak has twenty looks
WARM = 0.2  # share of the soak in which libraries and caches may still grow
GROWTH = 64e6  # bytes that the rest may grow by, along the line of least squares
SONGS = 1000  # in the watched folder, where half of them are at first
LAST = 120.0  # seconds for the last songs' rows


class Watched:
    """``gtzan tag --watch`` of a folder that songs come into, and change in."""

    def __init__(self, work: Work, folder: Path) -> None:
        self.clean = sorted((work.songs / "clean").rglob("*.*"))
        self.songs, self.table = folder / "watched", folder / "table.csv"
        self.songs.mkdir()
        self.log = folder / "watch.log"
        self.put = 0
        self.bring(SONGS // 2)
        command = [*GTZAN, "tag", str(self.songs), "--run", work.checkpoint, "--watch", "1"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--out", str(self.table)], cwd=ROOT, env=ENVIRONMENT, stdout=log,
                stderr=log, start_new_session=True, preexec_fn=bounded,
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        kill_group(self.process)

    def bring(self, count: int) -> None:
        """So many songs more; from the last one on, others in the place of the first ones."""
        for number in range(self.put, self.put + count):
            song = self.clean[number % len(self.clean)]
            place = self.songs / f"{number % SONGS:04}{song.suffix}"
            for other in self.songs.glob(f"{place.stem}.*"):
                other.unlink()
            shutil.copy(song, place)
        self.put += count

    @property
    def memory(self) -> int:
        return memory_of(self.process.pid)

    def lost(self) -> str:
        """What is wrong after the last song: it ended, or rows are not those of the songs."""
        end, rows, songs = time.monotonic() + LAST, set[str](), set[str]()
        while self.process.poll() is None and time.monotonic() < end:
            time.sleep(2)
            songs = {str(path) for path in self.songs.iterdir()}
            if self.table.exists():
                with self.table.open(newline="") as table:
                    rows = {row["path"] for row in csv.DictReader(table)}
            if rows == songs:
                return ""
        said = self.log.read_text(errors="replace")[-200:]
        return f"{len(songs)} songs have {len(rows & songs)} rows: {said}"


def soak(work: Work) -> Iterator[Tried]:
    """The page hears one song after another, while a command watches a folder."""
    songs = [one for one in work.hostile if one.can_upload and one.path.stat().st_size < LARGEST]
    folder = work.folder("soak")
    of_page: list[tuple[float, int]] = []
    of_watch: list[tuple[float, int]] = []
    with Page(work.checkpoint, folder) as page, Watched(work, folder) as watched:
        began, heard, failed = time.monotonic(), 0, ""
        every = min(EVERY, work.soak / 20)
        for one in cycle(songs):
            now = time.monotonic() - began
            if now >= len(of_page) * every:
                of_page.append((now, page.memory))
                of_watch.append((now, watched.memory))
                watched.bring(max(1, round(SONGS * every / work.soak)))
            if now > work.soak or page.process.poll() is not None:
                break
            said = page.hear(one.path).finding
            failed = failed or (said if said.startswith(FAILS) else "")
            heard += 1
        died = "it died" if page.process.poll() is not None else failed
        kept = sum(file.stat().st_size for file in page.temporary.rglob("*") if file.is_file())
        put, lost = watched.put, watched.lost()
    what = f"page, {work.soak:.0f} s, {heard:,} songs"
    yield Tried(f"{what}, {kept / 1e6:.0f} MB of temporary files at its end", died)
    yield _flat(f"{what}: memory", of_page)
    what = f"tag --watch, {work.soak:.0f} s, a folder that gets {SONGS:,} songs ({put:,} copied)"
    yield Tried(what, lost)
    yield _flat(f"{what}: memory", of_watch)


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
