"""The set through ``gtzan tag``: plain, killed and resumed, on Ray."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from gtzan_lightning.inference.tag_table import read_csv
from tests.attack.processes import Ended, run
from tests.attack.work import GTZAN, Tried, Work
from tests.hostile.judge import Outcome, judge, of_row

START = 120.0  # seconds that loading may take
KILLS = 5  # of the table that is killed and resumed


def tag(work: Work) -> Iterator[Tried]:
    """Every file a row, the true reason, the good ones exact."""
    yield from _judged(work, "tag")


def tag_ray(work: Work) -> Iterator[Tried]:
    """The same on Ray."""
    yield from _judged(work, "tag_ray", "--ray", "--workers", "2")


def tag_killed(work: Work) -> Iterator[Tried]:
    """Killed at random moments, resumed by the same command: the table has the same bytes."""
    folder = work.folder("tag_killed")
    whole = _tag(work, folder / "whole.csv")
    if whole.status != 0:
        yield Tried("the command, undisturbed", whole.noise() or _last(whole))
        return
    draw = random.Random(work.seed)
    for number in range(KILLS):
        out = folder / f"killed{number}.csv"
        moment = draw.uniform(0.3, 0.95) * whole.seconds
        _tag(work, out, kill_after=moment)
        ended = _tag(work, out)
        what = f"tag killed after {moment:.1f} s of {whole.seconds:.1f} s"
        lost = ended.noise() or ("" if out.exists() else f"no table: {_last(ended)}")
        if not lost and out.read_bytes() != (folder / "whole.csv").read_bytes():
            lost = "another table"
        yield Tried(what, lost)


def _judged(work: Work, name: str, *flags: str) -> Iterator[Tried]:
    folder = work.folder(name)
    ended = _tag(work, folder / "hostile.csv", *flags)
    yield Tried("the command", ended.noise() or ("" if ended.status == 0 else _last(ended)))
    _tag(work, folder / "clean.csv", songs=work.songs / "clean")
    rows = outcomes(folder / "hostile.csv", work.genres)
    clean = outcomes(folder / "clean.csv", work.genres)
    for hostile in work.hostile:
        copy = clean.get(str(hostile.clean))
        yield Tried(hostile.kind, judge(hostile, rows.get(str(hostile.path)), copy))


def outcomes(table: Path, genres: list[str]) -> dict[str, Outcome]:
    """What a table says of each path; of a path with several rows a finding that says so."""
    if not table.exists():
        return {}
    rows = read_csv(table)
    times = Counter(row["path"] for row in rows)
    return {
        row["path"]: of_row(row, genres) if times[row["path"]] == 1
        else Outcome((1.0,), f"{times[row['path']]} rows")
        for row in rows
    }  # fmt: skip


def _tag(
    work: Work, out: Path, *flags: str, songs: Path | None = None, kill_after: float | None = None
) -> Ended:
    work.hostile  # noqa: B018 (they are made)
    command = [*GTZAN, "tag", str(songs or work.songs / "hostile"), "--run", work.checkpoint]
    limit = START + work.count  # a second a file, on average
    return run([*command, "--out", str(out), *flags], limit, kill_after)


def _last(ended: Ended) -> str:
    lines = ended.said.strip().splitlines()
    return f"status {ended.status}: {lines[-1][:200] if lines else 'nothing said'}"
