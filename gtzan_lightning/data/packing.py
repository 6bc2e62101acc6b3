"""Songs -> packed corpus: decoded once, in parallel, under a temporary name, by one process.

A corpus folder is named after the fingerprint of the songs' files (names, sizes, times): a changed
file is packed anew, unchanged ones cost a look at the file system.
"""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from rich.progress import Progress

from gtzan_lightning.data.artists import recordings
from gtzan_lightning.data.audio import (
    BrokenSong,
    check_song,
    check_whole,
    to_int16,
    windowed,
)
from gtzan_lightning.data.catalogue import Problem, Song, summary
from gtzan_lightning.data.corpora import CORPORA, Catalogue
from gtzan_lightning.data.corpus import Corpus, CorpusInfo, SongRow, open_corpus
from gtzan_lightning.data.digests import keep_digests
from gtzan_lightning.data.recordings import SUMS, Writer
from gtzan_lightning.errors import UserError
from gtzan_lightning.files import digest, new_folder
from gtzan_lightning.recipe.settings import DataSettings

FORMAT = 2  # of the folder; another one is packed again


def resolve(data: DataSettings) -> tuple[str, str | None]:
    """Which corpus ``--data.corpus`` means here, and the loud line where auto is not GTZAN.

    Looks at folders only, so that a wrong root is named at once.

    Raises:
        UserError: there is no such corpus at ``data.root``.
    """
    songs = CORPORA[data.corpus](data)
    return (data.corpus, None) if isinstance(songs, Corpus) else (songs.name, songs.remark)


def prepare(data: DataSettings) -> Corpus:
    """Open the corpus that the settings ask for; decode and pack it first if need be.

    Raises:
        UserError: no such folder, no usable song, no space, no permission.
    """
    songs = CORPORA[data.corpus](data)
    corpus = songs if isinstance(songs, Corpus) else open_corpus(_packed(songs, data))
    return corpus.without(data.leave_out)


def verify(catalogue: Catalogue) -> tuple[int, list[Problem]]:
    """How many songs can be opened, and all that is wrong with the others; no sound is decoded."""
    problems = list(catalogue.problems)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return len(_probe(pool, catalogue, problems)), problems


def _packed(catalogue: Catalogue, data: DataSettings) -> Path:
    """Folder of the packed corpus; made under a temporary name, by one process at a time."""
    key = digest(f"{FORMAT} {catalogue.origin()}".encode())
    waves = Path(data.packed) / f"{catalogue.name}-{data.sample_rate}hz-{key}"
    pictures = None
    if data.pack == "pictures":
        from gtzan_lightning.data.features import PictureSpec

        spec = PictureSpec.of(data).stored()
        key = digest(f"{key} {spec}".encode())
        pictures = Path(data.packed) / f"{catalogue.name}-pictures-{key}"
        if (pictures / "corpus.json").exists():
            return pictures
    if not (waves / "corpus.json").exists():
        _make_once(waves, lambda part: _pack_waveforms(part, catalogue, data))
    if pictures is None:
        return waves
    _make_once(pictures, lambda part: _pack_pictures(part, open_corpus(waves), data))
    return pictures


def _make_once(folder: Path, make: Callable[[Path], None]) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if (folder / "corpus.json").exists():  # another run made it while this one waited
                return
            with new_folder(folder) as part:
                make(part)
    except OSError as error:
        raise UserError(
            f"the decoded songs can't be written to {folder.parent}: {error.strerror or error}; "
            "make room or name another folder with data.packed"
        ) from None


def _pack_waveforms(part: Path, catalogue: Catalogue, data: DataSettings) -> None:
    problems = list(catalogue.problems)
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool, Writer(part, np.int16) as array:
        seconds = _probe(pool, catalogue, problems)
        songs = [song for song in catalogue.songs if song.id in seconds]
        if not songs:
            raise UserError(f"no song of {catalogue.name} can be used: {summary(problems)}")
        rows: list[SongRow] = []
        first: dict[str, str] = {}
        decoded = windowed(pool, lambda song: _try(catalogue.waveform, song), songs, 4 * workers)
        for song, wave in _progress(zip(songs, decoded, strict=True), "decoding", len(songs)):
            try:
                _check(wave, seconds[song.id], data)
                sound = _keep(array, song, wave, first)
            except BrokenSong as broken:
                problems.append(Problem(broken.what, song.id, broken.detail))
                continue
            rows.append(_song_row(song, len(wave), sound))
    _check_genres(catalogue, rows, problems)
    info: CorpusInfo = {
        "kind": "waveform",
        "name": catalogue.name,
        "sample_rate": data.sample_rate,
        "genres": catalogue.genres,
        "universe": catalogue.universe,
        "version": catalogue.version,
        "sources": digest(catalogue.origin().encode()),
        "made": f"decoded to mono, soxr HQ, int16; format {FORMAT}",
    }
    _write_tables(part, info, rows, problems)


