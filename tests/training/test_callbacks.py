"""Which epoch a run keeps and when it stops, on a network of one weight that counts its steps."""

import re

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.training.callbacks import run_callbacks
from gtzan_lightning.training.screen import WIDTHS, Screen, duration

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


def fitted(folder, more=(), **fit):
    fit = {"monitor": "valid/song_accuracy", **fit}
    recipe = Recipe.load("small_cnn", {f"fit.{name}": value for name, value in fit.items()})
    trainer = lightning.Trainer(
        max_epochs=6, logger=False, accelerator="cpu", enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0,
        callbacks=[*run_callbacks(recipe, folder), *more],
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


def test_the_last_epoch_is_kept_whatever_its_score(tmp_path):
    model = fitted(tmp_path, monitor="last", average_epochs=0)
    assert len(model.validated) == 6
    assert kept(tmp_path, "best") == 6 * STEPS
    with pytest.raises(UserError, match=r"fit\.patience stops by a score"):
        fitted(tmp_path, monitor="last", patience=2)


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


def test_a_log_has_a_line_for_each_epoch_that_ends(tmp_path, capsys):
    fitted(tmp_path, more=[Screen()], patience=2, average_epochs=0)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert [line.split(":")[0] for line in lines] == [f"epoch {n}/6" for n in (1, 2, 3, 4)]
    assert "train/loss_epoch 4.000, valid/song_accuracy 0.600, best 0.700, " in lines[2]
    assert all(line.endswith(" s left") for line in lines[:3])
    assert not lines[3].endswith("left")  # it stopped there


def test_a_terminal_has_a_table_of_epochs(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    fitted(tmp_path, more=[Screen()], average_epochs=0)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().out).splitlines()
    titles = next(n for n, line in enumerate(lines) if line.split()[:1] == ["epoch"])
    rows = [line for line in lines[titles + 1 :] if "/6 " in line and "epoch" not in line]
    assert [row.split()[:2] for row in rows] == [[f"{n}/6", f"{7 - n}.000"] for n in range(1, 7)]
    assert rows[3].split()[2:4] == ["0.600", "0.700"]  # Counter logs no loss of clips
    assert max(map(len, lines[titles : titles + 1] + rows)) <= sum(WIDTHS.values()) < 80


def test_a_trial_of_a_sweep_leaves_no_line(tmp_path, capsys):
    fitted(tmp_path, more=[Screen("trial 1 of 3, ", has_lines=False)])
    assert "epoch" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.96, "10 s"), (59.6, "1 min"), (3599, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_durations_are_short(seconds, text):
    assert duration(seconds) == text
