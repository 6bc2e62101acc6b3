"""Runs that are killed, servers that die, runs at once: ``make interrupted``.

Prints what was tried, what survived and what was lost; the status is 1 if anything was.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import mlflow  # noqa: E402
import pandas as pd  # noqa: E402

from gtzan_lightning.recipe.settings import TrackSettings  # noqa: E402
from gtzan_lightning.tracking.reading import metric_history, runs_table, store_uri  # noqa: E402
from tests.conftest import quick_flags  # noqa: E402

EPOCHS = 6
HEAD = """# Interrupted work

A run keeps its records in its own folder first, and a thread sends them to the tracking server. A
server that is slow or away costs the training nothing. A run that could not send everything says
so in one line, and `--resume` completes it.

`run.py --resume ID` resumes a run after its last whole epoch. `--resume last` resumes the newest
interrupted run of the same recipe, or starts one; so a cluster may repeat the command as it is. The
result is that of an undisturbed run. A watchdog process beside each run marks it as failed if it is
killed. If the whole machine went down, the next run does so.

## What was tried

`make interrupted` writes this page. Each line is a run of six epochs on synthetic songs. Steps take
0.3 s while the run is killed, and 0.1 s while its server misbehaves. The run is compared with an
undisturbed one: predictions, recorded epochs, artifacts, one FINISHED run, nothing half written."""
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


@dataclass(frozen=True)
class Tried:
    what: str
    moment: str
    lost: str  # empty: survived


@dataclass(frozen=True)
class Truth:
    predictions: pd.DataFrame
    left: list[str]


def flags_of(folder: Path, uri: str = "local", seed: int = 0) -> list[str]:
    flags = quick_flags(folder / "packed", folder)
    flags[flags.index("--track.uri") + 1] = uri
    flags[flags.index("--fit.max_epochs") + 1] = str(EPOCHS)
    return [*flags, "--seed", str(seed), "--fit.devices", "1", "--fit.log_every_n_steps", "1"]


def start(folder: Path, *flags: str) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--child", str(folder / "slowest"), *flags]
    return subprocess.Popen(
        command, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def child(out: Path, flags: list[str]) -> None:
    """run.py with a watch on the longest step, from the end of a batch to the end of the next."""
    from lightning.pytorch.callbacks import Callback

    from gtzan_lightning.recipe.command_line import guarded, parse_run
    from gtzan_lightning.tracking import tracker as tracking
    from gtzan_lightning.training.train import train

    tracking.PATIENCE = float(os.environ.get("PATIENCE", tracking.PATIENCE))

    class Watch(Callback):
        slowest, last = 0.0, None

        def on_train_epoch_start(self, *args: object) -> None:
            self.last = None  # a validation and a checkpoint lie between two epochs

        def on_train_batch_end(self, *args: object) -> None:
            now = time.monotonic()
            if self.last is not None:
                self.slowest = max(self.slowest, now - self.last)
                out.write_text(f"{self.slowest:.3f}")
            self.last = now
            time.sleep(float(os.environ.get("STEP_SLEEP", "0")))

    def main(argv: list[str]) -> None:
        recipe, resume = parse_run(argv)
        train(recipe, resume, more_callbacks=[Watch()])

    sys.argv = [sys.argv[0], *flags]
    guarded(main)


def stage(folder: Path) -> str:
    """How far a run has come, by what it has left."""
    if not list(folder.glob("packed/*/corpus.json")):
        return "start or packing"
    runs = list(folder.glob("mlruns/runs/*"))
    if not runs:
        return "opening the run"
    if list(runs[0].glob("predictions.csv")):
        return "logging"
    if not list(runs[0].glob("last.ckpt")):
        return "first epoch"
    records = (runs[0] / "records.jsonl").read_text().splitlines()
    epochs = sum('"valid/loss"' in line for line in records)
    return f"epoch {epochs + 1}" if epochs < EPOCHS else "last checkpoint or testing"


def end_of(folder: Path, uri: str = "local") -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Runs of the store, and the predictions of the one that is done."""
    done = list(folder.glob("mlruns/runs/*/done"))
    predictions = pd.read_csv(done[0].parent / "predictions.csv") if done else None
    return runs_table(track_in(folder, uri)), predictions


def track_in(folder: Path, uri: str = "local") -> TrackSettings:
    return TrackSettings(uri=uri, folder=str(folder / "mlruns"))


