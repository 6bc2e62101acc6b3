"""The rooms of the package, which may import which, and which file may import a library."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gtzan_lightning"
# a room imports rooms of lower floors only, and no other room of its own floor
FLOORS = [
    {"errors", "files", "records", "terminal", "version"},
    {"recipe"},
    {"data", "tracking", "results"},
    {"models"},
    {"inference"},
    {"training"},
    {"tuning", "bench", "audit", "ladder", "doctor"},
    {"commands"},
    {"__main__", "__init__"},
]
OWNERS = {
    "mlflow": {
        "tracking/access.py",
        "tracking/store.py",
        "tracking/tracker.py",
        "tracking/sender.py",
        "tracking/system_metrics.py",
        "tracking/reading.py",
        "tracking/view.py",
        "tracking/watchdog.py",
        "inference/pyfunc.py",
    },
    "torchaudio": {"data/spectra.py", "bench/libraries.py"},
    "timm": {"models/backbone.py"},
    "transformers": {"models/encoder.py"},
    # backbone.py asks whether the hub can be reached
    "huggingface_hub": {"data/download.py", "models/backbone.py", "inference/hub.py"},
    "kagglehub": {"data/download.py"},
    "sklearn": {
        "results/predictions.py",
        "models/baselines.py",
        "audit/flaws.py",
        "data/telltale.py",
    },
    "librosa": {"data/spectra.py", "bench/libraries.py"},
    "soundfile": {"data/sound_files.py", "bench/libraries.py"},
    "soxr": {"data/audio.py"},
    "audiomentations": {"data/augment.py"},
    "nnAudio": {"bench/libraries.py"},
    # plots.py and explanation.py draw; the others name a type
    "matplotlib": {
        "results/plots.py",
        "results/explanation.py",
        "inference/explained.py",
        "ladder/plot.py",
        "data/pictures.py",
        "tracking/journal.py",
        "tuning/sweep.py",
        "bench/rows.py",
    },
    "jinja2": {"results/template.py", "audit/page.py"},
    "argparse": {"recipe/command_line.py", "recipe/recipe_flags.py"},
    "argcomplete": {"recipe/completion.py"},
    "mutagen": {"inference/file_tags.py"},
    "optuna": {"tuning/sweep.py", "tuning/study.py", "tuning/storage.py"},
    "gradio": {"inference/web.py"},
    "starlette": {"inference/web_guard.py", "inference/web_server.py"},
    "uvicorn": {"inference/web_server.py"},
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


def rooms_imported(file: Path) -> set[str]:
    nodes = [n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.ImportFrom)]
    names = [node.module.split(".") for node in nodes if node.module]
    return {name[1] for name in names if name[0] == "gtzan_lightning" and len(name) > 1}


def test_rooms_import_only_rooms_below_them():
    floor_of = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    broken = [
        f"{file.relative_to(PACKAGE)} imports {other}"
        for file in PACKAGE.rglob("*.py")
        for room in [file.relative_to(PACKAGE).parts[0].removesuffix(".py")]
        for other in rooms_imported(file) - {room}
        if floor_of[other] >= floor_of[room]
    ]
    assert not broken


@pytest.mark.parametrize("library", OWNERS)
def test_only_its_owner_imports(library):
    users = {
        str(file.relative_to(PACKAGE)) for file in PACKAGE.rglob("*.py") if library in imports(file)
    }
    assert users == OWNERS[library]


def test_files_stay_readable():
    for file in PACKAGE.rglob("*.py"):
        text = file.read_text()
        assert len(text.splitlines()) <= 300, file
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 40, f"{file}: {node.name}"
        assert file.stem not in ("utils", "helpers", "common", "core", "base")
