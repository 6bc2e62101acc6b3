import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tracking import reading
from gtzan_lightning.tracking.glance import why_no_run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def track(tmp_path_factory):
    """A store with a sweep's run, one of its trials, and a run that did not end."""
    folder = tmp_path_factory.mktemp("mlruns")
    track = TrackSettings(folder=str(folder), uri="local")
    client = mlflow.MlflowClient(reading.store_uri(track))
    place = f"file://{folder}/artifacts"
    experiment = client.create_experiment(track.experiment, artifact_location=place)
    parent = client.create_run(experiment, run_name="sweep", start_time=1).info.run_id
    tags = {"model": "small_cnn", "songs": "30/20/10", "mlflow.parentRunId": parent}
    tags |= {"status": "somebody's own"}
    trial = client.create_run(experiment, run_name="trial", tags=tags, start_time=2).info.run_id
    client.create_run(experiment, run_name="running", start_time=3)
    for step, value in ((2, 0.2), (1, 0.1), (2, 0.3)):
        client.log_metric(trial, "valid/loss", value, timestamp=10 * step, step=step)
    row = "part,song,start,genre,jazz,rock\ntest,jazz.00001,0,jazz,-0.1,-2.352168\n"
    (folder / "predictions.csv").write_text(row)
    client.log_artifact(trial, str(folder / "predictions.csv"))
    for run in (parent, trial):
        client.set_terminated(run)
    return track


def test_columns_are_plain_names(track, monkeypatch):
    runs = reading.runs_table(track)
    own = {"run_id", "status", "name", "parent", "date", "began"}
    assert set(runs) == own | {"model", "songs", "valid/loss"}
    assert runs["date"].str.fullmatch(r"\d{4}-\d\d-\d\d").all()
    assert list(runs["name"]) == ["running", "trial", "sweep"]  # the newest first
    assert list(runs["status"]) == ["RUNNING", "FINISHED", "FINISHED"]
    assert runs["parent"][1] == runs["run_id"][2]
    assert runs["valid/loss"][1] == 0.3
    assert runs[["parent", "model", "valid/loss"]].isna().sum().to_list() == [2, 2, 2]
    monkeypatch.setattr(reading, "PAGE", 2)
    pd.testing.assert_frame_equal(reading.runs_table(track), runs)
    other = track.model_copy(update={"experiment": "none"})
    assert reading.runs_table(other).empty


READ = """
import sys
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tracking.reading import metric_history, read_predictions, runs_table
track = TrackSettings(folder=sys.argv[1], uri="local")
run = runs_table(track)["run_id"][1] if len(sys.argv) == 2 else sys.argv[2]
print(list(read_predictions(run, track)["song"]), metric_history(run, "valid/loss", track))
"""


def in_a_fresh_kernel(folder, *args):
    """Runs READ in an empty folder; returns what it says, and what is in the folder after."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    done = subprocess.run(
        [sys.executable, "-c", READ, *args], cwd=folder, text=True, capture_output=True,
        env={**environment, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.stdout + done.stderr, list(folder.iterdir())


def test_a_fresh_kernel_reads_predictions_and_leaves_nothing(track, tmp_path):
    (run,) = reading.runs_table(track).query("name == 'trial'")["run_id"]
    for args in ((track.folder,), (track.folder, run)):
        said, left = in_a_fresh_kernel(tmp_path, *args)
        assert said == "['jazz.00001'] [(1, 0.1), (2, 0.3)]\n"
        assert left == []
    said, left = in_a_fresh_kernel(tmp_path, "mlruns", run)
    assert "UserError: there are no runs in mlruns" in said
    assert left == []


def test_the_store_of_the_process_stays_what_it_is(track, monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    before = mlflow.get_tracking_uri()
    run = reading.runs_table(track)["run_id"][2]
    assert reading.predictions_if_any(run, track) is None
    with pytest.raises(UserError, match="did not end"):
        reading.read_predictions(run, track)
    with pytest.raises(UserError, match="has no checkpoint"):
        reading.find_checkpoint(run, track, str(tmp_path))
    assert mlflow.get_tracking_uri() == before
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_a_registered_model_is_fetched_from_the_store_that_was_named(track, tmp_path):
    client = mlflow.MlflowClient(reading.store_uri(track))
    model, fetched = tmp_path / "model", tmp_path / "fetched"
    model.mkdir()
    fetched.mkdir()
    (model / "best.ckpt").write_text("weights")
    client.create_registered_model("genres")
    client.create_model_version("genres", str(model))
    client.set_registered_model_alias("genres", "best", "1")
    for name in ("models:/genres/1", "models:/genres@best"):
        checkpoint = reading.find_checkpoint(name, track, str(fetched))
        assert checkpoint.read_text() == "weights"
        assert fetched in checkpoint.parents  # whoever asks for it removes it
    with pytest.raises(UserError, match="models:/genres/2: no such checkpoint, run or model"):
        reading.find_checkpoint("models:/genres/2", track, str(fetched))


def test_a_glance_knows_what_can_be_no_run(track, tmp_path):
    (run,) = reading.runs_table(track).query("name == 'trial'")["run_id"]
    for word in (run, run[:6], "trial", "last", "best", "models:/genres/1"):
        assert why_no_run(word, track) == ""
    assert "no such checkpoint or run in" in why_no_run("nonsense", track)
    server = TrackSettings(folder=track.folder, uri="http://localhost:1")
    assert why_no_run("nonsense", server) == ""  # who knows
    empty = TrackSettings(folder=str(tmp_path), uri="local")
    assert "there are no runs in" in why_no_run("nonsense", empty)
    assert list(tmp_path.iterdir()) == []


class Server(BaseHTTPRequestHandler):
    """MLflow's server as far as one run of experiment 7 needs it."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        info = {"run_id": "a1", "experiment_id": "7", "status": "FINISHED"}
        self.wfile.write(json.dumps({"run": {"info": info, "data": {}}}).encode())

    def log_message(self, *_):
        pass


def test_a_server_shows_a_run_at_an_address_without_passwords(track, monkeypatch):
    assert reading.run_url(track, "a1") is None  # of a local store there is no page
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{server.server_port}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@{host}/")
        address = reading.run_url(TrackSettings(), "a1")
        server.shutdown()
    assert address == f"http://{host}/#/experiments/7/runs/a1"
