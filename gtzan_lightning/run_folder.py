"""A run's folder while the run is made: who holds it, and which run can go on."""

from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from gtzan_lightning.cli import dump
from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing
from gtzan_lightning.settings import Recipe, TrackSettings

LOCK = ".lock"  # the system frees it when its holder dies, however it dies
PATIENCE = 30  # seconds that a dead run's switch may need to end it


def folder_of(track: TrackSettings, run_id: str) -> Path:
    return Path(track.folder) / "runs" / run_id


def hold(folder: Path) -> FileLock:
    """Make the folder, if it isn't there, and hold it until the lock is released.

    Raises:
        UserError: another process makes this run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        raise UserError(
            f"run {folder.name} is being made by another process: wait for it"
        ) from None
    return lock


def is_held(folder: Path) -> bool | None:
    """Whether a living process makes this run; None where nobody ever did from here."""
    if not (folder / LOCK).exists():
        return None
    try:
        FileLock(folder / LOCK).acquire(timeout=0).lock.release()
    except Timeout:
        return True
    return False


def keep_recipe(folder: Path, recipe: Recipe) -> None:
    """What ``--resume`` reads."""
    with replacing(folder / "recipe.yaml") as part:
        part.write_text(dump(recipe))


def unfinished(recipe: Recipe) -> str | None:
    """The newest run of exactly this recipe that did not end and that nobody makes just now."""
    wanted = _what(dump(recipe))
    files = (Path(recipe.track.folder) / "runs").glob("*/recipe.yaml")
    for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        done = (file.parent / "done").exists()
        if not done and _what(file.read_text()) == wanted and not is_held(file.parent):
            return file.parent.name
    return None


def _what(recipe: str) -> dict[str, object]:
    """A recipe's plain values, without where it is recorded."""
    return {key: value for key, value in yaml.safe_load(recipe).items() if key != "track"}
