"""The web page in a process of its own, whose every socket is watched."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Python imports it in every process that it starts, also in those that the page starts
WATCH = """
import os, sys

def watch(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        place = args[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        place = args
    else:
        return
    host = place[0] if isinstance(place, tuple) else None  # of a UNIX socket: none
    if host and str(host) not in ("127.0.0.1", "::1", "localhost"):
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{event} {place}\\n")

sys.addaudithook(watch)
"""


@dataclass
class Served:
    """A page that is there."""

    address: str
    process: subprocess.Popen[str]
    temporary: Path  # its folder of temporary files


@contextmanager
def serving(folder: Path, *flags: str, **environment: str) -> Iterator[Served]:
    """The page until the block ends; no process of it may have asked another host for anything."""
    temporary, watched, said = folder / "temporary", folder / "watched", folder / "said"
    temporary.mkdir()
    (folder / "sitecustomize.py").write_text(WATCH)
    command = [sys.executable, "experiments/app.py", "--port", "0", *flags]
    paths = {"PYTHONPATH": f"{folder}:{ROOT}", "TMPDIR": temporary, "WATCHED": watched}
    given = {**os.environ, **paths, **environment}
    with said.open("w") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, env=given, text=True, stdout=subprocess.PIPE, stderr=file
        )
    try:
        address = re.search(r"http://\S+", process.stdout.readline())
        assert address, said.read_text()
        yield Served(address[0], process, temporary)
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
    assert not watched.exists(), watched.read_text()
    assert "Traceback" not in said.read_text()
