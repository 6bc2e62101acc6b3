"""What a recorded run leaves: in the store all of it, in the process nothing."""

import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
import pytest
from packaging.requirements import Requirement

import gtzan_lightning.inference.tagger  # noqa: F401 (importing torch sets variables)
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.tracking.sender import LoggedModel, Sender
from gtzan_lightning.tracking.tracker import Tracker

CODE = "gtzan_lightning.inference.pyfunc"


@pytest.fixture
def tracker(tmp_path, monkeypatch) -> Tracker:
    """Of a run that has started and has a checkpoint."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tracker = Tracker(TrackSettings(uri="local", folder=str(tmp_path)))
    tracker.start("a run", {})
    (tracker.folder / "best.ckpt").write_bytes(b"weights")
    return tracker


def record(tracker: Tracker) -> None:
    with tracker.recording():
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"
        tracker.log_metrics({"final/test/songs": 3.0})
        tracker.log_model(LoggedModel(CODE, tracker.folder / "best.ckpt", ["a", "b"], 8000))


def state_of_the_process() -> dict[str, object]:
    return {
        "environment": dict(os.environ),
        "warnings": list(warnings.filters),
        "levels": [logging.getLogger(name).level for name in ("", "mlflow", "mlflow.pyfunc")],
        "store": mlflow.get_tracking_uri(),
        "active run": mlflow.active_run(),
    }


def test_a_recorded_run_leaves_the_process_as_it_was(tracker):
    before = state_of_the_process()
    record(tracker)
    assert state_of_the_process() == before
    another = Tracker(tracker.track)
    another.start("another run", {})
    with pytest.raises(RuntimeError, match="broken"), another.recording():
        raise RuntimeError("broken")
    assert state_of_the_process() == before
    status = [tracker.client.get_run(t.run_id).info.status for t in (tracker, another)]
    assert status == ["FINISHED", "FAILED"]


def test_a_model_whose_sending_was_cut_short_is_there_once_and_whole(tracker, monkeypatch):
    send, errors = mlflow.MlflowClient.log_model_artifacts, [ConnectionError("gone")]

    def cut_short_once(client, model_id, folder):
        if errors:
            raise errors.pop()
        send(client, model_id, folder)

    monkeypatch.setattr(mlflow.MlflowClient, "log_model_artifacts", cut_short_once)
    record(tracker)
    run = tracker.client.get_run(tracker.run_id)
    (model,) = tracker.client.search_logged_models([run.info.experiment_id])
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    assert model.status == "READY"
    assert {metric.key: metric.value for metric in model.metrics} == {"final/test/songs": 3.0}
    folder = Path(urlsplit(model.artifact_location).path)
    assert (folder / "artifacts" / "best.ckpt").read_bytes() == b"weights"
    assert (folder / "code" / "gtzan_lightning" / "recipe" / "models" / "small_cnn.yaml").exists()
    names = {file.name for file in folder.rglob("*") if file.is_file()}
    assert names >= {"MLmodel", "pyfunc.py", "requirements.txt"}
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pyc"))]
    flavour = mlflow.models.Model.load(str(folder)).flavors["python_function"]
    assert Path(flavour["model_code_path"]).name == "pyfunc.py"
    assert "python_model" not in flavour
    lines = (folder / "requirements.txt").read_text().splitlines()
    needed = {Requirement(line).name for line in lines}
    assert needed >= {"torch", "lightning", "timm", "soundfile"}


def test_songs_are_sent_without_a_look_for_a_notebook(tracker, monkeypatch):
    """The sender's thread would import IPython, which breaks a plot that is drawn meanwhile."""
    names = []

    class Watch:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            names.append(name)

    for name in [name for name in sys.modules if name.split(".")[0] == "IPython"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Watch, *sys.meta_path])
    (tracker.folder / "songs.csv").write_text("song,part\na,train\n")
    with tracker.recording():
        tracker.log_songs(tracker.folder / "songs.csv", "some", "0123")
    assert "IPython" not in names
    inputs = tracker.client.get_run(tracker.run_id).inputs.dataset_inputs
    assert [one.dataset.name for one in inputs] == ["some"]


def test_a_run_registers_its_model_once_and_says_what_it_is(tracker):
    for _ in range(2):  # as a run that is resumed
        with tracker.recording():
            tracker.log_model(LoggedModel(CODE, tracker.folder / "best.ckpt", ["a", "b"], 8000))
            tracker.log_registration("genres")
            tracker.log_description("**0.6**\n" + "- a line\n" * 1000)
        tracker.resume(tracker.run_id)
    with tracker.recording():
        pass
    (version,) = tracker.client.search_model_versions("name = 'genres'")
    assert (int(version.version), version.run_id) == (1, tracker.run_id)
    said = tracker.client.get_run(tracker.run_id).data.tags["mlflow.note.content"]
    assert said.startswith("**0.6**")
    assert said.endswith("- a line")  # whole lines, as many as a tag holds
    assert 7900 < len(said) <= 8000


def test_a_model_that_an_older_version_kept_is_left_to_the_resumed_run(tmp_path):
    Sender(client=None, run_id="", folder=tmp_path)([{"kind": "model", "file": "best.ckpt"}])


def test_only_what_meets_lightning_imports_it():
    rooms = [
        "spool",
        "sender",
        "store",
        "reading",
        "moved",
        "view",
        "run_folder",
        "processes",
        "watchdog",
        "system_metrics",
    ]
    lines = [f"import gtzan_lightning.tracking.{name}" for name in rooms]
    lines += [
        "import sys",
        "print({'torch', 'lightning', 'gtzan_lightning.models'} & {*sys.modules})",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
