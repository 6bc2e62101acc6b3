"""A ledger: a CSV file with a line for each finished run that counts, and their predictions.

The runs' own stores stay on the machines that made them; the ledger is what the documentation
rests on. Its predictions are in the folder that is called as the file, ``docs/results/RUN.csv.gz``
of ``docs/results.csv``; digests of both are in ``docs/results.sha256``.
"""

import gzip
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.bounded import csv_of
from gtzan_lightning.recipe.command_line import write_output
from gtzan_lightning.recipe.predictions_csv import read_predictions_csv
from gtzan_lightning.results.ledger_digests import check_digests, keep_digests
from gtzan_lightning.results.rows import Reader, code

_ABOUT = [
    "run_id", "system", "form", "model", "features", "recipe", "corpus", "songs_fingerprint",
    "songs", "protocol", "leak_valid", "leak_test", "warning", "tuned_on", "kept", "part", "n",
    "seed", "fold", "precision", "epochs", "minutes", "parameters", "machine", "commit", "date",
]  # fmt: skip
_SCORES = [
    "songs", "artists", "song_accuracy", "song_accuracy_low", "song_accuracy_high",
    "song_accuracy_wilson_low", "song_accuracy_wilson_high", "song_accuracy_mean",
    "song_accuracy_hard", "song_f1", "song_f1_weighted", "song_precision", "song_recall",
    "song_auroc", "clips", "clip_accuracy", "clip_f1", "clip_f1_weighted", "clip_auroc",
    "clip_loss",
]  # fmt: skip
LAST_EPOCH = "valid/song_accuracy"
COLUMNS = [
    *_ABOUT, LAST_EPOCH,
    *(f"final/{part}/{score}" for part in ("test", "valid", "train") for score in _SCORES),
]  # fmt: skip
_NUMBERS = {"n", "epochs", "minutes", "parameters", LAST_EPOCH}
_SHARES = ("accuracy", "f1", "precision", "recall", "auroc")  # scores from 0 to 1
LEDGER_BYTES = 50_000_000
RUN = r"[\w-]{1,64}"
_SAME = ["recipe", "precision", "corpus", "songs_fingerprint", "protocol", "seed", "fold"]


def read(file: Path) -> pd.DataFrame:
    """The lines as ``tracking.reading.runs_table`` gives runs, the newest first.

    Raises:
        UserError: it can't be read, is no ledger, or has changed since its lines were added.
    """
    lines = _words_of(file)
    check_digests(file, lines)
    for name in COLUMNS:
        if name in _NUMBERS or name.startswith("final/"):
            lines[name] = _numbers_of(lines[name], file)
    return lines.assign(status="FINISHED").sort_values("date", ascending=False, kind="stable")


def _numbers_of(cells: pd.Series, file: Path) -> pd.Series:
    """A column of numbers; NaN where a cell is empty."""
    numbers = pd.to_numeric(cells.replace("", None), errors="coerce")
    name = str(cells.name)
    is_share = any(f"_{share}" in name for share in _SHARES)
    most = 1 if is_share else 1e15
    odd = cells[(cells != "") & ~numbers.between(0, most)]
    if len(odd):
        where = f"ledger {file}, line {odd.index[0] + 2}"
        raise UserError(f"{where}: {name} is {odd.iloc[0]!r}, no number from 0 to {most:g}")
    return numbers


def _words_of(file: Path) -> pd.DataFrame:
    """The file as it is written: every cell is text."""
    rows = csv_of(file, "ledger", LEDGER_BYTES)
    lines = pd.DataFrame(rows, columns=None if rows else COLUMNS, dtype=str)
    missing = [name for name in COLUMNS if name not in lines]
    if missing:
        raise UserError(f"{file} is no ledger: there is no column {missing[0]!r}")
    # a run names a file, which a later line of it replaces
    odd = lines["run_id"][~lines["run_id"].str.fullmatch(RUN)]
    if len(odd):
        raise UserError(f"ledger {file}, line {odd.index[0] + 2}: {odd.iloc[0]!r} is no run's id")
    twice = lines["run_id"][lines["run_id"].duplicated()]
    if len(twice):
        raise UserError(f"ledger {file}, line {twice.index[0] + 2}: run {twice.iloc[0]} again")
    return lines


def reader(file: Path) -> Reader:
    """Gives the predictions that are kept of a line's run, or None."""

    def predictions(run: str) -> pd.DataFrame | None:
        kept = file.with_suffix("") / f"{run}.csv.gz"
        return read_predictions_csv(kept, f"run {run}:") if kept.exists() else None

    return predictions


