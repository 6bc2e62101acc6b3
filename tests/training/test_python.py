"""What a notebook does: networks and trainers of one's own, and a process that stays as it was."""

import logging
import os
import random
import signal
import warnings

import lightning
import numpy as np
import pytest
import torch
from torch import nn

from gtzan_lightning import Tagger, compare, predictions
from gtzan_lightning.data.module import GenreData
from gtzan_lightning.errors import UserError
from gtzan_lightning.models.checkpoint import read_checkpoint
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.tracking.reading import runs_table
from gtzan_lightning.training.callbacks import run_callbacks
from gtzan_lightning.training.train import make_model, predict, train


class MeanSpectrum(nn.Module):
    """The mean of each bin, and a linear layer: about the smallest network of all."""

    def __init__(self, genres: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.out = nn.Linear(shape[0] * shape[1], genres)

    def forward(self, picture):
        return self.out(picture.mean(3).flatten(1))


def custom(recipe: Recipe, title: str = "mean_spectrum") -> Recipe:
    sections = {
        f"{key}.{name}": value
        for key in ("data", "augment", "fit", "track")
        for name, value in getattr(recipe, key).model_dump().items()
    }
    return Recipe.load("custom", {**sections, "model.title": title})


def state_of_the_process() -> tuple[object, ...]:
    return (
        random.getstate(),
        tuple(np.random.get_state()[1]),  # noqa: NPY002
        torch.get_rng_state().tolist(),
        list(warnings.filters),
        dict(os.environ),
        logging.getLogger("lightning.pytorch").level,
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        signal.getsignal(signal.SIGINT),
    )


def test_training_leaves_the_process_and_the_folder_as_they_were(quick, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = state_of_the_process()
    train(quick("--fit.matmul_precision", "medium", "--fit.deterministic", "true"))
    assert [path.name for path in tmp_path.iterdir()] == ["mlruns"]
    for was, now in zip(before, state_of_the_process(), strict=True):
        assert was == now


def test_an_interrupted_training_leaves_ctrl_c_alone(quick):
    class Stop(lightning.Callback):
        def on_train_batch_start(self, *args):
            raise KeyboardInterrupt

    before = state_of_the_process()
    with pytest.raises(KeyboardInterrupt):
        train(quick(), more_callbacks=[Stop()])
    assert state_of_the_process() == before


def test_a_network_of_ones_own_is_trained_like_the_others(quick):
    recipe = custom(quick())
    outcome = train(recipe, network=MeanSpectrum)
    assert outcome.scores["final/valid/songs"] == 20
    (run,) = runs_table(recipe.track).to_dict("records")
    assert run["model"] == "mean_spectrum"
    assert compare("mean_spectrum", "mean_spectrum", track=recipe.track) == []
    network = MeanSpectrum(10, (1, 32, 32))
    tagger = Tagger(read_checkpoint(outcome.folder / "best.ckpt"), network)
    table = predictions(outcome.run_id[:8], recipe.track)
    assert tagger.genres == list(table.columns[5:])


def test_a_network_and_its_recipe_belong_together(quick):
    for recipe, network in ((quick(), MeanSpectrum), (custom(quick()), None)):
        with pytest.raises(UserError, match="custom"):
            train(recipe, network=network)


def test_a_trainer_of_ones_own_keeps_the_best_checkpoint_and_gives_predictions(quick, tmp_path):
    recipe = quick("--fit.max_epochs", "3", "--open-test")
    data = GenreData(recipe)
    data.setup()
    model = make_model(recipe, data)
    trainer = lightning.Trainer(
        max_epochs=3, logger=False, callbacks=run_callbacks(recipe, tmp_path), accelerator="cpu",
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    best = trainer.checkpoint_callback.best_model_score
    predictions = predict(trainer, model, data, tmp_path / "best.ckpt")
    assert set(predictions["part"]) == {"train", "valid", "test"}
    assert trainer.callback_metrics["test/song_accuracy"] >= 0
    from gtzan_lightning.results import predictions as scoring

    again = scoring.scores(predictions, "valid")["song_accuracy"]
    assert again == pytest.approx(float(best), abs=1e-6)
