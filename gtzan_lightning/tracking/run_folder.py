"""A run's folder while the run is made: its lock, and which run can be resumed."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing
from gtzan_lightning.recipe.recipes import Recipe, dump, read_recipe
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.terminal import shown
from gtzan_lightning.tracking.place import store_uri

LOCK = ".lock"  # the system releases it when its process dies, however it dies
PATIENCE = 30  # seconds that a dead run's watchdog may need to end it


def folder_of(track: TrackSettings, run_id: str) -> Path:
    """It need not be there."""
    return Path(track.folder) / "runs" / run_id


def lock_run(folder: Path) -> FileLock:
    """Make the folder, if it isn't there, and lock it.

    Raises:
        UserError: the run is in use by another process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        raise UserError(f"run {folder.name} is in use by another process: wait for it") from None
    return lock


def is_locked(folder: Path, patience: float = 0) -> bool | None:
    """Whether a living process makes this run; None where none ever did from here.

    Args:
        patience: seconds to wait for one that may only be ending it.
    """
    if not (folder / LOCK).exists():
        return None
    try:
        FileLock(folder / LOCK).acquire(timeout=patience).lock.release()
    except Timeout:
        return True
    return False


def keep_recipe(folder: Path, recipe: Recipe) -> None:
    """What ``--resume`` reads, and the store that the run is in."""
    with replacing(folder / "store.txt") as part:
        part.write_text(_store(recipe.track))
    with replacing(folder / "recipe.yaml") as part:
        part.write_text(dump(recipe))


def unfinished(recipe: Recipe) -> str | None:
    """The newest unended run of exactly this recipe, in the same store, that no process makes."""
    settings, store = _settings(yaml.safe_load(dump(recipe))), _store(recipe.track)
    for folder in _unended(recipe.track.folder):
        if (folder / "store.txt").read_bytes() != store.encode():
            continue
        try:
            own = _settings(read_recipe(folder / "recipe.yaml"))
        except UserError:  # damaged, it is none of this recipe
            continue
        if own == settings and not is_locked(folder, PATIENCE / 3):
            return folder.name
    return None


def newest_unfinished(track_folder: str) -> str:
    """The newest unended run of whatever recipe that no process makes.

    Raises:
        UserError: there is none.
    """
    for folder in _unended(track_folder):
        if not is_locked(folder):
            return folder.name
    raise UserError(f"no run in {track_folder} was interrupted: there is nothing to resume")


def begins_with(track_folder: str, beginning: str) -> list[str]:
    """Ids of the runs of a folder that begin so."""
    names = (folder.name for folder in (Path(track_folder) / "runs").glob("*/"))
    return [name for name in names if name.startswith(beginning)]


def _unended(track_folder: str) -> list[Path]:
    """Folders of runs without an end, the newest first."""
    files = (Path(track_folder) / "runs").glob("*/recipe.yaml")
    newest = sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)
    folders = [file.parent for file in newest if file.with_name("store.txt").exists()]
    return [folder for folder in folders if not (folder / "done").exists()]


def _store(track: TrackSettings) -> str:
    return f"{shown(store_uri(track))} {track.experiment}"


def _settings(recipe: dict[str, object]) -> dict[str, object]:
    """A recipe's plain values, without where it is recorded."""
    return {key: value for key, value in recipe.items() if key != "track"}


@contextlib.contextmanager
def stopwatch(folder: Path, is_kept: bool) -> Iterator[Callable[[], float]]:
    """Minutes so far, those of earlier starts of the run included.

    Args:
        is_kept: for later starts of the run; of several processes, the first one's is.
    """
    file = folder / "minutes"
    try:
        before = float(file.read_text())
    except (OSError, ValueError):  # of a first start; or a machine that went down left it empty
        before = 0.0
    start = time.monotonic()

    def minutes() -> float:
        return before + (time.monotonic() - start) / 60

    try:
        yield minutes
    finally:
        if is_kept and folder.exists():
            with replacing(file) as part:
                part.write_text(f"{minutes():.3f}")
