from types import SimpleNamespace

import lightning
import pytest
import torch
from conftest import RATE
from lightning.pytorch.plugins import MixedPrecision
from torch import nn

from gtzan_lightning.data.module import GenreData
from gtzan_lightning.data.synthetic import render
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.models.checkpoint import read_checkpoint
from gtzan_lightning.models.classifier import GenreClassifier
from gtzan_lightning.training.train import make_model


class Own(nn.Module):
    """A user's network: the mean of each bin."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(32, 10)
        self.batches = 0.0

    def fit_to_epochs(self, batches, epochs):
        self.batches, self.epochs = batches, epochs

    def forward(self, picture):
        return self.out(picture.mean((1, 3)))


def test_a_network_of_ones_own_is_trained_kept_and_used(quick, tmp_path):
    data = GenreData(quick())
    data.setup()
    contents = make_model(quick(), data).contents
    network = Own()
    before = network.out.weight.detach().clone()
    model = GenreClassifier(contents, network, songs=len(data.corpus.songs))
    trainer = lightning.Trainer(
        max_epochs=2, logger=False, enable_checkpointing=False, accelerator="cpu",
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    assert (network.batches, network.epochs) == (len(data.train_dataloader()), 2)
    assert not torch.equal(network.out.weight, before)
    assert 0 <= trainer.callback_metrics["valid/song_accuracy"] <= 1
    trainer.save_checkpoint(tmp_path / "own.ckpt")
    checkpoint = read_checkpoint(tmp_path / "own.ckpt")
    assert checkpoint.contents == contents
    tagger = Tagger(checkpoint, Own())
    assert torch.equal(tagger.network.out.weight, network.out.weight)
    prediction = tagger.predict(render("jazz", 0, 5, 3.0, RATE), RATE)
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert prediction.clip_probabilities.shape == (3, 10)
    with pytest.raises(UserError, match="settings or layers are not those"):
        Tagger(checkpoint)


def test_the_loss_of_an_evaluation_is_of_the_true_genres_whatever_the_smoothing(quick):
    """Smoothed or weighted, it could not be compared between recipes."""
    data = GenreData(quick("--fit.label_smoothing", "0.4"))
    data.setup()
    model = make_model(data.recipe, data)
    trainer = lightning.Trainer(
        logger=False, accelerator="cpu", enable_progress_bar=False, enable_model_summary=False
    )
    (scores,) = trainer.validate(model, datamodule=data, verbose=False)
    clips = model.gathered_predictions("valid")
    of_true = -clips.log_probs[range(len(clips.genre)), clips.genre].mean()
    assert scores["valid/loss"] == pytest.approx(of_true, rel=1e-5)


def test_pictures_are_augmented_anew_in_each_epoch_and_process_and_the_same_when_resumed(quick):
    data = GenreData(quick("--augment.spectrogram", "1", "--augment.mask", "1"))
    data.setup()
    model = make_model(data.recipe, data)
    picture = torch.randn(16, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    target = torch.eye(10).repeat(2, 1)[:16]

    def drawn(epoch, rank=0):
        model._trainer = SimpleNamespace(current_epoch=epoch, global_rank=rank)
        model.on_train_epoch_start()
        return data.picture_augmentation(picture, target)[0]

    with torch.random.fork_rng():
        first = drawn(0)
        assert not torch.equal(first, picture)
        assert torch.equal(first, drawn(0))
        assert not torch.equal(first, drawn(1))
        assert not torch.equal(first, drawn(0, rank=1))


def test_a_plateau_lowers_the_rate_as_the_recipe_says(quick):
    flags = ("--fit.schedule", "plateau", "--fit.plateau_factor", "0.1", "--fit.plateau_patience")
    data = GenreData(quick(*flags, "1"))
    data.setup()
    model = make_model(data.recipe, data)
    model._trainer = SimpleNamespace(estimated_stepping_batches=10, accumulate_grad_batches=1)
    optimizer = model.configure_optimizers()
    rates = []
    for loss in (1.0, 1.0, 1.0, 1.0, 1.0):  # the first is the best, the second is forgiven
        model.plateau.step(torch.tensor(loss))
        rates.append(optimizer.param_groups[0]["lr"] / data.recipe.fit.learning_rate)
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_a_warm_up_of_exactly_one_step_is_one(quick):
    data = GenreData(quick("--fit.schedule", "one_cycle", "--fit.warm_up", "0.2"))
    data.setup()
    model = make_model(data.recipe, data)
    model._trainer = SimpleNamespace(estimated_stepping_batches=5, accumulate_grad_batches=1)
    (optimizer,), (schedule,) = model.configure_optimizers()
    rates = []
    for _ in range(5):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule["scheduler"].step()
    assert rates == sorted(rates, reverse=True)


def test_gradients_of_a_fused_optimiser_are_clipped_under_a_gpus_mixed_precision(
    quick, monkeypatch
):
    data = GenreData(quick("--fit.precision", "bf16-mixed", "--fit.schedule", "constant"))
    data.setup()
    model = make_model(data.recipe, data)
    model.trainer = lightning.Trainer(max_epochs=1, logger=False, accelerator="cpu")
    model.trainer.strategy.precision_plugin = MixedPrecision("bf16-mixed", "cuda")
    optimizer = model.configure_optimizers()
    assert optimizer._step_supports_amp_scaling  # what Lightning refuses
    monkeypatch.setattr(type(model), "device", torch.device("cuda"))
    for value, norm in ((1e3, 5.0), (1e-6, None)):  # large ones are clipped, small ones are left
        for weight in model.network.parameters():
            weight.grad = torch.full_like(weight, value)
        before = torch.nn.utils.get_total_norm([w.grad for w in model.network.parameters()])
        model.configure_gradient_clipping(optimizer, 5.0, "norm")
        after = torch.nn.utils.get_total_norm([w.grad for w in model.network.parameters()])
        assert float(after) == pytest.approx(norm or float(before), rel=1e-3)
