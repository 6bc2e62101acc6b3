"""Each file by itself through ``Tagger``: its answer, its seconds, its memory."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.attack.processes import bounded, kill_group, memory_of
from tests.attack.work import ENVIRONMENT, ROOT, Tried, Work
from tests.hostile.judge import MEMORY, Outcome, judge

HANG = 20.0  # seconds after which a file is given up
BOUND = 3 * MEMORY  # bytes beyond the idle process at which a file is given up
LOOK = 0.02  # seconds


class Hearer:
    """A process that hears one file after another; it is killed and started again if it must."""

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint, self.process = checkpoint, None

    def hear(self, path: Path) -> Outcome:
        """What becomes of a file. One that kills the process, or hangs, has that as finding."""
        if self.process is None:
            self._start()
        assert self.process is not None
        assert self.process.stdin is not None
        began = time.monotonic()
        self.process.stdin.write((json.dumps(str(path)) + "\n").encode())
        self.process.stdin.flush()
        answer, memory = self._answer(began)
        seconds = time.monotonic() - began
        if answer is None:
            self.stop()
            return Outcome(finding="killed", seconds=seconds, memory=memory)
        return Outcome(**answer, seconds=seconds, memory=memory)

    def _answer(self, began: float) -> tuple[dict[str, Any] | None, float]:
        """What the process says in time, and how much memory it took beyond its own."""
        assert self.process is not None
        assert self.process.stdout is not None
        memory, said = 0.0, b""
        os.set_blocking(self.process.stdout.fileno(), False)
        while not said.endswith(b"\n"):
            said += self.process.stdout.read() or b""
            memory = max(memory, memory_of(self.process.pid) - self.idle)
            is_over = time.monotonic() - began > HANG or memory > BOUND
            if is_over or self.process.poll() is not None:
                return None, memory
            time.sleep(LOOK if time.monotonic() - began > 0.1 else 0.001)
        return json.loads(said), memory

    def _start(self) -> None:
        command = [sys.executable, "-m", "tests.attack.sound", self.checkpoint]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            start_new_session=True, preexec_fn=bounded, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            raise RuntimeError(f"{' '.join(command)} does not start")
        self.idle = memory_of(self.process.pid)

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            kill_group(self.process)
            self.process = None


def sound(work: Work) -> Iterator[Tried]:
    """Every file, and the clean copies of the good ones."""
    hearer = Hearer(work.checkpoint)
    try:
        for hostile in work.hostile:
            clean = hearer.hear(hostile.clean) if hostile.clean else None
            yield Tried(hostile.kind, judge(hostile, hearer.hear(hostile.path), clean))
    finally:
        hearer.stop()


def child(checkpoint: str) -> None:
    """Answer paths from stdin, a line of JSON each."""
    from gtzan_lightning.data.audio import BrokenSong
    from gtzan_lightning.data.synthetic import render
    from gtzan_lightning.inference.tagger import Tagger

    tagger = Tagger.load(checkpoint, device="cpu")
    tagger.predict(render("jazz", 0, 0, 2.0, 8000), 8000)  # what is loaded late is loaded now
    print("ready", flush=True)
    for line in sys.stdin:
        path = Path(json.loads(line))
        try:
            song = tagger.predict_file(path)
            answer = {
                "probabilities": [float(p) for p in song.probabilities],
                "remarks": "; ".join(song.remarks),
            }
        except BrokenSong as broken:
            answer = {"finding": str(broken)}
        except Exception as error:  # what a user would see as a trace
            answer = {"finding": f"Traceback: {type(error).__name__}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    child(sys.argv[1])
