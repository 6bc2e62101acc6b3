"""Commands around the models: the printed models, augmentation plots, the nightly training."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import quick_flags

from experiments import augmentation, models
from gtzan_lightning.errors import UserError, in_a_line
from gtzan_lightning.models import BASELINES, MODELS
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS
from gtzan_lightning.tracking.reading import runs_table
from gtzan_lightning.training.train import train


def test_the_printed_models_are_those_of_the_readme(capsys):
    models.main([])
    printed = capsys.readouterr().out.splitlines()
    lines = {line.split("|")[1].strip(): line for line in printed}
    assert set(MODEL_SETTINGS) <= set(lines)


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
    assert run["name"].startswith("augmentation-")
    nothing = {"cutout_side": "0", "mask_bins": "0", "mask_frames": "0", "warp_bins": "0"}
    nothing |= {"warp_tempo": "0", "width_shift_frames": "0.001"}
    less = [word for name, value in nothing.items() for word in (f"--augment.{name}", value)]
    augmentation.main([*flags, *less, "--out", str(tmp_path / "less")])
    printed = capsys.readouterr().out.splitlines()
    assert len(list((tmp_path / "less").iterdir())) == 5
    assert printed[-1] == "cutout changes nothing at augment.cutout_side 0: it is not drawn"
    assert [line.split()[0] for line in printed[5:]] == ["warp", "width_shift", "mask", "cutout"]
    with pytest.raises(UserError, match="--song jazz: it is not in the corpus"):
        augmentation.main([*flags, "--song", "jazz"])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*MODELS, *BASELINES])
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


def test_an_error_without_words_is_named_and_an_empty_text_is_not():
    assert in_a_line(ValueError(" two\nlines ")) == "two lines"
    assert in_a_line(ValueError()) == "ValueError"
    assert in_a_line("") == ""
