"""Installed from a wheel and used outside the checkout, it is the same program."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RECIPES = """
import gtzan_lightning
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS
from gtzan_lightning.recipe.recipes import Recipe, dump
print(gtzan_lightning.__file__)
print(*(dump(Recipe.load(name)) for name in MODEL_SETTINGS))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder of an installed wheel; dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"  # a build leaves files beside what it builds
    shutil.copytree(ROOT / "gtzan_lightning", source / "gtzan_lightning")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    built = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, source]
    subprocess.run(built, check=True, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "-t", folder / "site", wheel], check=True)
    return folder / "site"


def said(command: list[object], cwd: Path, path: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(path)}
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, check=True, capture_output=True,
        text=True,
    ).stdout  # fmt: skip


def test_the_recipes_of_all_models_are_those_of_the_checkout(installed, tmp_path):
    place, _, recipes = said([sys.executable, "-c", RECIPES], tmp_path, installed).partition("\n")
    assert Path(place).is_relative_to(installed)
    assert recipes == said([sys.executable, "-c", RECIPES], ROOT, ROOT).partition("\n")[2]
    assert "max_epochs: 40" in recipes  # efficientnet's own


def test_the_console_command_prints_what_the_script_prints(installed, tmp_path):
    flags = ["--model", "efficientnet", "--print_config"]
    gtzan = said([installed / "bin" / "gtzan", "run", *flags], tmp_path, installed)
    assert gtzan == said([sys.executable, "experiments/run.py", *flags], ROOT, ROOT)
    assert {"facts", "corpus.py"} < {p.name for p in (installed / "gtzan_lightning/data").iterdir()}


def test_a_missing_recipe_is_an_error(installed, tmp_path):
    own = installed / "gtzan_lightning" / "recipe" / "models" / "vgg.yaml"
    kept = own.read_bytes()
    own.unlink()
    try:
        done = subprocess.run(
            [installed / "bin" / "gtzan", "run", "--model", "vgg", "--print_config"],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(installed)},
            capture_output=True, text=True,
        )  # fmt: skip
    finally:
        own.write_bytes(kept)
    assert done.returncode == 2
    assert "vgg.yaml can't be read" in done.stderr
