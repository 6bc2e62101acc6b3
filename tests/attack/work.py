"""What the parts of the attack share: the set of hostile files, a network, results."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from tests.conftest import quick_flags
from tests.hostile import Hostile, make_hostile

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(ROOT),
    "COLUMNS": "200",
}  # fmt: skip
GTZAN = [sys.executable, "-m", "gtzan_lightning"]


@dataclass(frozen=True)
class Tried:
    """What was tried, and what was lost; "" if nothing."""

    what: str
    lost: str = ""


@dataclass(frozen=True)
class Work:
    """Where and how much: ``build`` keeps all files of the attack."""

    build: Path
    count: int
    seed: int
    kills: int
    soak: float  # seconds

    def folder(self, name: str) -> Path:
        """An empty folder of this name."""
        folder = self.build / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    @property
    def songs(self) -> Path:
        """Folder of the set: ``hostile`` and ``clean``."""
        return self.build / f"set-{self.count}-{self.seed}"

    @cached_property
    def hostile(self) -> list[Hostile]:
        """The set, made once for a count and a seed."""
        manifest = self.songs / "manifest.json"
        if not manifest.exists():
            shutil.rmtree(self.songs, ignore_errors=True)
            made = make_hostile(self.songs, self.count, self.seed)
            manifest.write_text(json.dumps([asdict(one) for one in made], default=str))
        rows = [Hostile(**row) for row in json.loads(manifest.read_text())]
        paths = [(Path(row.path), row.clean and Path(row.clean)) for row in rows]
        return [
            replace(row, path=path, clean=clean)
            for row, (path, clean) in zip(rows, paths, strict=True)
        ]

    @cached_property
    def checkpoint(self) -> str:
        """A small network that was trained on synthetic songs, made once."""
        folder = self.build / "network"
        if not list(folder.glob("mlruns/runs/*/done")):
            shutil.rmtree(folder, ignore_errors=True)
            flags = [*quick_flags(folder / "packed", folder), "--fit.max_epochs", "12"]
            subprocess.run([*GTZAN, "run", *flags, "--track.log_model", "false"], env=ENVIRONMENT,
                           stdout=subprocess.DEVNULL, check=True)  # fmt: skip
        return str(next(folder.glob("mlruns/runs/*/best.ckpt")))

    @cached_property
    def genres(self) -> list[str]:
        """Of that network."""
        from gtzan_lightning.data.catalogue import GENRES

        return list(GENRES)
