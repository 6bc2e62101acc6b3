"""Numbers that are none: a training, an evaluation and a tagging of them."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import RATE
from mlflow.exceptions import MlflowException

from gtzan_lightning.data.audio import BrokenSong
from gtzan_lightning.errors import NoNumber, UserError
from gtzan_lightning.inference.ensemble import Ensemble
from gtzan_lightning.inference.prediction import Prediction
from gtzan_lightning.inference.pyfunc import WaveModel
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.models import baselines
from gtzan_lightning.models.checkpoint import read_checkpoint
from gtzan_lightning.models.classifier import GenreClassifier
from gtzan_lightning.tracking.reading import runs_table
from gtzan_lightning.training import finite
from gtzan_lightning.training.train import train

PLAIN = ["--track.log_model", "false", "--augment.audio", "0", "--fit.max_epochs", "3"]


def broken_from(monkeypatch, step, part):
    """Losses of a part are NaN from a step of the training on."""
    name = "training_step" if part == "train" else "_logits"
    whole = getattr(GenreClassifier, name)

    def broken(self, *args):
        right = whole(self, *args)
        starts = self.global_step >= step and self.training == (part == "train")
        return right * float("nan") if starts else right

    monkeypatch.setattr(GenreClassifier, name, broken)


@pytest.mark.parametrize("steps", [1, 50])
def test_a_training_stops_at_a_loss_that_is_no_number(quick, monkeypatch, steps):
    recipe = quick(*PLAIN)
    broken_from(monkeypatch, 5, "train")
    if steps > 1:  # as on a GPU
        monkeypatch.setattr(finite, "READS_EACH", ())
    with pytest.raises(UserError) as error:
        train(recipe)
    text = str(error.value)
    assert text.startswith("epoch 2, step 3, learning rate ")
    assert "the loss is nan (songs " in text
    assert "best.ckpt; train anew with a smaller fit.learning_rate" in text
    (run,) = runs_table(recipe.track).to_dict("records")
    assert run["status"] == "FAILED"
    assert not any(name.startswith("final/") for name in run)


def test_a_step_that_breaks_the_weights_leaves_no_checkpoint_of_them(quick, monkeypatch):
    """The loss of the last step of an epoch is still a number."""
    recipe = quick(*PLAIN)
    whole = GenreClassifier.optimizer_step

    def broken(self, epoch, *args, **more):
        whole(self, epoch, *args, **more)
        if epoch == 1 and self.trainer.is_last_batch:
            self.network.out.weight.data[0, 0] = float("nan")

    monkeypatch.setattr(GenreClassifier, "optimizer_step", broken)
    with pytest.raises(NoNumber) as error:
        train(recipe)
    text = str(error.value)
    assert re.match(
        r"epoch 2, step \d, learning rate .*: the step makes out\.weight no number", text
    )
    folder = next(Path(recipe.track.folder).glob("runs/*"))
    assert f"--resume {folder.name} goes on from last.ckpt" in text
    for name in ("best", "last"):
        assert read_checkpoint(folder / f"{name}.ckpt").state_dict  # of epoch 1, finite
    assert list(runs_table(recipe.track)["status"]) == ["FAILED"]


def test_features_without_numbers_are_refused(quick, monkeypatch):
    monkeypatch.setattr(
        baselines, "summarise", lambda picture, how: np.full((len(picture), 3), np.nan)
    )
    with pytest.raises(NoNumber, match=r"clips are no numbers, such as one of song \w+"):
        train(quick(model="knn"))


def test_an_evaluation_without_numbers_is_no_result(quick, monkeypatch):
    recipe = quick(*PLAIN)
    broken_from(monkeypatch, 3, "valid")
    with pytest.raises(UserError, match="epoch 1: the loss of the valid part is nan; train anew"):
        train(recipe)
    assert list(runs_table(recipe.track)["status"]) == ["FAILED"]


def test_predictions_without_numbers_are_not_scored(quick, monkeypatch):
    recipe = quick(*PLAIN)
    monkeypatch.setattr(
        "gtzan_lightning.models.classifier.GenreClassifier.load_state_dict",
        lambda self, state: self.network.out.weight.data.fill_(float("nan")),
    )
    with pytest.raises(UserError, match="predictions of the train part are no numbers"):
        train(recipe)


def test_a_song_without_numbers_has_no_genre(checkpoint, tone):
    tagger = Tagger.load(checkpoint, device="cpu")
    assert np.isfinite(tagger.predict(tone, RATE).probabilities).all()
    with torch.no_grad():
        next(tagger.network.parameters()).fill_(float("nan"))
    with pytest.raises(BrokenSong, match="unpredictable"):
        tagger.predict(tone, RATE)


def test_a_logged_model_says_which_waveform_has_no_genre(checkpoint, tone):
    model = WaveModel()
    model.tagger = Tagger.load(checkpoint, device="cpu")
    waves = np.stack([tone, tone]).astype(np.float32)
    assert np.isfinite(model.predict(None, waves).to_numpy()).all()
    waves[1, 5] = np.nan
    with pytest.raises(MlflowException, match="no number for 1 of 2 waveforms, such as that of r"):
        model.predict(None, waves)


def test_an_ensemble_of_certain_members_has_probabilities():
    """Each gives a genre no chance at all, as float32 does below 1e-45."""

    def member(*shares):
        made = Prediction(["a", "b"], np.array(shares), np.zeros(1), np.zeros((1, 2)), 1.0, ())
        return SimpleNamespace(
            genres=["a", "b"], sample_rate=RATE, digest="", predict_sound=lambda *_: made
        )

    wave = np.full(RATE, 0.1, np.float32)
    together = Ensemble([member(1.0, 0.0), member(0.0, 1.0)]).predict(wave, RATE)
    np.testing.assert_allclose(together.probabilities, [0.5, 0.5])


def test_an_ensemble_with_a_member_without_numbers_has_no_genre(checkpoint, tone):
    taggers = [Tagger.load(checkpoint, device="cpu") for _ in range(2)]
    with torch.no_grad():
        next(taggers[1].network.parameters()).fill_(float("nan"))
    with pytest.raises(BrokenSong, match="unpredictable"):
        Ensemble(taggers).predict(tone, RATE)
