"""Many files -> a table of genres: decoded in parallel, resumable, of constant memory.

Rows go to a journal beside the output as they are made, a record each; a killed run resumes behind
its last whole record. The table is made of the journal when every file has its row. A file that
breaks whatever it meets costs its own row only.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gtzan_lightning.data.audio import BrokenSong, windowed
from gtzan_lightning.data.listing import state_of
from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing
from gtzan_lightning.inference.ensemble import Ensemble
from gtzan_lightning.inference.sound import Sound, file_to_sound
from gtzan_lightning.inference.tag_table import COLUMNS, check_out, write_table
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.records import RecordFile, records_of
from gtzan_lightning.terminal import harmless

FAILED = "failed"  # how the reason begins where another machine, or a later hour, may succeed


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

    The journal of a killed run is used if the same model wrote it, for files that have not changed
    since. Files whose reason begins with ``FAILED`` are tried again.

    Args:
        rows: makes each file's row, in any order (none: ``rows_of``, on this machine's cores).

    Raises:
        UserError: ``out`` exists, has another suffix, can't be written, or is being written; or
            nothing more can be computed.
    """
    check_out(out)
    columns = [*COLUMNS, *tagger.genres]
    make = rows or (lambda files: rows_of(tagger, files, os.cpu_count() or 1))
    journal = _journal(tagger, out)
    with _alone(out), _written(out):
        tagged = _tagged(journal, files, files, out, columns, make)
        journal.unlink()
    return tagged


def watch_files(
    tagger: Tagger | Ensemble, look: Callable[[], Sequence[Path]], out: Path, every: float
) -> Iterator[Tagged]:
    """``tag_files`` again and again, without end; what became of all files after each change.

    The journal stays beside the table, so that the same command goes on with it. A file that
    changes while it is looked at, such as one that is being copied, waits for the next look.

    Args:
        look: the files that are there.
        every: seconds between two looks.

    Raises:
        UserError: as ``tag_files`` does; of ``look``.
    """
    journal = _journal(tagger, out)
    if not journal.exists():
        check_out(out)
    columns = [*COLUMNS, *tagger.genres]
    make = partial(rows_of, tagger, threads=os.cpu_count() or 1)
    seen: dict[Path, str] | None = None  # at the last look
    in_table: dict[Path, str] = {}
    with _alone(out), _written(out):
        while True:
            states = {file: state_of(file) for file in look()}
            ready = {f: s for f, s in states.items() if seen is None or seen.get(f) == s}
            new = {file: s for file, s in ready.items() if in_table.get(file) != s}
            kept = {file: s for file, s in in_table.items() if file in states}
            merged = {**kept, **new}
            # all are gone where a disk is, and the new ones may not be whole yet: the table keeps
            # its rows
            if merged and (new or len(kept) < len(in_table)):
                in_table = merged
                files = [file for file in states if file in in_table]
                yield _tagged(journal, files, list(new), out, columns, make)
            seen = states
            time.sleep(every)


def _journal(tagger: Tagger | Ensemble, out: Path) -> Path:
    """Where the rows of a table are kept while it is made."""
    return out.with_name(f".{out.name}.{tagger.digest}.part")


def _tagged(
    journal_file: Path,
    files: Sequence[Path],
    new: Sequence[Path],
    out: Path,
    columns: Sequence[str],
    make: Callable[[Sequence[Path]], Iterator[list[str]]],
) -> Tagged:
    """Make the rows of new files that the journal lacks, and the table of all files."""
    journal = RecordFile(journal_file)
    done = _done(journal_file, {str(file) for file in new}, len(columns))
    todo = [file for file in new if str(file) not in done]
    for row in _shown(make(todo), len(files) - len(todo), len(files)):
        journal.add([row[0], state_of(Path(row[0])), row[1:]])
    journal.close()
    return Tagged(out, len(files), len(done), _write(journal_file, out, files, columns))


