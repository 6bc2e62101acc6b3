"""TensorBoard and Weights & Biases beside MLflow, for those who ask for them."""

import subprocess
import sys

import pytest

from gtzan_lightning.errors import UserError
from gtzan_lightning.training import loggers
from gtzan_lightning.training.train import train


def test_nothing_is_imported_unless_it_is_named():
    script = "import sys, gtzan_lightning.training.train\n"
    script += "print({'tensorboard', 'wandb'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_a_missing_library_is_named_before_anything_is_recorded(quick, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not installed
    recipe = quick("--track.also", "wandb")
    with pytest.raises(ModuleNotFoundError) as missing:
        train(recipe)
    assert missing.value.name == "wandb"


def test_curves_settings_and_scores_are_in_tensorboard_and_in_wandb(quick, monkeypatch, capsys):
    pytest.importorskip("tensorboard")
    pytest.importorskip("wandb")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    outcome = train(quick("--track.also", "tensorboard", "wandb", "--track.log_model", "false"))
    events = EventAccumulator(str(outcome.folder / "tensorboard")).Reload()
    assert len(events.Scalars("valid/song_accuracy")) == 2
    (score,) = events.Scalars("final/valid/song_accuracy")
    assert score.value == pytest.approx(outcome.scores["final/valid/song_accuracy"])
    assert "fit.max_epochs: 2" in (outcome.folder / "tensorboard" / "hparams.yaml").read_text()
    (kept,) = (outcome.folder / "wandb").glob(f"offline-run-*/run-{outcome.run_id}.wandb")
    content = kept.read_bytes()
    for name in (b"valid/song_accuracy", b"final/valid/song_accuracy", b"fit.max_epochs"):
        assert name in content


def test_wandb_that_does_not_start_is_one_line(quick, tmp_path, monkeypatch):
    class Refuses:
        @property
        def experiment(self):
            raise RuntimeError("no API key\nconfigured")

    with pytest.raises(UserError, match=r"no API key configured.*wandb login"):
        loggers._started(Refuses())
