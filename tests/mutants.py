"""Mutation testing: is each of these faults, put into the package, found by the tests named for it?

``make mutants`` plants the faults one by one in a copy of the repository, never in itself, and
prints which the tests killed. A fault that no test finds is one that nobody would see: so the list
grows with every fault that once passed the whole suite. Exit code 1: a fault survived, its tests
could not run, or the text that it changes is no longer there.

    python tests/mutants.py                 all of them
    python tests/mutants.py vote "verdict"  those whose name has one of these words
"""

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutant_list import MUTANTS, Mutant

ROOT = Path(__file__).parent.parent
COPIED = ("gtzan_lightning", "experiments", "tests", "pyproject.toml")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*", "mlruns")
WORKERS = min(2, os.cpu_count() or 1)
PATIENCE = 600  # seconds for the tests of a mutant: one that never ends is killed too


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant, and how long its tests took."""

    name: str
    result: str
    seconds: float


def place_of(mutant: Mutant, root: Path = ROOT) -> str | None:
    """Why a mutant can't be planted, or None."""
    file = root / mutant.file
    if not file.exists():
        return "no such file"
    count = file.read_text().count(mutant.old)
    return None if count == 1 else f"its text is there {count} times"


def copy_to(folder: Path) -> Path:
    """A copy of what the tests need, which mutants may change."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=LEFT_OUT)
        else:
            shutil.copy(source, folder / name)
    return folder


def run_tests(root: Path, tests: tuple[str, ...]) -> str:
    """``passed``, ``failed``, or why there is no such answer."""
    # a mutant of the same size and second as the file before it would be read from old bytecode
    environment = {
        **os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    command += ["--hypothesis-profile", "mutants", *tests]
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return "failed"
    if done.returncode > 1:
        return f"tests could not run: {' '.join((done.stdout + done.stderr).split())[-200:]}"
    return "failed" if done.returncode else "passed"


def judge(mutant: Mutant, root: Path) -> Verdict:
    """Plant a mutant in a copy, run its tests, heal the copy."""
    start = time.monotonic()
    lacking = place_of(mutant, root)
    if lacking:
        return Verdict(mutant.name, f"STALE: {lacking}", 0.0)
    file = root / mutant.file
    healthy = file.read_text()
    try:
        file.write_text(healthy.replace(mutant.old, mutant.new))
        result = run_tests(root, mutant.tests)
    finally:
        file.write_text(healthy)
    said = {"failed": "killed", "passed": "SURVIVED"}.get(result, result)
    return Verdict(mutant.name, said, time.monotonic() - start)


def main(words: list[str]) -> int:
    """Judge the mutants whose name has one of the words (all without words)."""
    chosen = [m for m in MUTANTS if not words or any(word in m.name for word in words)]
    with tempfile.TemporaryDirectory() as folder:
        copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(WORKERS):
            copies.put(copy_to(Path(folder) / str(number)))

        # a test that fails anyway would kill every mutant
        healthy = copies.get()
        result = run_tests(healthy, tuple(sorted({test for m in chosen for test in m.tests})))
        copies.put(healthy)
        if result != "passed":
            print(f"without any mutant the tests have not passed: {result}")
            return 1

        def judged(mutant: Mutant) -> Verdict:
            root = copies.get()
            try:
                return judge(mutant, root)
            finally:
                copies.put(root)

        verdicts = []
        with ThreadPoolExecutor(WORKERS) as pool:
            for verdict in pool.map(judged, chosen):
                verdicts.append(verdict)
                print(f"{verdict.seconds:5.0f} s  {verdict.name}: {verdict.result}", flush=True)
    killed = sum(verdict.result == "killed" for verdict in verdicts)
    print(f"{killed} of {len(verdicts)} mutants killed")
    return int(killed < len(verdicts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
