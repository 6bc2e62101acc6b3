"""WHAT a command line names -> a subject: songs with names, parts and sound."""

import hashlib
import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from gtzan_lightning.audit.findings import Example, Finding, Severity
from gtzan_lightning.audit.measure import SECONDS_PER_FRAME, of_corpus, of_files, shown
from gtzan_lightning.audit.songs import GTZAN, Named, Sound, Subject, named
from gtzan_lightning.data.catalogue import (
    KNOWN_FAULTS,
    Problem,
    find_gtzan,
    gtzan_ids,
    gtzan_songs,
)
from gtzan_lightning.data.corpus import open_corpus
from gtzan_lightning.data.listing import sounds_under, why_no_file
from gtzan_lightning.data.protocols import make_split
from gtzan_lightning.errors import UserError, in_a_line
from gtzan_lightning.files import file_sha256
from gtzan_lightning.recipe.bounded import TABLE_BYTES, text_of
from gtzan_lightning.recipe.protocol_names import PROTOCOLS
from gtzan_lightning.recipe.settings import DataSettings
from gtzan_lightning.terminal import printable

KEYS = ("song", "filename", "id")  # columns that name songs
SUFFIXES = (".wav", ".au", ".mp3", ".flac")
PARTS = {
    "": "", "train": "train", "training": "train", "test": "test", "testing": "test",
    "valid": "valid", "validation": "valid", "validate": "valid", "val": "valid", "dev": "valid",
    "all": "train valid test",  # of the leaky protocol, which deals a song's clips
}  # fmt: skip
FAULTS = ("unreadable", "truncated", "silent", "too short", "duplicate")


def read(what: str) -> Subject:
    """A protocol's name, a CSV file, a packed corpus or a folder of songs.

    Raises:
        UserError: it is none of these.
    """
    path = Path(what)
    if path.is_file():
        return _of_csv(path)
    if (path / "corpus.json").is_file():
        return _of_corpus(path)
    if path.is_dir():
        return _of_folder(path)
    if what in PROTOCOLS:
        return with_parts(Subject("GTZAN", [named(id_) for id_ in gtzan_ids()]), what)
    raise UserError(
        f"{what}: no such folder, file, protocol ({', '.join(PROTOCOLS)}) or run: check its name"
    )


def with_parts(subject: Subject, protocol: str) -> Subject:
    """The subject, its songs in the parts of a protocol: one of our names or a CSV song,part.

    Raises:
        UserError: no such protocol, or it knows none of the songs.
    """
    if protocol in PROTOCOLS:
        parts = _by_name(subject, protocol)
    elif Path(protocol).is_file():
        rows = _csv(Path(protocol))
        if not {"song", "part"} <= set(rows):
            raise UserError(f"{protocol}: a protocol needs the columns song and part")
        words = _parts(rows["part"], protocol)
        known = {song.id for song in subject.songs}
        ids = _words(rows["song"]).map(lambda name: name if name in known else _bare(name))
        parts = {
            str(song): {part for word in own for part in word.split()} or {""}
            for song, own in words.groupby(ids)
        }
    else:
        raise UserError(f"protocol {protocol}: no such file, and not one of {', '.join(PROTOCOLS)}")
    songs = [
        replace(song, part=part) for song in subject.songs
        for part in sorted(parts.get(song.id, {""}))
    ]  # fmt: skip
    if not any(song.part for song in songs):
        raise UserError(f"protocol {protocol} has none of the songs of {subject.name}: check ids")
    return replace(subject, songs=songs)


def _by_name(subject: Subject, protocol: str) -> dict[str, set[str]]:
    genre_of = subject.genre_of
    universe = gtzan_ids() if set(genre_of) <= set(gtzan_ids()) else None
    split = make_split(DataSettings(split=protocol), genre_of, universe, subject.name)
    if split.by_clip:
        return {song: {split.by_clip(song, clip) for clip in range(10)} for song in genre_of}
    return {song: {split.part(song, 0)} for song in genre_of}


def _of_csv(path: Path) -> Subject:
    """A protocol (song, part) or a feature table."""
    table = _csv(path)
    key = next((name for name in KEYS if name in table and _names_songs(table[name])), None)
    if key is None:
        raise UserError(f"{path}: no column {', '.join(KEYS)} names songs: add one")
    column = {n: _words(table[n]) for n in table.columns}
    blank = pd.Series([""] * len(table))
    fields = [column[key].map(_bare)]
    names = ("genre", "part", "artist", "title", "digest")
    if "part" in column:
        column["part"] = _parts(column["part"], str(path))
    fields += [column.get(name, blank) for name in names]
    if "genre" not in column and "label" in column:
        fields[1] = column["label"]
    songs = [
        named(id_, genre, part, *others)
        for id_, genre, parts, *others in zip(*fields, strict=True)
        for part in parts.split() or [""]
    ]
    is_table = "part" not in column
    twice = [song for song, count in Counter(song.id for song in songs).items() if count > 1]
    findings = []
    if is_table and twice:
        examples = tuple(Example((song,)) for song in twice)
        findings.append(Finding(
            "rows", "warning", f"{len(twice)} songs have several rows", examples, len(twice),
        ))  # fmt: skip
    songs = list({(song.id, song.part): song for song in songs}.values())  # clips of one are one
    return Subject(str(path), songs, findings=findings, table=path if is_table else None)


