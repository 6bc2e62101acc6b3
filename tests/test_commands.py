"""Commands around the models: the printed zoo, augmentation figures, the nightly training."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import quick_flags

from experiments import augmentation, models
from gtzan_lightning.errors import UserError
from gtzan_lightning.models import CLASSICAL, MODELS
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS
from gtzan_lightning.tracking.reading import runs_table
from gtzan_lightning.training.train import train


def test_the_zoo_is_printed_with_the_published_counts(capsys):
    models.main([])
    printed = capsys.readouterr().out.splitlines()
    lines = {line.split("|")[1].strip(): line for line in printed}
    assert set(MODEL_SETTINGS) <= set(lines)
    for name, count in (
        ("cnn", "15,762,770 (480x640x3)"),
        ("cnn_lstm", "27,019,436"),
        ("bbnn", "185,642 (128x647x1)"),
        ("res_bigru", "12,874,314"),
        ("bigru", "4,272,394"),
    ):
        assert count in lines[name]


def test_every_augmentation_is_drawn_into_a_folder_and_a_run(packed, tmp_path, capsys, quick):
    flags = [*quick_flags(packed, tmp_path), "--out", str(tmp_path / "figures")]
    augmentation.main(flags)
    drawn = {file.name for file in (tmp_path / "figures").iterdir()}
    assert drawn >= {"time_shift.png", "Gaussian_noise.png", "mixup.png", "mask.png", "cutout.png"}
    assert len(capsys.readouterr().out.split()) == len(drawn) == 9
    for file in (tmp_path / "figures").iterdir():
        red, _, blue = np.moveaxis(plt.imread(file)[..., :3], -1, 0)
        assert (red != blue).mean() > 0.3, file  # curves or pictures: axes and text are grey
    run = runs_table(quick().track).iloc[0]
    assert run["status"] == "FINISHED"
    assert run["tags.mlflow.runName"].startswith("augmentation-")
    with pytest.raises(UserError, match="--song jazz: it is not in the corpus"):
        augmentation.main([*flags, "--song", "jazz"])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*MODELS, *CLASSICAL])
def test_every_model_beats_chance_after_ten_epochs(name, quick):
    """On synthetic songs; pictures are enlarged so that every network can hold them."""
    # ten neighbours want more than five training songs of each genre
    songs = "10" if name in MODELS else "40"
    flags = ["--data.synthetic_songs", songs, "--fit.max_epochs", "10"]
    flags += ["--track.log_model", "false"]
    if name in MODELS:  # cnn, without batch norm, needs so many steps before it learns anything
        flags += ["--data.picture_size", "80", "80", "--data.clips_per_song", "12"]
    figures = train(quick(*flags, model=name)).scores
    assert figures["final/valid/song_accuracy"] > 0.25  # ten genres: chance is 0.1
