"""GTZAN from where others share it: downloaded, compared with its digest, unpacked.

What has come of the archive stays at ``data.root`` until the songs are there, so that the same
command resumes: ``hf_hub_download`` of huggingface_hub 2.4 resumes a cut connection within one
call, but throws everything away when the call ends.
"""

import shutil
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import huggingface_hub
from filelock import FileLock
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers
from rich import progress

from gtzan_lightning.data.catalogue import find_gtzan, gtzan_song
from gtzan_lightning.errors import UserError, in_a_line
from gtzan_lightning.files import file_sha256, new_folder

HUB = "marsyas/gtzan"
ARCHIVE = "data/genres.tar.gz"
KAGGLE = "andradaolteanu/gtzan-dataset-music-genre-classification"
SONGS = "genres"  # the folder under data.root that the songs come into
BYTES = 1_400_000_000  # that 1,000 songs of 30 s need at most: 22,050 Hz, 16 bit, mono
LICENCE = (
    "GTZAN states no licence, and others own its recordings: use it for research, share no song"
)


def fetch(root: Path, source: str = "hub") -> str:
    """Have the songs of GTZAN at ``root``; one process at a time, the others find them.

    Args:
        source: ``hub`` (Hugging Face) or ``kaggle``.

    Returns:
        One line: where they are, and where they came from.

    Raises:
        UserError: no network, no such archive, a wrong digest, no room, no permission.
        ModuleNotFoundError: Kaggle is asked without its client.
    """
    songs = root / SONGS
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".download.lock"):
            if there := find_gtzan(root):  # another process brought it while this one waited
                return f"GTZAN is in {there}"
            if songs.exists() and any(songs.iterdir()):
                raise UserError(f"{songs} is in the way: it holds files, but no song of GTZAN")
            came = SOURCES[source](root, songs)
            _part(root).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"GTZAN can't be written to {root}: {error.strerror or error}; make room or permission "
            "and give the same command again, or name another folder with data.root"
        ) from None
    return f"GTZAN was put into {songs}; it came from {came}"


def _from_hub(root: Path, songs: Path) -> str:
    archive, sha256 = _cached() or _downloaded(root)
    _compare(archive, sha256)
    _check_room(root, BYTES)
    with new_folder(songs) as part:
        _unpack(archive, part)
    return f"{HUB} on the Hugging Face hub (archive of sha256 {sha256 or 'unknown'})"


def _from_kaggle(root: Path, songs: Path) -> str:
    import kagglehub  # an extra

    _check_room(root, BYTES)
    try:
        folder = Path(kagglehub.dataset_download(KAGGLE))
    except Exception as error:  # its client fails in many ways, requests' and its own
        raise UserError(
            f"GTZAN can't be downloaded from Kaggle ({in_a_line(error)}): go online, set "
            "KAGGLE_API_TOKEN to a token of your account there, and give the same command again"
        ) from None
    base = find_gtzan(folder)
    if base is None:
        raise UserError(f"Kaggle's {KAGGLE} holds no song of GTZAN: its files are in {folder}")
    files = [file for file in sorted(base.rglob("*")) if file.is_file()]
    with new_folder(songs) as part:
        for file in progress.track(files, "copying", transient=True, disable=_is_quiet()):
            if where := _place(part, file):
                shutil.copyfile(file, where)
    return f"{KAGGLE} on Kaggle, whose client keeps its own copy in {folder}"


SOURCES: dict[str, Callable[[Path, Path], str]] = {"hub": _from_hub, "kaggle": _from_kaggle}


def _part(root: Path) -> Path:
    """What has come of the archive so far."""
    return root / f".{Path(ARCHIVE).name}.part"


def _cached() -> tuple[Path, str] | None:
    """The archive and its digest where the hub's own cache has it, which names files by that."""
    cached = huggingface_hub.try_to_load_from_cache(HUB, ARCHIVE, repo_type="dataset")
    if not isinstance(cached, str):
        return None
    blob = Path(cached).resolve()
    return blob, _sha256_of(blob.name)