def what_is_lost(folder: Path, truth: Truth, uri: str = "local", runs: int = 1) -> str:
    table, predictions = end_of(folder, uri)
    track = track_in(folder, uri)
    if list(table["status"]) != ["FINISHED"] * runs:
        return f"runs are {list(table['status'])}"
    if predictions is None or not predictions.equals(truth.predictions):
        return "other predictions than the undisturbed run's"
    for run in table["run_id"]:
        if not metric_history(run, "epoch", track):
            return "no metrics"
        epochs = len(metric_history(run, "valid/loss", track))
        if epochs != EPOCHS:
            return f"{epochs} of {EPOCHS} epochs recorded"
        if left_in(run, track) != truth.left:
            return f"artifacts are {left_in(run, track)}, not {truth.left}"
    if list(folder.rglob("*.part")):
        return f"left half written: {list(folder.rglob('*.part'))}"
    return ""


def left_in(run: str, track: TrackSettings) -> list[str]:
    """Artifacts of a run, and how many models it logged."""
    client = mlflow.MlflowClient(store_uri(track))
    logged = len(client.get_run(run).outputs.model_outputs)
    folders = ("", "checkpoints")
    found = [file.path for folder in folders for file in client.list_artifacts(run, folder)]
    return [*sorted(found), f"{logged} models"]


def undisturbed(folder: Path) -> Truth | None:
    table, predictions = end_of(folder)
    if predictions is None:
        return None
    return Truth(predictions, left_in(table["run_id"][0], track_in(folder)))


def kills(count: int, seed: int, where: Path) -> Iterator[Tried]:
    """kill -9 at moments spread at random over a run, each resumed by the same command.

    A run that was over sooner than its moment is not counted; the rest are drawn from its time.
    """
    ENVIRONMENT["STEP_SLEEP"] = "0.3"  # so that training takes as long as what lies around it
    whole = start_and_wait(where / "whole")  # untimed: libraries come from the disk
    clock = time.monotonic()
    start_and_wait(where / "again")
    seconds = time.monotonic() - clock
    truth = undisturbed(where / "whole")
    assert truth is not None, whole
    draw = random.Random(seed)
    hit = 0
    while hit < count:
        folder = where / str(hit)
        begin = 0.25 * seconds  # before, Python imports
        moment = begin + (hit + draw.random()) / count * (seconds - begin)
        process = start(folder, *flags_of(folder), "--resume", "last")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=moment)
        reached = stage(folder)
        process.kill()
        process.communicate()
        if list(folder.glob("mlruns/runs/*/done")):
            seconds = 0.97 * moment
        else:
            said = start_and_wait(folder, "--resume", "last")
            lost = what_is_lost(folder, truth)
            if lost:
                print(said)
            yield Tried("kill -9, resumed", f"{moment:.1f} of {seconds:.1f} s: {reached}", lost)
            hit += 1
        shutil.rmtree(folder)
    del ENVIRONMENT["STEP_SLEEP"]


def start_and_wait(folder: Path, *more: str, uri: str = "local", seed: int = 0) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return start(folder, *flags_of(folder, uri, seed), *more).communicate(timeout=600)[0]


