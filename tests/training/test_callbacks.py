"""Which epoch a run keeps and when it stops, on a network of one weight that counts its steps."""

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.training.callbacks import run_callbacks

STEPS = 4  # of an epoch
# training gets better for ever, validation is best in the second epoch
VALID = {
    "valid/song_accuracy": [0.5, 0.7, 0.6, 0.6, 0.6, 0.6],
    "valid/song_loss": [3, 1, 2, 2, 2, 2],
}
TRAIN = {"train/song_accuracy": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "train/loss_epoch": range(6, 0, -1)}


class Counter(lightning.LightningModule):
    """After n steps its weight is n."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.validated, self.begun = [], []

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)

    def training_step(self, batch, index):
        return -self.weight.sum()

    def validation_step(self, batch, index):
        return None

    def on_train_epoch_start(self):
        self.begun.append(self.weight.item())

    def on_train_epoch_end(self):
        self.log_dict({name: float(of[self.current_epoch]) for name, of in TRAIN.items()})

    def on_validation_epoch_end(self):
        self.validated.append(self.weight.item())
        self.log_dict({name: float(of[self.current_epoch]) for name, of in VALID.items()})


def fitted(folder, **fit):
    recipe = Recipe.load("small_cnn", {f"fit.{name}": value for name, value in fit.items()})
    trainer = lightning.Trainer(
        max_epochs=6, logger=False, accelerator="cpu", enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0,
        callbacks=run_callbacks(recipe, folder),
    )  # fmt: skip
    model = Counter()
    clips = DataLoader(torch.zeros(STEPS))
    trainer.fit(model, clips, clips)
    return model


def kept(folder, name):
    weights = torch.load(folder / f"{name}.ckpt", weights_only=True)["state_dict"]
    return weights["weight"].item()


@pytest.mark.parametrize("monitor", list(VALID))
def test_the_validation_part_chooses_the_epoch_and_stops_the_training(tmp_path, monitor):
    model = fitted(tmp_path, monitor=monitor, patience=2, average_epochs=0)
    assert len(model.validated) == 4  # the best, and two that were no better
    assert kept(tmp_path, "best") == 2 * STEPS
    assert kept(tmp_path, "last") == 4 * STEPS


def test_a_negative_min_delta_takes_a_worse_loss_for_better(tmp_path):
    """zhang's: 2 after 1 is within 1.5, so that it replaces the best, and nothing stops."""
    model = fitted(
        tmp_path, monitor="valid/song_loss", patience=2, min_delta=-1.5, average_epochs=0
    )
    assert len(model.validated) == 6
    assert kept(tmp_path, "best") == 6 * STEPS


def test_the_average_is_validated_and_kept_and_the_training_goes_on_from_its_own_weights(tmp_path):
    model = fitted(tmp_path, monitor="valid/song_loss", average_epochs=100)
    # so long an average is the plain mean of 1, 2, ... after each step
    means = [(1 + STEPS * epoch) / 2 for epoch in range(1, 7)]
    assert model.validated == pytest.approx(means)
    assert kept(tmp_path, "best") == pytest.approx(means[1])
    assert model.begun == [STEPS * epoch for epoch in range(6)]


def test_a_sweeps_trials_keep_no_state_to_resume_from(tmp_path):
    fitted(tmp_path, resumable=False)
    assert [file.name for file in tmp_path.iterdir()] == ["best.ckpt"]
    fitted(tmp_path / "other")
    assert (tmp_path / "other" / "last.ckpt").exists()