def _downloaded(root: Path) -> tuple[Path, str]:
    """The archive, and the digest that the hub states; what is there of it already is kept."""
    part = _part(root)
    url = huggingface_hub.hf_hub_url(HUB, ARCHIVE, repo_type="dataset")
    try:
        stated = huggingface_hub.get_hf_file_metadata(url)
    except Exception as error:  # of requests or httpx, whichever the hub's client uses
        raise UserError(_refusal(error)) from None
    has = part.stat().st_size if part.exists() else 0
    if has > (stated.size or 0):  # it is of another archive
        part.unlink()
        has = 0
    missing = (stated.size or BYTES) - has
    _check_room(root, missing + BYTES)
    if missing:
        print(f"downloading {missing / 1e9:.2f} GB of GTZAN from {HUB} on the hub", flush=True)
        with part.open("ab") as sink:
            _receive(url, sink, has, stated.size)
    return part, _sha256_of(stated.etag or "")


def _receive(url: str, sink: BinaryIO, has: int, size: int | None) -> None:
    try:
        http_get(url, sink, resume_size=has, headers=build_hf_headers(), expected_size=size)
    except Exception as error:  # as above
        if isinstance(error, OSError) and error.errno:
            raise  # of the disk
        came = f"{sink.tell():,} of {size or 0:,} bytes of GTZAN came"
        raise UserError(f"{came} ({in_a_line(error)}): the same command resumes") from None


def _refusal(error: Exception) -> str:
    """Why the hub did not even say how large the archive is, and what to do."""
    answer = getattr(error, "response", None) if isinstance(error, HfHubHTTPError) else None
    status = getattr(answer, "status_code", 0)
    elsewhere = "or take it from Kaggle with gtzan data --from kaggle"
    advice = {
        401: f"log in with hf auth login, or set HF_TOKEN, {elsewhere}",
        403: f"ask for access on its page there, {elsewhere}",
        404: f"look where it is now, {elsewhere}",
    }.get(status, "go online and give the same command again")
    return f"GTZAN can't be downloaded from {HUB} on the hub ({in_a_line(error)}): {advice}"


def _sha256_of(etag: str) -> str:
    """The hub's mark of a large file is its SHA-256; that of a small one is not."""
    return etag if len(etag) == 64 else ""


def _compare(archive: Path, sha256: str) -> None:
    """Raises UserError where the archive is not the one that the hub describes."""
    if not sha256:
        return
    found = file_sha256(archive)
    if found != sha256:
        archive.unlink()
        raise UserError(
            f"the archive of GTZAN has the SHA-256 {found[:12]}..., the hub says {sha256[:12]}...: "
            "it was removed, the same command downloads it anew"
        )


def _unpack(archive: Path, folder: Path) -> None:
    """The archive's songs; each gets a name made here, and whatever else is in it stays there."""
    try:
        bar = progress.open(archive, "rb", description="unpacking", disable=_is_quiet())
        with bar as file, tarfile.open(fileobj=file) as tar:
            for member in tar:
                where = _place(folder, Path(member.name)) if member.isreg() else None
                content = tar.extractfile(member) if where else None
                if where and content:
                    with where.open("wb") as sink:
                        shutil.copyfileobj(content, sink)
        if not any(folder.iterdir()):
            raise tarfile.ReadError("no song of GTZAN is in it")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        archive.unlink()
        raise UserError(
            f"the archive of GTZAN can't be unpacked ({in_a_line(error)}): it was removed; the "
            "same command downloads it anew, gtzan data --from kaggle takes another"
        ) from None


def _place(folder: Path, file: Path) -> Path | None:
    """``GENRE/ID.SUFFIX`` under a folder, for a file that is named as a song; its folder is made.

    No other part of the file's name is used, so nothing can come to lie elsewhere.
    """
    song = gtzan_song(file)
    if song is None:
        return None
    id_, genre = song
    (folder / genre).mkdir(exist_ok=True)
    return folder / genre / f"{id_}{file.suffix.lower()}"


def _check_room(root: Path, wanted: int) -> None:
    free = shutil.disk_usage(root).free
    if free < wanted:
        raise UserError(
            f"GTZAN needs {wanted / 1e9:.1f} GB in {root}, and {free / 1e9:.1f} GB are free: make "
            "room, or name another folder with data.root"
        )


def _is_quiet() -> bool:
    return not sys.stdout.isatty()
