"""The page that MLflow shows of a run."""

import numpy as np
import pandas as pd
import pytest

from gtzan_lightning.results.calibration import calibration
from gtzan_lightning.results.predictions import scores
from gtzan_lightning.results.summary import markdown


@pytest.fixture
def predictions() -> pd.DataFrame:
    """Two songs of each of two genres, one of them wrong."""
    right = [True, True, True, False]
    genres = ["jazz", "jazz", "drum|bass", "drum|bass"]
    other = {"jazz": "drum|bass", "drum|bass": "jazz"}
    rows = [
        {"part": "valid", "song": f"{n}", "start": 0.0, "genre": genre, "artist": "",
         genre: np.log(0.8 if is_right else 0.2), other[genre]: np.log(0.2 if is_right else 0.8)}
        for n, (genre, is_right) in enumerate(zip(genres, right, strict=True))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def page(predictions: pd.DataFrame, accuracies: list[float], **over: str) -> list[str]:
    of_part = scores(predictions, "valid") | calibration(predictions, "valid")
    history = {
        "valid/loss": [(10 * n, 2.0 - n / 100) for n in range(len(accuracies))],
        "valid/song_accuracy": [(10 * n, value) for n, value in enumerate(accuracies)],
        "epoch": [(10 * n, float(n)) for n in range(len(accuracies))],
    }
    given = {"monitor": "valid/song_accuracy", "warning": "", "use": "gtzan tag", **over}
    of_run = {f"final/valid/{name}": value for name, value in of_part.items()}
    return markdown(of_run, predictions, history, **given).replace("&emsp;", "").splitlines()


def test_a_leaky_run_says_so_before_its_score(predictions):
    lines = page(predictions, [0.5], warning="LEAKY: clips of a song")
    assert lines[0] == "**WARNING: LEAKY: clips of a song**"
    assert lines[2].startswith("**valid: song accuracy 0.750 [0.301, 0.954] on 4 songs")
    assert page(predictions, [0.5])[0] == lines[2]


def test_the_curves_have_the_first_the_best_and_the_last_epoch(predictions):
    accuracies = [0.1] * 40
    accuracies[22] = 0.7
    rows = [line for line in page(predictions, accuracies) if line.startswith("| ")]
    epochs = [row.split("|")[1].strip() for row in rows if "0.1" in row or "(best)" in row]
    assert (epochs[0], epochs[-1]) == ("1", "40")
    assert "23 (best)" in epochs
    assert len(epochs) <= 10
    (best,) = [row for row in rows if "(best)" in row]
    assert [cell.strip() for cell in best.split("|")[2:4]] == ["1.780", "0.700"]
    by_loss = page(predictions, accuracies, monitor="valid/loss")
    assert any("| 40 (best)" in line for line in by_loss)
    by_none = page(predictions, accuracies, monitor="last")
    assert any("| 40 (kept)" in line for line in by_none)
    assert not any("(best)" in line for line in by_none)


def test_a_baseline_has_no_curves_and_a_genre_keeps_its_table_whole(predictions):
    lines = page(predictions, [], use="")
    assert not [line for line in lines if "curves" in line or "sh" in line]
    (row,) = [line for line in lines if "drum" in line]
    assert row.startswith(r"| drum\|bass | 1.000")
    assert row.endswith("| 2       |")
