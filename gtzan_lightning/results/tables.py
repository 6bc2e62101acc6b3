"""Runs -> comparison tables: only runs of the same songs and the same protocol share one.

A table is numbers. Markdown, CSV, LaTeX, the page and the reproductions only format them.
"""

import csv
import re
import types
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import pandas as pd
from tabulate import tabulate

from gtzan_lightning.errors import UserError
from gtzan_lightning.results.intervals import wilson


@dataclass(frozen=True)
class Row:
    """The runs of one recipe, averaged over seeds and folds; None where no run has a number.

    Attributes:
        recipe: the six digits that runs of one recipe share.
        runs: ids, of unfinished runs too; only finished ones count in the numbers.
        folds: how many were run, of ``of_folds`` where the protocol has folds.
        warning: what is leaky about it, or "".
        n: songs; those of different folds are added up.
        accuracy: share of songs, each counted once whatever the number of seeds.
        spread: standard deviation of the seeds' accuracies.
        low, high: Wilson's 95 % interval of the accuracy.
        minutes: of a training.
    """

    model: str
    features: str
    recipe: str
    runs: tuple[str, ...]
    seeds: int
    folds: int
    of_folds: int | None
    unfinished: int
    warning: str
    n: int | None
    accuracy: float | None
    spread: float | None
    low: float | None
    high: float | None
    f1: float | None
    auroc: float | None
    parameters: int | None
    minutes: float | None

    def accuracy_text(self) -> str:
        """Such as ``0.600 ± 0.010``; empty where no run has ended."""
        spread = "" if self.spread is None else f" ± {self.spread:.3f}"
        return _text(self.accuracy) + spread

    def interval_text(self, between: str) -> str:
        """The interval's ends, such as ``0.543-0.655``."""
        return between.join(_text(end) for end in (self.low, self.high) if end is not None)

    def cells(self, own: str = "") -> dict[str, str]:
        """Title -> text of each column; ``own`` is the id of a run whose row is marked."""
        unfinished = f" ({self.unfinished} unfinished)" if self.unfinished else ""
        leaky, this = " LEAKY" * bool(self.warning), " <- this run" * (own in self.runs)
        return {
            "model": self.model + leaky + unfinished + this,
            "features": self.features,
            "n": _text(self.n, "d"),
            "seeds": str(self.seeds),
            "folds": f"{self.folds}/{self.of_folds}" if self.of_folds else "",
            "song accuracy": self.accuracy_text(),
            "95 % interval": self.interval_text("-"),
            "macro F1": _text(self.f1),
            "AUROC": _text(self.auroc),
            "parameters": _text(self.parameters, ",d"),
            "minutes": _text(self.minutes, ".1f"),
            "recipe": self.recipe,
        }


@dataclass(frozen=True)
class Table:
    """One corpus, its songs' fingerprint, one protocol, one part; the best recipe first."""

    corpus: str
    songs: str
    protocol: str
    part: str
    rows: list[Row]

    @property
    def title(self) -> str:
        """Corpus, protocol and part in one line."""
        return f"corpus {self.corpus} ({self.songs}), protocol {self.protocol}, {self.part} part"

    @property
    def remarks(self) -> list[str]:
        """What a reader must know of the numbers, a sentence each."""
        warnings = sorted({row.warning for row in self.rows} - {""})
        if self.part != "valid":
            return warnings
        remark = "Measured on the validation part (no test song is in this corpus)"
        if any(row.parameters is not None for row in self.rows):  # of networks
            remark += ", on which each network's best epoch was chosen: such scores are optimistic"
        return [f"{remark}.", *warnings]

    def markdown(self, own: str = "") -> str:
        """Args: own: id of a run whose row is marked."""
        cells = [row.cells(own) for row in self.rows]
        body = tabulate(cells, headers="keys", tablefmt="pipe", disable_numparse=True)
        return "\n".join([f"### {self.title}", "", body, "", *self.remarks])

    def latex(self) -> str:
        """A booktabs table (``\\usepackage{booktabs}``)."""
        style = pd.DataFrame([row.cells() for row in self.rows]).style.hide(axis="index")
        style = style.format(escape="latex").format_index(escape="latex", axis=1)
        caption = re.sub(r"([&%$#_{}])", r"\\\1", f"{self.title}.")
        return style.to_latex(
            hrules=True, caption=caption, position_float="centering", column_format="llrrrrrrrrrl"
        )

    def csv(self) -> str:
        """A line for each row, a column for each number; ``read_csv`` reads it."""
        table = {name: getattr(self, name) for name in _OF_TABLE}
        records = [table | vars(row) | {"runs": " ".join(row.runs)} for row in self.rows]
        return pd.DataFrame(records, dtype=object).to_csv(index=False)  # an integer stays one


_OF_TABLE = [field.name for field in fields(Table) if field.name != "rows"]


def read_csv(file: Path) -> Table:
    """The table that ``Table.csv`` wrote.

    Raises:
        UserError: no such file, or not such a table.
    """
    try:
        with file.open(newline="") as lines:
            records = list(csv.DictReader(lines))
        rows = [
            Row(**{field.name: _value(field.type, record[field.name]) for field in fields(Row)})
            for record in records
        ]
        return Table(**{name: records[0][name] for name in _OF_TABLE}, rows=rows)
    except OSError as error:
        raise UserError(f"{file} can't be read: {error.strerror}") from None
    except (LookupError, ValueError, TypeError, csv.Error):
        raise UserError(f"{file} is no table that experiments/compare.py --out wrote") from None


def _value(kind: Any, text: str) -> Any:
    if isinstance(kind, types.UnionType):  # a number or None
        return None if text == "" else get_args(kind)[0](text)
    return kind(text) if kind in (int, str) else tuple(text.split())


