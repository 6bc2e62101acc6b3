"""Several processes train one model: over gloo, on the processor."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pandas as pd
import psutil
import pytest

from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tracking.reading import metric_history, runs_table, store_uri
from tests.conftest import quick_flags

pytestmark = pytest.mark.many

RUN = Path(__file__).parents[2] / "experiments" / "run.py"
# nothing that draws or measures by process: no augmentation, dropout or batch norm
EQUAL = ["--model.dropout", "0", "--augment.audio", "0", "--augment.spectrogram", "0"]
EQUAL += ["--track.log_model", "false", "--fit.accelerator", "cpu"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def finish(process: subprocess.Popen) -> str:
    """What it said; with all that it started, it is gone afterwards."""
    try:
        return process.communicate(timeout=150)[0]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def start(*command: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *map(str, command)], env=ENVIRONMENT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def test_two_processes_equal_one_and_are_one_run(tmp_path):
    """The two find no packed corpus: one packs while the other waits. 15 songs of each part, so
    that neither batches nor songs can be shared evenly."""
    found = {}
    for many, batch in ((2, 8), (1, 16)):
        folder = tmp_path / str(many)
        flags = [*quick_flags(folder / "packed", folder, "simple_rnn"), *EQUAL]
        flags += ["--fit.batch_size", str(batch), "--data.synthetic_songs", "5"]
        if many == 1:
            flags += ["--fit.devices", "1"]
            said = finish(start(RUN, *flags))
        else:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            flags += ["--fit.devices", "2", "--fit.strategy", "ddp"]
            launcher = ("-m", "torch.distributed.run", "--nproc-per-node", 2, "--master-port", port)
            said = finish(start(*launcher, RUN, *flags))
        track = TrackSettings(uri="local", folder=str(folder / "mlruns"))
        runs = runs_table(track)
        assert list(runs["status"]) == ["FINISHED"], said
        assert len(list((folder / "packed").glob("*/corpus.json"))) == 1
        run = runs.iloc[0]
        (csv,) = folder.glob("mlruns/runs/*/predictions.csv")
        predictions = pd.read_csv(csv).sort_values(["part", "song", "start"], ignore_index=True)
        curves = [
            metric_history(run["run_id"], name, track)
            for name in ("train/loss_epoch", "valid/loss")
        ]
        found[many] = predictions, [value for curve in curves for _, value in curve]
    assert len(found[1][1]) == 4
    # float32 sums in another order
    assert found[2][1] == pytest.approx(found[1][1], abs=2e-5)
    pd.testing.assert_frame_equal(found[2][0], found[1][0], atol=1e-3)
    assert not found[2][0].duplicated(["song", "start"]).any()


def test_a_frozen_trunk_listens_anew_where_processes_share_the_clips(tmp_path, packed):
    """Each epoch deals them otherwise, so none has kept the maps of all that it is dealt."""
    flags = [*quick_flags(packed, tmp_path, "mn"), *EQUAL, "--model.pretrained", "false"]
    flags += ["--fit.trunk", "frozen", "--data.windows", "pieces", "--fit.batch_size", "4"]
    flags += ["--fit.devices", "2", "--fit.strategy", "ddp"]
    said = finish(start(RUN, *flags))
    assert "several processes share the clips" in said
    runs = runs_table(TrackSettings(uri="local", folder=str(tmp_path / "mlruns")))
    assert list(runs["status"]) == ["FINISHED"], said


@pytest.mark.parametrize("victim", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_process_that_dies_ends_the_run_within_a_minute(tmp_path, packed, victim):
    flags = [*quick_flags(packed, tmp_path), "--fit.max_epochs", "500"]
    flags += ["--fit.accelerator", "cpu", "--fit.devices", "2", "--fit.strategy", "ddp"]
    first = start(RUN, *flags)
    track = TrackSettings(uri="local", folder=str(tmp_path / "mlruns"))
    deadline = time.time() + 120
    while not list(tmp_path.glob("mlruns/runs/*/last.ckpt")) and time.time() < deadline:
        time.sleep(0.5)
    ranks = [
        p for p in psutil.Process(first.pid).children() if "watchdog.py" not in str(p.cmdline())
    ]
    assert len(ranks) == 1
    os.kill([first.pid, ranks[0].pid][victim], signal.SIGKILL)
    killed = time.time()
    client = mlflow.MlflowClient(store_uri(track))
    run = runs_table(track).iloc[0]["run_id"]
    while client.get_run(run).info.status == "RUNNING" and time.time() < killed + 60:
        time.sleep(0.5)
    assert client.get_run(run).info.status == "FAILED"
    psutil.wait_procs(ranks, timeout=max(0, killed + 60 - time.time()))
    assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in ranks)
    finish(first)
    # what was trained is not lost
    assert parse_run(["--resume", run, "--track.folder", track.folder])[1] == run
