"""What a run was made with: versions, machine, commit."""

import functools
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

from gtzan_lightning.files import digest, file_sha256

CODE = ("commit", "dirty", "source")  # what tells the code of two runs apart
PACKAGES = ["torch", "torchaudio", "torchvision", "lightning", "torchmetrics", "timm", "mlflow"]
PACKAGES += ["audiomentations", "numpy", "soundfile", "soxr", "scikit-learn", "gtzan-lightning"]


@functools.cache
def environment() -> dict[str, str]:
    """Versions, machine, commit and whether the working tree, but for ``docs``, differs from it."""
    here = Path(__file__).parent
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {
        **{f"version.{name}": version(name) for name in PACKAGES},
        "version.torch": torch.__version__,  # with its build, such as +cu130
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {device}",
        **checkout(Path(__file__)),
        "source": source(here.parent),
    }


def checkout(file: Path) -> dict[str, str]:
    """Commit of the repository that has a file, and whether it was changed since."""
    # a package that pip installed into a folder of somebody's repository is not in it
    if not _git(file.parent, "ls-files", "--", file.name):
        return {"commit": "unknown", "dirty": "false"}
    commit = _git(file.parent, "rev-parse", "HEAD") or "unknown"
    return {"commit": commit, "dirty": str(is_dirty(file.parent)).lower()}


def source(package: Path) -> str:
    """Of the content of a package's modules: other where they were changed without a commit."""
    files = sorted(package.rglob("*.py"))
    words = [f"{file.relative_to(package).as_posix()} {file_sha256(file)}" for file in files]
    return digest("\n".join(words).encode())


def is_dirty(folder: Path) -> bool:
    """Whether a checkout differs from its commit, but for ``docs``: where a run adds to the ledger,
    the next one is still of committed code."""
    return bool(_git(folder, "status", "--porcelain", "--", ":/", ":(top,exclude)docs"))


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
