"""Results of the parts, kept as JSON, and the page that is made of them."""

import json
import os
import platform
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.attack.work import ROOT, Tried, Work

SHOWN = 12  # lines of what was lost, of a part
PRINTED = 20  # losses of a part that are printed as they come
BEFORE = Path(__file__).with_name("before.json")  # results before the mends
HEAD = """# Attacked

`make attack` writes this page. It makes hostile files from synthetic songs by a seed and hands them
to every part of the package that opens files, kills what runs, and watches memory for an hour. One
part alone: `make attack PARTS=tag`.

A file *survives* if it gets a row or a finding with the true reason, in one line. A good song with
an odd name has exactly the probabilities of its plainly named copy. By itself a file costs less
than 5 s and 1 GB. Nothing says "Traceback", nothing prints a decoder's own complaints or a name's
escapes.
"""
NOT = """## What is not exercised

- Other systems than Linux, file systems other than that of the build folder, and GPUs.
- FIFOs, sockets, links and sparse files on the page: a browser can't send them.
- Faults of memory and disks. Files that change while they are read.
- A Ray cluster of several machines: `--ray` starts one here.
"""


@dataclass(frozen=True)
class Part:
    """A part of the attack, as the page tells it.

    Attributes:
        is_told: the page lists each thing that was tried.
    """

    name: str
    what: str
    command: str
    is_told: bool = False


def keep(work: Work, name: str, tried: Iterable[Tried]) -> dict[str, Any]:
    """Try a part, print its first losses, and keep its result under ``results``."""
    began, results = time.monotonic(), []
    for one in tried:
        results.append([_clear(one.what), _clear(one.lost)])
        if one.lost and sum(bool(why) for _, why in results) <= PRINTED:
            print(f"{name}: lost: {': '.join(results[-1])}", flush=True)
    lost = [pair for pair in results if pair[1]]
    result = {
        "tried": results, "lost": lost, "count": work.count, "seed": work.seed,
        "minutes": round((time.monotonic() - began) / 60, 1), "commit": commit(),
        "date": time.strftime("%Y-%m-%d"), "machine": machine(),
    }  # fmt: skip
    file = work.build / "results" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1))
    print(f"{name}: tried {len(results)}, lost {len(lost)}", flush=True)
    return result


def page(work: Work, parts: Iterable[Part]) -> str:
    """The page of all results that are kept."""
    results = {part: _kept(work, part.name) for part in parts}
    rows = [_row(part, result) for part, result in results.items()]
    kept = {part: result for part, result in results.items() if result is not None}
    tried = sum(len(result["tried"]) for result in kept.values())
    lost = sum(len(result["lost"]) for result in kept.values())
    before = json.loads(BEFORE.read_text())
    earlier = f"before: lost at commit {before['commit']}"
    lines = [HEAD, *_table(["part", "command", "tried", "survived", "lost", earlier], rows)]
    lines += ["", f"tried {tried:,}, survived {tried - lost:,}, lost {lost:,}", "", *_made(kept)]
    losses = [line for part, result in kept.items() for line in _losses(part, result["lost"])]
    lines += ["", "## What was lost", "", *(losses or ["Nothing."]), ""]
    for part, result in kept.items():
        if part.is_told:
            told = [[what, why or "nothing"] for what, why in result["tried"]]
            lines += [f"## {part.what[0].upper()}{part.what[1:]}", ""]
            lines += [*_table(["what", "lost"], told), ""]
    return "\n".join([*lines, NOT])


def _row(part: Part, result: dict[str, Any] | None) -> list[Any]:
    before = json.loads(BEFORE.read_text())["parts"].get(part.name)
    earlier = f"{before[1]:,} of {before[0]:,}" if before else ""
    if result is None:
        return [part.what, f"`{part.command}`", "not run", "", "", earlier]
    tried, lost = len(result["tried"]), len(result["lost"])
    counts = [f"{tried:,}", f"{tried - lost:,}", f"{lost:,}"]
    return [part.what, f"`{part.command}`", *counts, earlier]


def _kept(work: Work, name: str) -> dict[str, Any] | None:
    file = work.build / "results" / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def _losses(part: Part, lost: list[list[str]]) -> list[str]:
    """The reasons, the most frequent first, each with the first things it took."""
    reasons = Counter(re.sub(r"[\d.]+", "…", why) for _, why in lost)
    lines = []
    for reason, count in reasons.most_common(SHOWN):
        named = [what for what, why in lost if re.sub(r"[\d.]+", "…", why) == reason]
        more = f", and {count - 3} more" if count > 3 else ""
        lines.append(f"- {part.what}: {reason}: {', '.join(named[:3])}{more}")
    if len(reasons) > SHOWN:
        lines.append(f"- {part.what}: {len(reasons) - SHOWN} more reasons")
    return lines


def _made(kept: dict[Part, dict[str, Any]]) -> list[str]:
    """On what, when, of which commit: a line for each answer that parts give."""
    parts: dict[str, list[str]] = {}
    for part, result in kept.items():
        said = (
            f"{result['count']:,} files of seed {result['seed']}, commit {result['commit']}, "
            f"{result['date']}, {result['machine']}"
        )
        parts.setdefault(said, []).append(f"{part.what} ({result['minutes']} min)")
    return [f"- {said}: {'; '.join(names)}" for said, names in parts.items()]


def _table(head: list[str], rows: list[list[Any]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines]


def _clear(text: str) -> str:
    """Without what would break a line, a table or a terminal, and without the folder of the set."""
    escaped = text.encode(errors="backslashreplace").decode()
    escaped = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in escaped)
    return escaped.replace("|", "\\|").replace("<", "&lt;")[:160]


def commit() -> str:
    """The commit, with a plus where files differ from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + "+" * bool(git("status", "--short"))


def machine() -> str:
    """Such as ``2 cores (Linux x86_64)``."""
    return f"{os.cpu_count()} cores ({platform.system()} {platform.machine()})"
