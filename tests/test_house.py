"""One file each may import the libraries whose end or change should cost one file."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gtzan_lightning"
OWNERS = {
    "mlflow": {
        "tracking/tracker.py",
        "tracking/sender.py",
        "tracking/system_metrics.py",
        "tracking/reading.py",
        "tracking/watchdog.py",
    },
    "torchaudio": {"data/features.py", "bench/libraries.py"},
    "timm": {"models/backbone.py"},
    "sklearn": {"results/predictions.py", "models/baselines.py"},
    "librosa": {"data/features.py", "bench/libraries.py"},
    "soundfile": {"data/audio.py", "bench/libraries.py"},
    "soxr": {"data/audio.py"},
    "audiomentations": {"data/augment.py"},
    "nnAudio": {"bench/libraries.py"},
    # plots.py draws; the others name a type
    "matplotlib": {"results/plots.py", "tracking/tracker.py", "tuning/sweep.py", "bench/rows.py"},
    "jinja2": {"results/html.py"},
    "argparse": {"recipe/command_line.py"},
    "mutagen": {"inference/file_tags.py"},
    "optuna": {"tuning/sweep.py", "tuning/study.py"},
    "gradio": {"inference/web.py"},
    "onnxruntime": {"inference/onnx.py"},
    "ray": {"inference/tag_ray.py"},
}


def imports(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("library", OWNERS)
def test_only_its_owner_imports(library):
    users = {
        str(file.relative_to(PACKAGE)) for file in PACKAGE.rglob("*.py") if library in imports(file)
    }
    assert users == OWNERS[library]


def test_files_stay_readable():
    for file in PACKAGE.rglob("*.py"):
        assert len(file.read_text().splitlines()) <= 330, file
        assert file.stem not in ("utils", "helpers", "common", "core", "base")