def tables(runs: pd.DataFrame) -> list[Table]:
    """Tables of runs, a row for each run as ``tracking.reading.runs_table`` lists them."""
    return [_table(key, group) for key, group in _groups(runs)]


def table_of(runs: pd.DataFrame, own: str) -> Table:
    """The one table that has a run."""
    return next(t for t in tables(runs) if any(own in row.runs for row in t.rows))


def choose(runs: pd.DataFrame, words: list[str]) -> tuple[str, dict[str, pd.DataFrame]]:
    """The finished runs that each word means, and the part that their table measures.

    A word is a model, a recipe, a run's name or the beginning of its id.

    Raises:
        UserError: a word means nothing or several recipes, or no one table has all of them.
    """
    done = runs[runs["status"] == "FINISHED"] if len(runs) else runs
    known: set[str] = set()
    whole = []
    for key, group in _groups(done):
        here = {word: group[_meant(group, word)] for word in words}
        known |= {word for word, of_word in here.items() if len(of_word)}
        if all(map(len, here.values())):
            whole.append((key, _part(group), here))
    unknown = [word for word in words if word not in known]
    if unknown:
        raise UserError(
            f"no finished run is meant by {unknown[0]!r}: give a model, a recipe, a run's name or "
            "the beginning of its id, as experiments/compare.py lists them"
        )
    if len(whole) != 1:
        what = "no table has all of" if not whole else "several tables have"
        places = "; ".join(f"{corpus}, {protocol}" for (corpus, _, protocol), _, _ in whole)
        raise UserError(
            f"{what} {', '.join(words)}{': ' + places if places else ''}: only runs of the same "
            "songs and protocol can be paired, give their run ids"
        )
    _, part, here = whole[0]
    for word, of_word in here.items():
        recipes = sorted(set(of_word["recipe"]))
        if len(recipes) > 1:
            raise UserError(f"{word!r} means {len(recipes)} recipes: give {', '.join(recipes)}")
    return part, {word: _latest(of_word) for word, of_word in here.items()}


def _groups(runs: pd.DataFrame) -> list[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Runs by corpus, songs and protocol."""
    if runs.empty or "corpus" not in runs:
        return []
    keys = ["corpus", "songs_fingerprint", "protocol"]
    groups = runs.dropna(subset=["corpus"]).groupby(keys, sort=True)
    return [((str(a), str(b), str(c)), group) for (a, b, c), group in groups]


def _latest(runs: pd.DataFrame) -> pd.DataFrame:
    """A run that was repeated counts once: the newest is listed first."""
    return runs.drop_duplicates(["seed", "fold"])


def _meant(runs: pd.DataFrame, word: str) -> pd.Series:
    exact = (runs["model"] == word) | (runs["recipe"] == word)
    exact |= _column(runs, "name", "") == word
    return exact if len(word) < 6 else exact | runs["run_id"].str.startswith(word)


def _part(runs: pd.DataFrame) -> str:
    return "test" if (_column(runs, "final/test/songs") > 0).any() else "valid"


def _table(key: tuple[str, str, str], runs: pd.DataFrame) -> Table:
    part = _part(runs)
    rows = [_row(group, part) for _, group in runs.groupby("recipe")]
    rows.sort(key=lambda row: 1.0 if row.accuracy is None else -row.accuracy)
    return Table(*key, part, rows)


def _row(runs: pd.DataFrame, part: str) -> Row:
    done = _latest(runs[runs["status"] == "FINISHED"])
    first = runs.iloc[0]
    protocol = str(first["protocol"]).split()
    parameters = _column(runs, "parameters").max()
    return Row(
        model=str(first["model"]),
        features=str(first["features"]),
        recipe=str(first["recipe"]),
        runs=tuple(sorted(runs["run_id"])),
        seeds=done["seed"].nunique(),
        folds=done["fold"].nunique(),
        of_folds=int(protocol[1]) if protocol[0] in ("kfold", "artist") else None,
        unfinished=int((runs["status"] != "FINISHED").sum()),
        warning=next((w for w in _column(runs, "warning", "").fillna("") if w), ""),
        **_accuracy(done, part),
        f1=_mean(done, f"final/{part}/song_f1"),
        auroc=_mean(done, f"final/{part}/song_auroc"),
        parameters=None if pd.isna(parameters) else int(parameters),
        minutes=_mean(done, "minutes"),
    )


def _accuracy(done: pd.DataFrame, part: str) -> dict[str, Any]:
    """n, accuracy, spread and interval of finished runs."""
    accuracy = _column(done, f"final/{part}/song_accuracy").dropna()
    if accuracy.empty:
        return dict.fromkeys(("n", "accuracy", "spread", "low", "high"))
    songs = _column(done, f"final/{part}/songs")
    of_folds = songs.groupby(done["fold"]).max()
    n = int(of_folds.sum())  # folds test different songs, of which each counts the same
    mean = float((accuracy.groupby(done["fold"]).mean() * of_folds).sum() / n)
    right = (accuracy * songs).groupby(done["seed"]).sum()
    of_seeds = right / songs.groupby(done["seed"]).sum()
    spread = float(of_seeds.std()) if len(of_seeds) > 1 else None
    low, high = wilson(mean, n)
    return {"n": n, "accuracy": mean, "spread": spread, "low": low, "high": high}


def _column(runs: pd.DataFrame, name: str, default: object = float("nan")) -> pd.Series:
    return runs[name] if name in runs else pd.Series(default, index=runs.index)


def _mean(runs: pd.DataFrame, name: str) -> float | None:
    values = _column(runs, name).dropna()
    return float(values.mean()) if len(values) else None


def _text(number: float | None, form: str = ".3f") -> str:
    return "" if number is None else f"{number:{form}}"