def _parts(words: pd.Series, where: str) -> pd.Series:
    """The names of parts as we write them, several with spaces. Raises UserError for others."""
    plain = _words(words).str.strip().str.casefold()
    if unknown := sorted(set(plain) - set(PARTS)):
        raise UserError(
            f"{where}: part {printable(unknown[0])!r} is none of train, valid and test: call the "
            "parts so"
        )
    return plain.map(PARTS)


def table_columns(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The columns of a feature table that could be features, and the song of each row."""
    table = _csv(path)
    key = next(name for name in KEYS if name in table and _names_songs(table[name]))
    return table.drop(columns=key), [_bare(name) for name in _words(table[key])]


def _names_songs(column: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(column)


def _words(column: pd.Series) -> pd.Series:
    return column.astype(object).fillna("").astype(str)


def _bare(name: str) -> str:
    """The song of a file, or of one of its clips as Kaggle's copy names them: blues.00000.3.wav."""
    name = name.removesuffix(next((s for s in SUFFIXES if name.endswith(s)), ""))
    song, _, clip = name.rpartition(".")
    return song if clip.isdigit() and song in GTZAN else name


def _csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(io.StringIO(text_of(path, "", TABLE_BYTES)))
    except (ValueError, OverflowError, RecursionError) as error:
        raise UserError(
            f"{path} can't be read as CSV ({in_a_line(error)}): give a table with a header"
        ) from None


def _of_corpus(folder: Path) -> Subject:
    corpus = open_corpus(folder)
    sounds = list(shown(of_corpus(corpus), "songs", len(corpus.songs)))
    songs = []
    for row, song in enumerate(corpus.songs):
        digest = hashlib.sha256(np.ascontiguousarray(corpus.recording(row)).tobytes()).hexdigest()
        songs.append(named(song["id"], song["genre"], "", song.get("artist", ""), "", digest))
    step = corpus.info["seconds_per_frame"] if corpus.is_pictures else SECONDS_PER_FRAME
    findings = [*_problems(corpus.problems), *_known(songs)]
    return Subject(corpus.name, songs, sounds, findings, step)


def _of_folder(folder: Path) -> Subject:
    problems: list[Problem] = []
    listed: list[tuple[str, str, Path]] = []
    if find_gtzan(folder):
        found, problems = gtzan_songs(folder)
        listed = [(song.id, song.genre, song.path) for song in found]
    else:
        for path in sounds_under(folder):
            name = printable(path.relative_to(folder))
            if why := why_no_file(path):
                problems.append(Problem("unreadable", name, why))
            else:
                genre = "" if path.parent == folder else printable(path.parent.name)
                listed.append((name, genre, path))
    if not listed:
        raise UserError(f"{folder} has no sound: it must hold songs, or a folder for each genre")
    measured = list(shown(of_files([(i, p) for i, _, p in listed]), "songs", len(listed)))
    songs, sounds = [], []
    for (id_, genre, path), sound in zip(listed, measured, strict=True):
        digest = ""
        if isinstance(sound, Sound):
            sounds.append(sound)
            digest = file_sha256(path)
        else:
            problems.append(Problem(getattr(sound, "what", "unreadable"), id_, str(sound)))
        songs.append(named(id_, genre, digest=digest))
    findings = [*_problems(problems), *_known(songs)]
    return Subject(folder.resolve().name, songs, sounds, findings, SECONDS_PER_FRAME)


def _problems(problems: list[Problem]) -> list[Finding]:
    """What reading the songs found: unusable songs are faults, the rest notes."""
    findings = []
    for what in sorted({problem.what for problem in problems} - {"known fault"}):
        of_kind = [problem for problem in problems if problem.what == what]
        examples = tuple(Example((problem.name,), problem.detail) for problem in of_kind)
        sentence = f"{len(of_kind)} songs or files are {what}"
        severity: Severity = "fault" if what in FAULTS else "note"
        findings.append(Finding("files", severity, sentence, examples, len(of_kind)))
    return findings


def _known(songs: list[Named]) -> list[Finding]:
    """Faults of GTZAN that are published and that no measurement shows."""
    wrong = tuple(
        Example((song.id,), KNOWN_FAULTS[song.id]) for song in songs if song.id in KNOWN_FAULTS
    )
    sentence = f"{len(wrong)} songs have faults that were published"
    return [Finding("known faults", "warning", sentence, wrong, len(wrong))] if wrong else []
