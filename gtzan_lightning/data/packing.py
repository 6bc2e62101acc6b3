"""Songs -> packed corpus: decoded once, in parallel, under a temporary name, by one process.

A corpus folder is named after the fingerprint of its sources (names, sizes, times), so a changed
source is packed anew and an unchanged one costs a look at the file system.
"""

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from rich.progress import Progress

from gtzan_lightning.data.audio import (
    BrokenSong,
    check_song,
    decode,
    probe_seconds,
    to_int16,
    windowed,
)
from gtzan_lightning.data.catalogue import (
    ADVICE,
    GENRES,
    Problem,
    Song,
    find_gtzan,
    folder_songs,
    gtzan_songs,
    summary,
    twins,
)
from gtzan_lightning.data.corpus import Corpus, open_corpus, open_pictures
from gtzan_lightning.errors import UserError
from gtzan_lightning.files import digest
from gtzan_lightning.recipe.settings import DataSettings

FORMAT = 1  # of the folder; another one is packed again
COLUMNS = ("id", "genre", "artist", "length", "path", "digest", "faults")


def resolve(data: DataSettings) -> tuple[str, str | None]:
    """Which corpus ``--data.corpus`` means here, and the loud line where auto is not GTZAN.

    Looks at folders only, so that a wrong root is named at once.

    Raises:
        UserError: there is no such corpus at ``data.root``.
    """
    root = Path(data.root)
    if data.corpus == "auto" and not find_gtzan(root):
        if data.root != DataSettings().root:
            raise UserError(
                f"there is no GTZAN at {root}: {ADVICE}; your own genres need --data.corpus "
                "folder, a packed corpus --data.corpus pictures"
            )
        return "synthetic", (
            f"GTZAN WAS NOT FOUND at {root}: this run uses SYNTHETIC songs made by the package, "
            f"whose figures say nothing about music. To use GTZAN, {ADVICE}."
        )
    if data.corpus == "folder":
        folder_songs(root)
    elif data.corpus == "pictures":
        open_pictures(root)
    elif data.corpus == "gtzan":
        gtzan_songs(root)
    return ("gtzan" if data.corpus == "auto" else data.corpus), None


def prepare(data: DataSettings) -> Corpus:
    """Open the corpus that the settings ask for; decode and pack it first if need be.

    Raises:
        UserError: no such folder, no usable song, no space, no permission.
    """
    kind, _ = resolve(data)
    if kind == "pictures":
        return open_pictures(Path(data.root)).without(data.leave_out)
    source = _synthetic(data) if kind == "synthetic" else _from_disk(kind, data)
    return open_corpus(_packed(source, data)).without(data.leave_out)


@dataclass(frozen=True)
class _Source:
    name: str
    songs: list[Song]
    problems: list[Problem]
    sources: str  # changes whenever the packed corpus would
    version: str  # of songs that have no files: changes when they sound different
    seconds: Callable[[Song], float]
    waveform: Callable[[Song], np.ndarray]


def _synthetic(data: DataSettings) -> _Source:
    from gtzan_lightning.data.synthetic import SOURCE_DIGEST, render

    numbers = range(data.synthetic_songs)
    ids = [(genre, number, f"{genre}.s{number:04}") for genre in GENRES for number in numbers]
    numbered = {id_: number for _, number, id_ in ids}
    seed, seconds, rate = data.synthetic_seed, data.synthetic_seconds, data.sample_rate
    return _Source(
        name="synthetic",
        songs=[Song(id_, genre, Path(), id_) for genre, _, id_ in ids],
        problems=[],
        sources=f"{SOURCE_DIGEST} {data.synthetic_songs} {seconds} {seed} {rate}",
        version=f"{SOURCE_DIGEST[:12]} seed {seed}",
        seconds=lambda song: seconds,
        waveform=lambda song: render(song.genre, numbered[song.id], seed, seconds, rate),
    )


