"""A team's server for real: MLflow on PostgreSQL, two runs at once, a sweep in the database."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import optuna
import pandas as pd
import pytest
import yaml
from conftest import RATE, quick_flags

from experiments import compare
from experiments import sweep as sweep_command
from gtzan_lightning.data.synthetic import render
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tracking.reading import find_checkpoint, openings, runs_table
from gtzan_lightning.tracking.store import connect, experiment_id

pytestmark = pytest.mark.many

ROOT = Path(__file__).parents[2]
SECRET = "s3cr3t-of-the-team"


@dataclass
class Server:
    """An MLflow server and the PostgreSQL behind it."""

    uri: str
    programs: Path  # PostgreSQL's
    folder: Path  # PostgreSQL's socket and data
    artifacts: Path

    def database(self, name: str, password: str = "") -> str:
        return f"postgresql+psycopg://team{password}@/{name}?host={self.folder}"


def postgres_programs() -> Path | None:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"))  # Debian keeps them off the path
    on_path = map(Path, os.environ["PATH"].split(os.pathsep))
    needed = ("initdb", "postgres", "pg_isready")
    for folder in (*reversed(installed), *on_path):
        if all((folder / name).exists() for name in needed):
            return folder
    return None


@contextlib.contextmanager
def postgres(programs: Path, folder: Path):
    """PostgreSQL on a socket in ``folder``, with a role ``team`` that has a password."""
    as_other = {}
    if os.getuid() == 0:  # whom PostgreSQL refuses
        as_other = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        shutil.chown(folder, "nobody", "nogroup")
    (folder / "password").write_text(SECRET)
    subprocess.run(
        [programs / "initdb", "-D", folder / "db", "-U", "team", "-A", "scram-sha-256",
         f"--pwfile={folder / 'password'}", "--no-sync", "-E", "UTF8"],
        check=True, stdout=subprocess.DEVNULL, cwd=folder, **as_other,
    )  # fmt: skip
    process = subprocess.Popen(
        [programs / "postgres", "-D", folder / "db", "-k", folder, "-F", "-h", ""],
        stderr=subprocess.DEVNULL, cwd=folder, **as_other,
    )  # fmt: skip
    try:
        until(lambda: not subprocess.call([programs / "pg_isready", "-q", "-h", folder]), process)
        yield
    finally:
        process.send_signal(signal.SIGINT)  # its fast shutdown
        process.wait()


def until(ready, process: subprocess.Popen) -> None:
    deadline = time.time() + 120
    while not ready():
        assert process.poll() is None
        assert time.time() < deadline
        time.sleep(0.3)


def answers(uri: str) -> bool:
    with contextlib.suppress(OSError):
        urllib.request.urlopen(f"{uri}/health").close()
        return True
    return False


@pytest.fixture(scope="module")
def server():
    programs = postgres_programs()
    if programs is None:
        pytest.skip("no PostgreSQL (initdb) on this machine")
    with tempfile.TemporaryDirectory() as kept, pytest.MonkeyPatch.context() as patch:
        folder, artifacts = Path(kept) / "postgres", Path(kept) / "artifacts"
        folder.mkdir()
        Path(kept).chmod(0o755)
        patch.setenv("PGPASSWORD", SECRET)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            uri = f"http://127.0.0.1:{free.getsockname()[1]}"
        made = Server(uri, programs, folder, artifacts)
        with postgres(programs, folder):
            for name in ("mlflow", "sweeps"):
                client = ["-h", folder, "-U", "team", name]
                subprocess.run([programs / "createdb", *client], check=True)
            process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", "--workers", "1",
                 "--port", uri.rpartition(":")[2], "--backend-store-uri", made.database("mlflow"),
                 "--artifacts-destination", artifacts],
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            try:
                until(lambda: answers(uri), process)
                yield made
            finally:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()


def test_two_runs_at_once_and_what_is_made_of_them(server, packed, tmp_path, monkeypatch, capsys):
    rates = ("0.001", "0.002")
    runs = [
        subprocess.Popen(
            [sys.executable, ROOT / "experiments" / "run.py",
             *quick_flags(packed, tmp_path / rate), "--fit.learning_rate", rate, "--open-test",
             "--track.uri", server.uri],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rate in rates
    ]  # fmt: skip
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], "\n".join(said)
    recorded = runs_table(TrackSettings(uri=server.uri))
    assert list(recorded["status"]) == ["FINISHED"] * 2
    client = mlflow.MlflowClient(server.uri)
    for run_id in recorded["run_id"]:
        got = client.get_run(run_id)
        assert got.data.metrics["final/test/songs"] == 10
        for name in ("valid/song_accuracy", "train/loss_epoch"):
            assert len(client.get_metric_history(run_id, name)) == 2, name
        assert {a.path for a in client.list_artifacts(run_id)} >= {
            "recipe.yaml", "predictions.csv", "learning_curves.png", "checkpoints",
        }  # fmt: skip
        heard = pd.read_csv(client.download_artifacts(run_id, "predictions.csv"))
        assert heard.loc[heard["part"] == "test", "song"].nunique() == 10
        assert (
            server.artifacts / got.info.experiment_id / run_id / "artifacts/predictions.csv"
        ).exists()
    assert set(openings(TrackSettings(uri=server.uri))["run"]) == set(recorded["run_id"])
    compare.main(["--track.uri", server.uri])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| small_cnn")]
    assert len(rows) == 4  # two runs in the table of each part
    # another machine, which knows no more than the server's address
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri.replace("://", f"://me:{SECRET}@"))
    wave = render("jazz", 1, 5, 4.0, RATE)[None]
    for run_id, rate in ((i, client.get_run(i).data.params["fit.learning_rate"])
                         for i in recorded["run_id"]):  # fmt: skip
        local = tmp_path / rate / "mlruns" / "runs" / run_id / "best.ckpt"
        np.testing.assert_allclose(
            Tagger.load(run_id).probabilities(wave), Tagger.load(local).probabilities(wave)
        )
    with pytest.raises(Exception, match=r"no such checkpoint, run or model in http://me:\*\*\*@"):
        find_checkpoint("0" * 32, TrackSettings(), str(tmp_path))


@pytest.mark.slow
def test_two_workers_share_a_study_in_the_database(server, packed, tmp_path, capfd):
    (tmp_path / "space.yaml").write_text("space: {fit.learning_rate: [0.001, 0.002, 0.004]}")
    url = server.database("sweeps", f":{SECRET}")
    sweep_command.main([
        *quick_flags(packed, tmp_path), "--space", str(tmp_path / "space.yaml"), "--trials", "4",
        "--workers", "2", "--no-prune", "--sampler", "random", "--fit.max_epochs", "1",
        "--track.log_model", "false", "--track.experiment", "sweep", "--track.uri", server.uri,
        "--storage", url,
    ])  # fmt: skip
    said = capfd.readouterr()
    assert "best: trial" in said.out
    study = optuna.load_study(study_name="small_cnn-space", storage=url)
    ended = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    assert len(ended) == 4
    assert len({trial.user_attrs["process"] for trial in ended}) == 2
    recorded = runs_table(TrackSettings(uri=server.uri, experiment="sweep"))
    assert list(recorded["status"]) == ["FINISHED"] * 5
    (parent,) = recorded.loc[recorded["trial"].isna(), "run_id"]
    children = recorded[recorded["parent"] == parent]
    assert set(children["run_id"]) == {trial.user_attrs["run"] for trial in ended}
    # the password is in nothing that is kept or said
    client = ["-h", server.folder, "-U", "team", "mlflow"]
    kept = subprocess.run([server.programs / "pg_dump", *client], capture_output=True, check=True)
    assert parent.encode() in kept.stdout
    written = [file.read_bytes() for file in server.artifacts.rglob("*") if file.is_file()]
    assert written
    for text in (said.out.encode(), said.err.encode(), kept.stdout, *written):
        assert SECRET.encode() not in text


def test_another_machine_makes_the_experiment_in_the_same_moment(tmp_path, monkeypatch):
    track = TrackSettings(uri="local", folder=str(tmp_path))
    made = experiment_id(connect(track), track)
    late = connect(track)
    answers = iter([None, late.get_experiment_by_name(track.experiment)])
    monkeypatch.setattr(late, "get_experiment_by_name", lambda name: next(answers))
    assert experiment_id(late, track) == made

    folder = ROOT / "experiments" / "server"
    services = yaml.safe_load((folder / "compose.yaml").read_text())["services"]
    assert set(services) == {"postgres", "mlflow"}
    for service in services.values():
        assert "healthcheck" in service
        for name, value in service["environment"].items():
            assert "PASSWORD" not in name or value.startswith("${POSTGRES_PASSWORD:?")
        for port in service.get("ports", []):
            assert port.startswith("${BIND:-127.0.0.1}:")
    pinned = next(p for p in (ROOT / "constraints.txt").read_text().split() if p[:8] == "mlflow==")
    assert pinned in (folder / "Dockerfile").read_text()
