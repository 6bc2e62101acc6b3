"""One file each may import the libraries whose end or change should cost one file."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gtzan_lightning"
OWNERS = {
    "mlflow": {"tracking.py", "sending.py", "run_watch.py", "store.py", "deadman.py"},
    "torchaudio": {"features.py", "bench_peers.py"},
    "timm": {"models/backbone.py"},
    "sklearn": {"metrics.py", "models/classical.py"},
    "librosa": {"features.py", "bench_peers.py"},
    "soundfile": {"audio.py", "bench_peers.py"},
    "soxr": {"audio.py"},
    "audiomentations": {"augment.py"},
    "nnAudio": {"bench_peers.py"},
    # figures.py draws; the others name a type
    "matplotlib": {"figures.py", "tracking.py", "sweeps.py", "bench_rows.py"},
    "argparse": {"cli.py"},
    "mutagen": {"file_tags.py"},
    "optuna": {"sweeps.py", "studies.py"},
    "gradio": {"web.py"},
    "onnxruntime": {"onnx_export.py"},
    "ray": {"tagging_ray.py"},
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