def _from_disk(kind: str, data: DataSettings) -> _Source:
    songs, problems = (gtzan_songs if kind == "gtzan" else folder_songs)(Path(data.root))
    return _Source(
        name=kind,
        songs=songs,
        problems=problems,
        sources=f"{kind} {data.sample_rate} {data.min_seconds}\n{_source_list(songs)}",
        version="",
        seconds=lambda song: probe_seconds(song.path),
        waveform=lambda song: decode(song.path, data.sample_rate),
    )


def _packed(source: _Source, data: DataSettings) -> Path:
    """Folder of the packed corpus; made under a temporary name, by one process at a time."""
    key = digest(f"{FORMAT} {source.sources}".encode())
    waves = Path(data.packed) / f"{source.name}-{data.sample_rate}hz-{key}"
    pictures = None
    if data.pack == "pictures":
        from gtzan_lightning.data.features import PictureSpec

        spec = PictureSpec.of(data).stored()
        key = digest(f"{key} {spec}".encode())
        pictures = Path(data.packed) / f"{source.name}-pictures-{key}"
        if (pictures / "corpus.json").exists():
            return pictures
    if not (waves / "corpus.json").exists():
        _make_once(waves, lambda part: _pack_waveforms(part, source, data))
    if pictures is None:
        return waves
    _make_once(pictures, lambda part: _pack_pictures(part, open_corpus(waves), data))
    return pictures


def _make_once(folder: Path, make: Callable[[Path], None]) -> None:
    part = folder.with_name(f".{folder.name}.part")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if (folder / "corpus.json").exists():  # another run made it while this one waited
                return
            shutil.rmtree(part, ignore_errors=True)  # what a killed run left
            try:
                part.mkdir()
                make(part)
                part.rename(folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f"the decoded songs can't be written to {folder.parent}: {error.strerror or error}; "
            "make room or name another folder with --data.packed"
        ) from None


def _pack_waveforms(part: Path, source: _Source, data: DataSettings) -> None:
    problems = list(source.problems)
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        seconds = _probe(pool, source, problems)
        songs = [song for song in source.songs if song.id in seconds]
        if not songs:
            raise UserError(f"no song of {source.name} can be used: {summary(problems)}")
        width = int(max(seconds.values()) * data.sample_rate) + 1
        array = _reserve(part / "array.npy", (len(songs), width), np.int16)
        rows: list[list[Any]] = []
        seen: dict[str, str] = {}
        decoded = windowed(pool, lambda song: _try(source.waveform, song), songs, 4 * workers)
        for song, wave in _progress(zip(songs, decoded, strict=True), "decoding", len(songs)):
            try:
                row = _row(wave, seconds[song.id], data)[:width]
                mark = hashlib.sha256(row.tobytes()).hexdigest()
                _refuse_twin(song, seen.setdefault(mark, song.id))
            except BrokenSong as broken:
                problems.append(Problem(broken.what, song.id, broken.detail))
                continue
            array[len(rows), : len(row)] = row
            rows.append([song.id, song.genre, song.artist, len(row), song.path, mark, song.faults])
    array.flush()
    _check_genres(source, rows, problems)
    _shorten(part / "array.npy", array, len(rows))
    genres = list(GENRES) if source.name in ("gtzan", "synthetic") else None
    info = {
        "kind": "waveform",
        "name": source.name,
        "sample_rate": data.sample_rate,
        "genres": genres or sorted({song.genre for song in source.songs}),
        "universe": "all" if source.name == "synthetic" else "any",
        "version": source.version,
        "sources": digest(source.sources.encode()),
        "made": f"decoded to mono, soxr HQ, int16; format {FORMAT}",
    }
    _write_tables(part, info, rows, problems)


def _probe(pool: ThreadPoolExecutor, source: _Source, problems: list[Problem]) -> dict[str, float]:
    """Seconds that each song promises; songs that promise nothing go to the problems."""
    seconds: dict[str, float] = {}
    probes = pool.map(lambda song: _try(source.seconds, song), source.songs)
    for song, found in zip(source.songs, probes, strict=True):
        if isinstance(found, BrokenSong):
            problems.append(Problem(found.what, song.id, found.detail))
        else:
            seconds[song.id] = found
    return seconds