def _song_row(song: Song, length: int, sound: str) -> SongRow:
    return SongRow(
        id=song.id, genre=song.genre, artist=song.artist, length=str(length),
        path=str(song.path), digest=sound, faults=song.faults,
    )  # fmt: skip


def _probe(
    pool: ThreadPoolExecutor, catalogue: Catalogue, problems: list[Problem]
) -> dict[str, float]:
    """Seconds that each song promises; songs that promise nothing go to the problems."""
    seconds: dict[str, float] = {}
    probes = pool.map(lambda song: _try(catalogue.seconds, song), catalogue.songs)
    for song, promised in zip(catalogue.songs, probes, strict=True):
        if isinstance(promised, BrokenSong):
            problems.append(Problem(promised.what, song.id, promised.detail))
        else:
            seconds[song.id] = promised
    return seconds


def _check(wave: np.ndarray | BrokenSong, promised: float, data: DataSettings) -> None:
    if isinstance(wave, BrokenSong):
        raise wave
    check_song(wave, data.sample_rate, data.min_seconds)
    check_whole(len(wave) / data.sample_rate, promised)


def _keep(array: Writer, song: Song, wave: np.ndarray, first: dict[str, str]) -> str:
    """Write a song and return its digest; a twin is taken back."""
    sound = array.add(wave, to_int16)
    try:
        _refuse_twin(song, first.setdefault(sound, song.id))
    except BrokenSong:
        array.drop()
        raise
    return sound


def _refuse_twin(song: Song, first: str) -> None:
    # GTZAN's own repetitions are part of its protocols, which keep them on one side
    same = recordings().get
    if same(first, first) != same(song.id, song.id):
        raise BrokenSong("duplicate", f"same sound as {first}")


def _check_genres(catalogue: Catalogue, rows: list[SongRow], problems: list[Problem]) -> None:
    lost = {song.genre for song in catalogue.songs} - {row["genre"] for row in rows}
    if lost:
        left_out = summary([problem for problem in problems if problem.left_out])
        raise UserError(
            f"genre {', '.join(sorted(lost))} of {catalogue.name} has no usable song ({left_out}): "
            "mend its files or remove its folder"
        )


def _pack_pictures(part: Path, waves: Corpus, data: DataSettings) -> None:
    import torch

    from gtzan_lightning.data.features import PictureSpec
    from gtzan_lightning.data.pictures import Features, stored_picture

    spec = PictureSpec.of(data).stored()
    features = Features(spec)
    rows: list[SongRow] = []
    with Writer(part, np.uint8) as array, torch.inference_mode():
        for number, song in enumerate(_progress(waves.songs, "pictures", len(waves.songs))):
            picture = stored_picture(features, waves.recording(number)).numpy()
            array.add(picture.reshape(-1))
            rows.append(song | {"length": str(picture.shape[1])})
    made = "decibels relative to the song's maximum; byte b means -80 + 80 b / 255"
    own = {"kind": "picture", "made": made, "name": f"{waves.name}-pictures"}
    _write_tables(part, {**waves.info, **spec.to_dict(), **own}, rows, waves.problems)


def _write_tables(
    part: Path, info: Mapping[str, object], rows: Iterable[SongRow], problems: list[Problem]
) -> None:
    with (part / "songs.csv").open(
        "w", newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
        table = csv.DictWriter(file, list(SongRow.__annotations__))
        table.writeheader()
        table.writerows(rows)
    with (part / "left_out.csv").open("w", newline="", encoding="utf-8") as file:
        lines = [[p.what, p.name, p.detail, int(p.left_out)] for p in problems]
        csv.writer(file).writerows([("what", "name", "detail", "left_out"), *lines])
    (part / "corpus.json").write_text(json.dumps(info, indent=1))
    keep_digests(part, ("songs.csv", "left_out.csv", "corpus.json", SUMS))


def _try(call: Callable[[Song], Any], song: Song) -> Any:
    try:
        return call(song)
    except BrokenSong as broken:
        return broken


def _progress(items: Iterable[Any], what: str, total: int) -> Iterator[Any]:
    with Progress(transient=True, disable=not sys.stdout.isatty()) as bar:
        yield from bar.track(items, total=total, description=what)