class Server:
    """MLflow's, on one database and port, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.uri = folder, f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [str(Path(sys.executable).parent / "mlflow"), "server", "--workers", "1",
             "--port", str(self.port), "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db",
             "--artifacts-destination", str(self.folder / "artifacts")],
            env={**ENVIRONMENT, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                 "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
            start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(240):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.uri}/health", timeout=2).close()
                return
            time.sleep(0.5)
        raise RuntimeError("the MLflow server did not start")

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def slow_road(target: int, seconds: float) -> int:
    """A port that hands everything on to another one, each connection after so many seconds."""
    listening = socket.create_server(("127.0.0.1", 0))

    def pipe(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        while True:
            client, _ = listening.accept()
            threading.Thread(target=connect, args=(client,), daemon=True).start()

    def connect(client: socket.socket) -> None:
        time.sleep(seconds)
        with contextlib.suppress(OSError):
            server = socket.create_connection(("127.0.0.1", target))
            threading.Thread(target=pipe, args=(client, server), daemon=True).start()
            pipe(server, client)

    threading.Thread(target=serve, daemon=True).start()
    return listening.getsockname()[1]


def servers(where: Path, truth: Truth) -> Iterator[Tried]:
    """The server dies half way, and stays away, or comes back; or is slow all along."""
    os.environ["STEP_SLEEP"] = ENVIRONMENT["STEP_SLEEP"] = "0.1"
    scenes = ("comes back while it trains", "comes back after its end", "is slow (2 s a call)")
    for what in (*scenes, "stays away until the run gave up"):
        folder = where / what.split(" (")[0].replace(" ", "_")
        server = Server(folder / "server")
        server.start()
        uri = server.uri
        if "slow" in what:
            uri = f"http://127.0.0.1:{slow_road(server.port, 2.0)}"
        folder.mkdir(exist_ok=True)
        ENVIRONMENT["PATIENCE"] = "10" if "away" in what else "300"
        run = start(folder, *flags_of(folder, uri))
        if "slow" not in what:
            while not list(folder.glob("mlruns/runs/*/last.ckpt")) and run.poll() is None:
                time.sleep(0.1)
            server.kill()
            moment = stage(folder)
            if "after" in what:
                while not list(folder.glob("mlruns/runs/*/predictions.csv")) and run.poll() is None:
                    time.sleep(0.1)
            if "away" in what:
                said = run.communicate(timeout=600)[0]
                assert run.returncode == 2, said
                assert "did not take all records" in said.splitlines()[-1]
            time.sleep(3)
            server.start()
            if "away" in what:
                ENVIRONMENT["PATIENCE"] = "300"
                run = start(folder, *flags_of(folder, uri), "--resume", "last")
        said = run.communicate(timeout=600)[0]
        lost = what_is_lost(folder, truth, server.uri)
        slowest = float((folder / "slowest").read_text()) - 0.1
        lost = lost or (f"a step took {slowest:.1f} s" if slowest > 1 else "")
        if lost:
            print(said)
        when = "all along" if "slow" in what else f"gone in {moment}"
        yield Tried(f"server {what}", f"{when}; slowest step {slowest:.2f} s", lost)
        server.kill()
    del os.environ["STEP_SLEEP"], ENVIRONMENT["STEP_SLEEP"], ENVIRONMENT["PATIENCE"]


def at_once(where: Path, truth: Truth) -> Iterator[Tried]:
    """Several seeds on one corpus, not yet packed, and one store, not yet made."""
    for many in (2, 4):
        folder = where / f"{many}_at_once"
        folder.mkdir(parents=True)
        started = [start(folder, *flags_of(folder, seed=n)) for n in range(many)]
        said = [process.communicate(timeout=900)[0] for process in started]
        table, _ = end_of(folder)
        packed = len(list(folder.glob("packed/*/corpus.json")))
        lost = "" if list(table["status"]) == ["FINISHED"] * many else str(list(table["status"]))
        lost = lost or ("" if packed == 1 else f"packed {packed} times")
        files = folder.glob("mlruns/runs/*/predictions.csv")
        same = [pd.read_csv(file).equals(truth.predictions) for file in files]
        lost = lost or ("" if sum(same) == 1 else f"seed 0 predicts alike in {sum(same)} runs")
        if lost:
            print(*said, sep="\n")
        yield Tried(f"{many} runs at once", "one corpus, one store", lost)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="how many (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of their moments (default: 0)")
    parser.add_argument("--out", type=Path, help="also write the table there, as Markdown")
    args = parser.parse_args()
    tried = []
    with tempfile.TemporaryDirectory() as name:
        where = Path(name)
        for one in kills(args.kills, args.seed, where):
            tried.append(one)
            print(json.dumps(one.__dict__), flush=True)
        truth = undisturbed(where / "whole")
        assert truth is not None
        for more in (servers(where, truth), at_once(where, truth)):
            for one in more:
                tried.append(one)
                print(json.dumps(one.__dict__), flush=True)
    lost = sum(bool(one.lost) for one in tried)
    table = pd.DataFrame([{**one.__dict__, "lost": one.lost or "nothing"} for one in tried])
    summary = f"tried {len(tried)}, survived {len(tried) - lost}, lost {lost}"
    text = f"{table.to_markdown(index=False)}\n\n{summary}\n"
    print(f"\n{text}")
    if args.out:
        args.out.write_text(f"{HEAD}\n\n{text}")
    return int(lost > 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), sys.argv[3:])
    else:
        raise SystemExit(main())
