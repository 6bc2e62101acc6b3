"""Many files -> a table of genres: decoded in parallel, resumable, of constant memory.

Rows go to a journal beside the output as they are made, a line each; a killed run resumes
behind its last whole line. The journal becomes the output when every file has its row.
"""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gtzan_lightning.data.audio import BrokenSong, windowed
from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing
from gtzan_lightning.inference.ensemble import Ensemble
from gtzan_lightning.inference.sound import Sound, file_to_sound
from gtzan_lightning.inference.tag_table import (
    COLUMNS,
    check_out,
    read_csv,
    read_table,
    write_table,
)
from gtzan_lightning.inference.tagger import Tagger


@dataclass(frozen=True)
class Tagged:
    """What became of a list of files."""

    out: Path
    songs: int
    resumed: int  # of those, rows that an earlier run had made
    broken: list[tuple[str, str]]  # path, reason


def tag_files(
    tagger: Tagger | Ensemble,
    files: Sequence[Path],
    out: Path,
    rows: Callable[[Sequence[Path]], Iterator[list[str]]] | None = None,
) -> Tagged:
    """Write the genre of every file to ``out``, in the format of its suffix.

    The journal of a killed run is used if the same model wrote it.

    Args:
        rows: makes each file's row, in any order (none: ``rows_of``, on this machine's cores).

    Raises:
        UserError: ``out`` exists, has another suffix, or can't be written.
    """
    check_out(out)
    journal = out.with_name(f".{out.name}.{tagger.digest}.part")
    columns = [*COLUMNS, *tagger.genres]
    try:
        done = _rows_so_far(journal, columns)
        todo = [file for file in files if str(file) not in done]
        with journal.open("a", newline="", encoding="utf-8", errors="surrogateescape") as sink:
            writer = csv.writer(sink)
            if not sink.tell():
                writer.writerow(columns)
            make = rows or (lambda files: rows_of(tagger, files, os.cpu_count() or 1))
            for row in _shown(make(todo), len(done), len(files)):
                writer.writerow(row)
                sink.flush()
        _finish(journal, out, files)
    except OSError as error:
        raise UserError(f"{out} can't be written: {error.strerror or error}") from None
    table = read_table(out)
    broken = [(row["path"], row["error"]) for row in table if row["error"]]
    return Tagged(out, len(table), len(files) - len(todo), broken)


def rows_of(tagger: Tagger | Ensemble, files: Sequence[Path], threads: int) -> Iterator[list[str]]:
    """Each file's row, in order: decoded by ``threads`` while the model predicts."""

    def decoded(path: Path) -> Sound | BrokenSong:
        try:
            return file_to_sound(path, tagger.sample_rate)
        except BrokenSong as broken:
            return broken

    with ThreadPoolExecutor(threads) as pool:
        sounds = windowed(pool, decoded, files, 2 * threads)
        for path, sound in zip(files, sounds, strict=True):
            yield _row(tagger, path, sound)


def _shown(rows: Iterator[list[str]], before: int, total: int) -> Iterator[list[str]]:
    """The same rows, counted by a progress bar."""
    bar = Progress(
        TextColumn("tagging"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task("tagging", total=total, completed=before)
        for row in rows:
            yield row
            bar.advance(task)


def _row(tagger: Tagger | Ensemble, path: Path, sound: Sound | BrokenSong) -> list[str]:
    if isinstance(sound, BrokenSong):
        return [str(path), "", "", "", "", str(sound), *[""] * len(tagger.genres)]
    song = tagger.predict_sound(sound)
    probabilities = [f"{p:.5f}" for p in song.probabilities]
    highest, remarks = f"{song.probabilities.max():.5f}", "; ".join(song.remarks)
    return [str(path), song.genre, highest, f"{song.seconds:.2f}", remarks, "", *probabilities]


def _rows_so_far(journal: Path, columns: list[str]) -> set[str]:
    """Paths that a killed run has written; a line that it did not end is cut off."""
    if not journal.exists():
        return set()
    content = journal.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with journal.open("r+b") as file:
            file.truncate(len(whole))
    lines = whole.decode("utf-8", errors="surrogateescape").splitlines(keepends=True)
    return {row[0] for row in csv.reader(lines) if len(row) == len(columns) and row != columns}


def _finish(journal: Path, out: Path, files: Sequence[Path]) -> None:
    """The journal, in the order of the files, under its final name."""
    order = {str(file): n for n, file in enumerate(files)}
    rows = [row for row in read_csv(journal) if row["path"] in order]
    rows.sort(key=lambda row: order[row["path"]])
    with replacing(out) as part:
        write_table(part, rows, out.suffix)
    journal.unlink()