def check(run: pd.Series) -> None:
    """Whether a run may have a line.

    Raises:
        UserError: it is unfinished, is of code that nobody else has, did not record what its
            songs share with training, or leaks without saying so.
    """
    name = f"run {run['run_id']}"
    if run["status"] != "FINISHED":
        raise UserError(f"{name} has not finished ({run['status']}): gtzan run --resume ends it")
    if "QUICK" in _words(run, "warning"):
        raise UserError(f"{name} was quick, which is no measurement: run it without --quick")
    is_changed = "dirty" in code(run.to_frame().T).iloc[0]
    if is_changed or _words(run, "commit") in ("", "unknown"):
        raise UserError(f"{name} is of code that no commit has: commit it, and run it again")
    leak = _words(run, f"leak_{_part(run)}")
    if not leak:
        raise UserError(f"{name} did not record what its songs share with training: run it again")
    if ", songs: " in leak and not _words(run, "warning"):
        raise UserError(f"{name} is leaky ({leak}), and is not marked so")


def line(run: pd.Series, system: str, form: str) -> dict[str, object]:
    """The line of a run.

    Args:
        run: a row of ``tracking.reading.runs_table``.
        system, form: the systems of sources that it measures, and how; "" of none.
    """
    part = _part(run)
    own = {name: run.get(name, "") for name in COLUMNS}
    own |= {"system": system, "form": form, "part": part, "n": run[f"final/{part}/songs"]}
    own["epochs"] = run.get("epoch", float("nan")) + 1  # they are counted from 0
    own["commit"] = str(run["commit"])[:7]
    return {name: _text(value) for name, value in own.items()}


def add(file: Path, lines: Mapping[str, dict[str, object]], read_run: Reader) -> list[str]:
    """Add the lines of runs, and keep the predictions of their valid and test parts.

    A line of the same recipe, songs, protocol, seed, fold and precision is replaced, as the run
    was made again.

    Args:
        lines: by run.
        read_run: gives a run's predictions.

    Returns:
        The runs whose lines were replaced.

    Raises:
        UserError: a run has no predictions; the ledger can't be read or written.
    """
    old = _words_of(file) if file.exists() else pd.DataFrame(columns=COLUMNS, dtype=str)
    new = pd.DataFrame(lines.values(), columns=COLUMNS, dtype=str)
    same = pd.MultiIndex.from_frame(old[_SAME]).isin(pd.MultiIndex.from_frame(new[_SAME]))
    folder, gone = file.with_suffix(""), list(old["run_id"][same])
    check_digests(file, old, frozenset([*gone, *lines]))
    gone = [run for run in gone if run not in lines]
    for run, content in {run: _answers(run, read_run) for run in lines}.items():
        write_output(folder / f"{run}.csv.gz", content)
    both = pd.concat([old[~same], new]).sort_values(["corpus", "protocol", "model", *_SAME])
    write_output(file, both.to_csv(index=False, lineterminator="\n"))
    for run in gone:
        (folder / f"{run}.csv.gz").unlink(missing_ok=True)
    keep_digests(file, _words_of(file))
    return gone


def name_anew(file: Path, measures: Mapping[str, tuple[str, str]]) -> int:
    """Say of each line what its recipe measures now, since recipes of models and systems change.

    Args:
        measures: recipe key -> system and form, as ``line`` takes them.

    Returns:
        How many lines are other than before.
    """
    old = _words_of(file)
    check_digests(file, old)
    named = [measures.get(recipe, ("", "")) for recipe in old["recipe"]]
    new = old.assign(system=[system for system, _ in named], form=[form for _, form in named])
    count = int((new != old).any(axis=1).sum())
    if count:
        write_output(file, new.to_csv(index=False, lineterminator="\n"))
        keep_digests(file, new)
    return count


def _answers(run: str, read_run: Reader) -> bytes:
    """The predictions of a run that are kept."""
    predictions = read_run(run)
    if predictions is None:
        raise UserError(f"run {run} has no predictions.csv")
    kept = predictions[predictions["part"] != "train"].to_csv(index=False, float_format="%.10g")
    # without a time the same predictions are the same bytes
    return gzip.compress(kept.encode(), mtime=0)


def _part(run: pd.Series) -> str:
    return "test" if run.get("final/test/songs", 0) > 0 else "valid"


def _words(run: pd.Series, name: str) -> str:
    value = run.get(name, "")
    return value if isinstance(value, str) else ""


def _text(value: object) -> str:
    if isinstance(value, float):
        if value != value:
            return ""
        return f"{value:.0f}" if value.is_integer() else f"{value:.6g}"
    return "" if value is None else str(value)
