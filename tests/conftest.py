"""Synthetic songs, quick recipes and a trained checkpoint, which many tests share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import Phase, settings

from gtzan_lightning.data.catalogue import GENRES
from gtzan_lightning.data.synthetic import render
from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.recipe.recipes import Recipe

REAL = Path(__file__).parent.parent.parent / "shared" / "data"
RATE = 8000  # Hz: cheap to compute

# of mutants.py: that an example fails is enough, the smallest one would take minutes to find
settings.register_profile(
    "mutants", phases=(Phase.explicit, Phase.generate), derandomize=True, database=None
)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real music beside the checkout; without it the test is skipped."""
    if not (REAL / "gtzan").is_dir():
        pytest.skip("no real music (../shared/data) beside this checkout")
    return REAL


@pytest.fixture(scope="session")
def gtzan_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of GTZAN in Kaggle's layout: 6 synthetic songs of about 4 s in each genre."""
    root = tmp_path_factory.mktemp("gtzan")
    for genre in GENRES:
        folder = root / "Data" / "genres_original" / genre
        folder.mkdir(parents=True)
        for number in range(6):
            wave = render(genre, number, 0, 4.0 + 0.1 * number, RATE)
            soundfile.write(folder / f"{genre}.{number:05}.wav", wave, RATE)
    return root


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of packed corpora, so that songs are packed once for all tests."""
    return tmp_path_factory.mktemp("packed")


@pytest.fixture
def quick(packed: Path, tmp_path: Path) -> Callable[..., Recipe]:
    """Makes recipes that train in seconds on synthetic songs; flags lie over them."""

    def make(*flags: str, model: str = "small_cnn") -> Recipe:
        given = quick_flags(packed, tmp_path, model)
        return parse_run([*given, *flags])[0]

    return make


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, packed: Path) -> str:
    """File of a small trained network that takes waveforms."""
    from gtzan_lightning.training.train import train

    folder = tmp_path_factory.mktemp("checkpoint")
    recipe, _ = parse_run([*quick_flags(packed, folder), "--track.log_model", "false"])
    return str(train(recipe).folder / "best.ckpt")


def quick_flags(packed: Path, folder: Path, model: str = "small_cnn") -> list[str]:
    """Flags of ``run.py`` for two short epochs on synthetic songs, recorded under ``folder``."""
    flags = {
        "--model": model,
        "--data.corpus": "synthetic",
        "--data.synthetic_songs": "6",
        "--data.synthetic_seconds": "4",
        "--data.sample_rate": str(RATE),
        "--data.n_fft": "512",
        "--data.hop_length": "256",
        "--data.bins": "32",
        "--data.clip_seconds": "1",
        "--data.clips_per_song": "2",
        "--data.packed": str(packed),
        "--fit.max_epochs": "2",
        "--fit.batch_size": "16",
        "--track.folder": str(folder / "mlruns"),
        "--track.uri": "local",
    }
    more = ["--data.fractions", "0.5", "0.25", "0.25"]
    if model == "small_cnn":
        more += ["--model.channels", "16", "32", "64"]
    return [*(word for pair in flags.items() for word in pair), *more]


@pytest.fixture(scope="session")
def tone() -> np.ndarray:
    """(sample,) float32: one second of a chord at ``RATE``."""
    t = np.arange(RATE) / RATE
    return (0.2 * sum(np.sin(2 * np.pi * f * t) for f in (220, 277, 330))).astype(np.float32)


def run(run_id: str, **over: object) -> dict[str, object]:
    """A run as ``runs_table`` lists it; ``over`` lies over its columns."""
    row = {
        "run_id": run_id,
        "status": "FINISHED",
        "corpus": "gtzan",
        "songs_fingerprint": "abc",
        "protocol": "filtered",
        "model": "small_cnn",
        "features": "mel 128, 3 s",
        "recipe": "r1",
        "seed": "0",
        "fold": "0",
        "warning": "",
        "final/test/songs": 290,
        "final/test/song_accuracy": 0.60,
        "final/test/song_f1": 0.58,
        "final/test/song_auroc": 0.9,
        "parameters": 1000,
        "minutes": 2.0,
    }
    return {**row, **over}
