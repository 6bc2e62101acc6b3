"""Synthetic songs, quick recipes and a trained checkpoint, which many tests share."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
WIDTHS = (390, 820, 1280)  # pixels of a phone, a tablet, a desktop
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
QUIET = ("disable-background-networking", "disable-component-update", "disable-sync", "no-sandbox")
REFUSED = ("413", "Waveform load error")  # Chromium on files that are too large, or broken
OUTSIDE = """[...document.querySelectorAll('button, a[href], input, select, audio, summary')]
  .filter(control => control.checkVisibility() && !control.closest('.wide'))
  .filter(control => {
    const box = control.getBoundingClientRect();
    return box.width > 1 && (box.left < -1 || box.right > innerWidth + 1); })
  .map(control => control.outerHTML.slice(0, 120))"""

# of files, none of them hidden
ODD_NAMES = tuple(map(os.fsdecode, (
    b"caf\xe9.wav", b"new\nline.wav", b"return\rcarriage.wav", "line\u2028sep.wav".encode(),
    "next\x85line.wav".encode(), b"=cmd.wav", b"-dash.wav", b'quote",comma.wav', b"a\\x0ab.wav",
    b"a\nb.wav", b"[red]x.wav", b"\x1b[31mred.wav", b"n" * 251 + b".wav", b" .wav",
)))  # fmt: skip

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
        more += ["--fit.monitor", "valid/song_accuracy"]  # as most models; its own is last
    return [*(word for pair in flags.items() for word in pair), *more]


@pytest.fixture(scope="session")
def tone() -> np.ndarray:
    """(sample,) float32: one second of a chord at ``RATE``."""
    t = np.arange(RATE) / RATE
    return (0.2 * sum(np.sin(2 * np.pi * f * t) for f in (220, 277, 330))).astype(np.float32)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser whose microphone plays a tone of -9 dBFS; the test is skipped without one."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("no chromium on this machine")
    wave = tmp_path_factory.mktemp("microphone") / "tone.wav"
    t = np.arange(44_100 * 3) / 44_100
    soundfile.write(wave, 0.5 * np.sin(2 * np.pi * 440 * t), 44_100, subtype="PCM_16")
    flags = [f"--{flag}" for flag in QUIET]
    flags += ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    flags += [f"--use-file-for-fake-audio-capture={wave}"]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens an address at a width; no page may complain, nor ask another host for anything."""
    complaints: list[str] = []
    hosts: set[str] = set()

    def opened(address: str, width: int = WIDTHS[-1], **options: Any) -> Any:
        size = {"width": width, "height": 844}
        context = chromium.new_context(viewport=size, permissions=["microphone"], **options)
        view = context.new_page()
        view.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        view.on("pageerror", lambda error: complaints.append(str(error)))
        view.on("request", lambda asked: hosts.add(asked.url.split("/")[2].split(":")[0]))
        view.goto(address)
        return view

    yield opened
    assert [text for text in complaints if not any(word in text for word in REFUSED)] == []
    assert hosts <= {"127.0.0.1", ""}


def check_fit(view: Any) -> None:
    """Nothing is wider than the screen, and every control is on it."""
    wide, screen = view.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= screen
    assert view.evaluate(OUTSIDE) == []


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
