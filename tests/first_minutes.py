"""The first ten minutes of a new user, with and without network: ``make first``.

Clones the repository into an empty folder, makes its environment there, gives the commands one
after another and writes what they said and how long they took. Without network means: in a network
namespace of Linux that has no way out.
"""

import argparse
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
MUSIC = """
import soundfile
from gtzan_lightning.data.synthetic import render
for n, genre in enumerate(("jazz", "metal", "reggae")):
    soundfile.write(f"music/song{n}.wav", render(genre, n, 7, 30.0, 22050), 22050)
"""
HEAD = """# The first ten minutes

`make first` writes this page: it clones the repository into an empty folder and gives these
commands one after another, on {machine}. Long answers are cut. `music` holds three songs
that the package's synthesiser made.
"""
ONLINE = (
    ("make env", "the environment, with the pinned versions, from a package index", 0),
    ("make run", "no music is here: a quick trial on synthetic songs", 40),
    ("gtzan runs", "what was recorded", 6),
    ("gtzan tag music --out ready.csv", "genres by the model that comes with the package", 4),
    ("gtzan tag music --run best --out own.csv", "and by the network that was just trained", 4),
    ("gtzan explain --song music/song0.wav", "what the model looked at", 6),
    ("gtzan app --port 7899", "the web page: until it answers", 4),
    ("gtzan compare", "the table of the runs", 8),
)
WRONG = (
    ("gtzan rum", "a wrong command", 2),
    ("gtzan run --modle small_cnn", "a wrong flag", 2),
    ("gtzan tag music --runn best --out x.csv", "another one", 2),
    ("gtzan tag nowhere --out x.csv", "a folder that is not there", 2),
    ("gtzan tag music --run nonsense --out x.csv", "a run that is not there", 2),
)
OFFLINE = (
    ("gtzan doctor --offline", "what is here, and what is missing", 60),
    ("gtzan data", "GTZAN can't be fetched", 3),
    ("gtzan run --model mn --data.corpus synthetic", "nor can weights", 6),
    ("gtzan run --model small_cnn --quick", "training needs no network", 30),
    ("gtzan tag music --out offline.csv", "nor does tagging", 4),
)


def main() -> int:
    """Give the commands; the status is 1 where one that should work failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="page to write (none: print it)")
    out = parser.parse_args().out
    machine = f"{os.cpu_count()} cores ({platform.system()} {platform.machine()})"
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "gtzan_lightning"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(home)], check=True)
        parts = [HEAD.format(machine=machine)]
        parts += _section("With a network", ONLINE, home)
        parts += _section("What is wrong is said at once", WRONG, home, works=False)
        parts += _section("Without a network", OFFLINE, home, ("unshare", "-rn"))
    page = "\n".join(parts)
    if out:
        Path(out).write_text(page)
    else:
        print(page)
    return int("**failed**" in page)


def _section(
    title: str,
    commands: tuple[tuple[str, str, int], ...],
    home: Path,
    before: tuple[str, ...] = (),
    works: bool = True,
) -> Iterator[str]:
    """The lines of a section, made by giving its commands."""
    yield f"## {title}\n"
    for command, what, lines in commands:
        print(f"{command} ...", file=sys.stderr, flush=True)
        if "music" in command and not (home / "music").exists():
            (home / "music").mkdir()
            subprocess.run([home / ".venv/bin/python", "-c", MUSIC], cwd=home, check=True)
        began = time.monotonic()
        said, failed = (
            _answer(command, home) if " app " in command else _give(command, home, before)
        )
        mark = " **failed**" if failed and works and "can" not in what else ""
        yield f"{time.monotonic() - began:.1f} s, {what}{mark}:\n"
        yield "\n".join(["```", f"$ {command}", *_cut(said, lines), "```\n"])


def _environment(home: Path) -> dict[str, str]:
    # those of make would have the commands' own make tell its folder
    others = ("MLFLOW_", "MAKE", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    kept.pop("PYTHONPATH", None)
    return {**kept, "PATH": f"{home}/.venv/bin:{os.environ['PATH']}", "COLUMNS": "100"}


def _give(command: str, home: Path, before: tuple[str, ...]) -> tuple[str, bool]:
    done = subprocess.run(
        [*before, *shlex.split(command)], cwd=home, env=_environment(home), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    return done.stdout.replace(str(home), "."), done.returncode != 0


def _answer(command: str, home: Path) -> tuple[str, bool]:
    """Of a server: what it said until it answered; it is ended then."""
    page = f"http://127.0.0.1:{command.split()[-1]}/"
    with tempfile.TemporaryFile("w+") as said:
        server = subprocess.Popen(
            shlex.split(command), cwd=home, env=_environment(home), stdout=said, stderr=said
        )
        answered = False
        while server.poll() is None and not answered:
            try:
                urllib.request.urlopen(page, timeout=5).close()
                answered = True
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        server.terminate()
        server.wait()
        said.seek(0)
        return said.read(), not answered


def _cut(said: str, lines: int) -> list[str]:
    """The first and last lines of an answer, without progress that was drawn over."""
    every = [line.rsplit("\r", 1)[-1].rstrip() for line in said.splitlines()]
    shown = [line if len(line) <= 160 else f"{line[:159]}…" for line in every if line]
    if len(shown) <= lines:
        return shown
    if not lines:
        return ["…"]
    return [*shown[: lines // 2], "…", *shown[len(shown) - lines // 2 :]]


if __name__ == "__main__":
    raise SystemExit(main())