@contextlib.contextmanager
def _written(out: Path) -> Iterator[None]:
    """Errors of the disk as one line."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{error.filename or out} can't be written: {error.strerror or error}; rows made so "
            "far are kept, the same command resumes"
        ) from None


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Nobody else writes this table, nor its journal."""
    lock = FileLock(out.with_name(f".{out.name}.lock"))
    try:
        with contextlib.suppress(NotImplementedError):  # of disks that know no locks
            lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{out} is being written by another command: wait for it, or name another file with "
            "--out"
        ) from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def rows_of(tagger: Tagger | Ensemble, files: Sequence[Path], threads: int) -> Iterator[list[str]]:
    """Each file's row, in order: decoded by ``threads`` while the model predicts.

    Raises:
        UserError: the device can't compute any more.
    """
    pool = ThreadPoolExecutor(threads)
    try:
        decoded = windowed(pool, partial(_sound, rate=tagger.sample_rate), files, 2 * threads)
        for path, sound in zip(files, decoded, strict=True):
            yield _row(tagger, path, sound)
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C, only what is being decoded is awaited


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


def _sound(path: Path, rate: int) -> Sound | Exception:
    try:
        return file_to_sound(path, rate)
    except Exception as error:  # whatever a strange file makes of a decoder
        return error


def _row(tagger: Tagger | Ensemble, path: Path, sound: Sound | Exception) -> list[str]:
    try:
        if isinstance(sound, Exception):
            raise sound
        song = tagger.predict_sound(sound)
        if not np.isfinite([song.seconds, *song.probabilities]).all():
            raise BrokenSong("unpredictable", "the network gives no number for it")
    except torch.AcceleratorError as error:  # every call after it fails as well
        raise UserError(
            f"the GPU stopped at {path}: {_in_a_line(error)}; rows made so far are kept, the same "
            "command resumes"
        ) from None
    except BrokenSong as broken:
        return _broken_row(tagger, path, str(broken))
    except UserError:  # no fault of a song, such as that no process can be started
        raise
    except Exception as error:  # such as of memory: it is this song's, not the command's
        return _broken_row(tagger, path, f"{FAILED}: {_in_a_line(error)}")
    probabilities = [f"{p:.5f}" for p in song.probabilities]
    highest, remarks = f"{song.probabilities.max():.5f}", "; ".join(song.remarks)
    return [str(path), song.genre, highest, f"{song.seconds:.2f}", remarks, "", *probabilities]


def _broken_row(tagger: Tagger | Ensemble, path: Path, reason: str) -> list[str]:
    return [str(path), "", "", "", "", harmless(reason), *[""] * len(tagger.genres)]


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__} {' '.join(str(error).split())[:200]}".rstrip()


def _records(journal: Path, width: int) -> Iterator[tuple[str, str, list[str]]]:
    """Path, state and row of each file, in the order in which they were made.

    A record that is damaged, or not of ``width`` cells, is left out.
    """
    with journal.open("rb") as lines:
        for record in records_of(lines):
            match record:
                case [str(path), str(state), [*cells]] if len(cells) == width - 1:
                    yield path, state, [path, *cells]


def _done(journal: Path, wanted: set[str], width: int) -> set[str]:
    """Paths whose rows are made and still hold."""
    done = set()
    for path, state, row in _records(journal, width):
        failed = row[COLUMNS.index("error")].startswith(FAILED)
        if path in wanted and state == state_of(Path(path)) and not failed:
            done.add(path)
        else:
            done.discard(path)
    return done


def _write(
    journal: Path, out: Path, files: Sequence[Path], columns: Sequence[str]
) -> list[tuple[str, str]]:
    """The journal as a table, in the order of the files; returns the broken ones with reasons."""
    made = {path: row for path, _, row in _records(journal, len(columns))}
    if any(str(file) not in made for file in files):
        raise UserError(f"{journal} was damaged by now: the same command makes lost rows again")
    table = [dict(zip(columns, made[str(file)], strict=True)) for file in files]
    with replacing(out) as part:
        write_table(part, table, out.suffix)
    return [(row["path"], row["error"]) for row in table if row["error"]]