def _row(wave: np.ndarray | BrokenSong, promised: float, data: DataSettings) -> np.ndarray:
    if isinstance(wave, BrokenSong):
        raise wave
    check_song(wave, data.sample_rate, data.min_seconds)
    if len(wave) < 0.98 * promised * data.sample_rate:
        found = len(wave) / data.sample_rate
        raise BrokenSong("truncated", f"{found:.2f} of {promised:.2f} s are there")
    return to_int16(wave)


def _refuse_twin(song: Song, first: str) -> None:
    # GTZAN's own repetitions are part of its protocols, which keep them on one side
    if first not in (song.id, twins().get(song.id)):
        raise BrokenSong("duplicate", f"same sound as {first}")


def _check_genres(source: _Source, rows: list[list[Any]], problems: list[Problem]) -> None:
    lost = {song.genre for song in source.songs} - {row[1] for row in rows}
    if lost:
        left_out = summary([problem for problem in problems if problem.left_out])
        raise UserError(
            f"genre {', '.join(sorted(lost))} of {source.name} has no usable song ({left_out}): "
            "mend its files or remove its folder"
        )


def _pack_pictures(part: Path, waves: Corpus, data: DataSettings) -> None:
    import torch

    from gtzan_lightning.data.features import PictureSpec
    from gtzan_lightning.data.pictures import Features, decibels_to_bytes

    spec = PictureSpec.of(data).stored()
    features = Features(spec)
    width = 1 + waves.array.shape[1] // spec.hop_length
    shape = (len(waves.songs), spec.rows, width)
    array = _reserve(part / "array.npy", shape, np.uint8)
    rows = []
    songs = zip(waves.songs, waves.array, waves.lengths, strict=True)
    for number, (song, wave, length) in enumerate(_progress(songs, "pictures", len(waves.songs))):
        with torch.inference_mode():
            picture = features.plain(torch.from_numpy(wave[:length].copy())[None])[0]
        array[number, :, : picture.shape[1]] = decibels_to_bytes(picture).numpy()
        kept = {**song, "length": picture.shape[1]}
        rows.append([kept[key] for key in COLUMNS])
    array.flush()
    made = "decibels relative to the song's maximum; byte b means -80 + 80 b / 255"
    info = {**waves.info, **spec.to_dict(), "kind": "picture", "made": made}
    info["name"] = f"{waves.name}-pictures"
    _write_tables(part, info, rows, waves.problems)


def _write_tables(
    part: Path, info: dict[str, Any], rows: Iterable[list[Any]], problems: list[Problem]
) -> None:
    with (part / "songs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    with (part / "left_out.csv").open("w", newline="") as file:
        lines = [[p.what, p.name, p.detail, int(p.left_out)] for p in problems]
        csv.writer(file).writerows([("what", "name", "detail", "left_out"), *lines])
    (part / "corpus.json").write_text(json.dumps(info, indent=1))


def _reserve(path: Path, shape: tuple[int, ...], dtype: type) -> np.memmap:
    """A mapped array whose disk space is there: a full disk is an error now, not a signal later."""
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _shorten(path: Path, array: np.memmap, rows: int) -> None:
    """Give the array its true number of rows after broken songs were left out."""
    if rows == len(array):
        return
    small = path.with_name("small.npy")
    np.save(small, array[:rows])
    small.replace(path)


def _source_list(songs: list[Song]) -> str:
    lines = []
    for song in songs:
        stat = song.path.stat()
        lines.append(f"{song.id} {song.path.resolve()} {stat.st_size} {stat.st_mtime_ns}")
    return "\n".join(lines)


def _try(call: Callable[[Song], Any], song: Song) -> Any:
    try:
        return call(song)
    except BrokenSong as broken:
        return broken


def _progress(items: Iterable[Any], what: str, total: int) -> Iterator[Any]:
    with Progress(transient=True) as bar:
        yield from bar.track(items, total=total, description=what)
