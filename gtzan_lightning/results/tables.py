"""Runs -> comparison tables: only runs of the same songs and the same protocol share one.

A table is numbers. Markdown, CSV, LaTeX, the page and the reproductions only format them.
"""

import types
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import pandas as pd
from tabulate import tabulate

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.bounded import csv_of
from gtzan_lightning.results.openings import is_closed, luck_of, openings_of, part_words
from gtzan_lightning.results.rows import Reader, Row, column, latest, make_row, states


@dataclass(frozen=True)
class Table:
    """One corpus, its songs' fingerprint, one protocol, one part; the best recipe first.

    Attributes:
        leak: what the part shares with training; folds may differ. Empty where not recorded.
        opened_by: recipes that opened the test part, deleted runs included; None of a valid part.
        luck: how far the best of the rows stands above their mean if all are equally good; None
            where predictions were not read.
    """

    corpus: str
    songs: str
    protocol: str
    part: str
    leak: str
    opened_by: int | None
    luck: float | None
    rows: list[Row]

    @property
    def title(self) -> str:
        """Corpus, protocol and part in one line."""
        leak = f"; {self.leak}" if self.leak else ""
        place = f"corpus {self.corpus} ({self.songs}), protocol {self.protocol}"
        return f"{place}, {part_words(self.part, self.protocol)}{leak}"

    @property
    def remarks(self) -> list[str]:
        """What a reader must know of the numbers, a sentence each."""
        warnings = sorted({row.warning for row in self.rows} - {""})
        warnings += chosen_on(self.rows)
        if len({row.artists is None for row in self.rows}) == 2:
            warnings.insert(0, "Rows without a number of artists have Wilson's interval.")
        if self.part != "valid":
            return [*self._luck_remark(), *warnings]
        remark = (
            "Measured on the validation part (the test part stays closed until it is asked for)"
        )
        networks = [row for row in self.rows if row.parameters is not None]
        if any(not row.kept for row in networks):
            remark += ", on which each network's best epoch was chosen: such scores are optimistic"
            if any(row.kept for row in networks):
                remark += ' (but for those with "last epoch", which kept that one)'
        return [f"{remark}.", *warnings]

    def _luck_remark(self) -> list[str]:
        """What the first row's accuracy is worth after so many tries."""
        if not self.opened_by or self.opened_by < 2:
            return []
        remark = f"{self.opened_by} recipes were measured on these test songs"
        if self.luck is not None:
            measured = sum(row.accuracy is not None for row in self.rows)
            remark += (
                f"; were the {measured} rows equally good, the best would stand "
                f"{self.luck:.3f} above their mean by chance"
            )
        return [f"{remark}: the first row is optimistic."]

    def lines(self, own: str = "", with_runs: bool = False) -> list[dict[str, str]]:
        """Title -> text of each row's cells; columns that are empty everywhere are left out.

        Args:
            own: id of a run whose row is marked.
            with_runs: a column of runs, for tables of a store that a reader has.
        """
        cells = [row.cells(own) for row in self.rows]
        if with_runs:
            cells = [c | {"run": row.short_runs()} for c, row in zip(cells, self.rows, strict=True)]
        filled = [title for title in cells[0] if any(of_row[title] for of_row in cells)]
        return [{title: of_row[title] for title in filled} for of_row in cells]

    def markdown(self, own: str = "", with_runs: bool = True) -> str:
        """Args: own, with_runs: as ``lines`` takes them."""
        lines = self.lines(own, with_runs)
        body = tabulate(lines, headers="keys", tablefmt="pipe", disable_numparse=True)
        return "\n".join([f"### {self.title}", "", body, "", *self.remarks])

    def csv(self) -> str:
        """A line for each row, a column for each number; ``read_csv`` reads it."""
        table = {field.name: getattr(self, field.name) for field in _OF_TABLE}
        records = [table | vars(row) | {"runs": " ".join(row.runs)} for row in self.rows]
        return pd.DataFrame(records, dtype=object).to_csv(index=False)  # an integer stays one


def chosen_on(rows: Sequence[Row]) -> list[str]:
    """On which songs settings were chosen, a sentence for each."""
    sentences = []
    for songs in sorted({row.tuned_on for row in rows} - {""}):
        tuned = dict.fromkeys(row.model for row in rows if row.tuned_on == songs)
        sentences.append(f"Settings chosen on {songs}: {', '.join(tuned)}.")
    return sentences


LARGEST = 1e15
_OF_TABLE = [field for field in fields(Table) if field.name != "rows"]


def read_csv(file: Path) -> Table:
    """The table that ``Table.csv`` wrote.

    Raises:
        UserError: no such file, or not such a table.
    """
    records = csv_of(file)
    try:
        rows = [
            Row(**{field.name: _value(field.type, record[field.name]) for field in fields(Row)})
            for record in records
        ]
        own = {f.name: _value(f.type, records[0][f.name]) for f in _OF_TABLE}
    except (LookupError, ValueError, TypeError):
        raise UserError(f"{file} is no table that gtzan compare --out wrote") from None
    for line, row in enumerate(rows, 2):
        shares = (row.accuracy, row.low, row.high, row.wilson_low, row.wilson_high, row.last)
        if not row.runs or not all(0 <= share <= 1 for share in shares if share is not None):
            raise UserError(
                f"{file}, line {line}: a row has runs, and accuracies and intervals from 0 to 1"
            )
    return Table(**own, rows=rows)


def _value(kind: Any, text: str) -> Any:
    if isinstance(kind, types.UnionType):  # a number or None
        return None if text == "" else _number(get_args(kind)[0], text)
    return _number(kind, text) if kind in (int, str) else tuple(text.split())


def _number(kind: Any, text: str) -> Any:
    value = kind(text)
    if kind is not str and not abs(value) < LARGEST:
        raise ValueError("no number, or none that was counted")
    return value


def tables(
    runs: pd.DataFrame, read: Reader | None = None, ledger: pd.DataFrame | None = None
) -> list[Table]:
    """Tables of runs, a row for each run as ``tracking.reading.runs_table`` lists them.

    Args:
        read: as ``rows.make_row`` takes it.
        ledger: openings of test parts, as ``tracking.reading.openings`` lists them.
    """
    cached = None if read is None else lru_cache(maxsize=None)(read)
    return [_table(*group, cached, ledger) for group in _groups(runs)]


def table_of(
    runs: pd.DataFrame, own: str, read: Reader | None = None, ledger: pd.DataFrame | None = None
) -> Table:
    """The one table that has a run: of the test part, if the run opened it."""
    return [t for t in tables(runs, read, ledger) if any(own in row.runs for row in t.rows)][-1]


@dataclass(frozen=True)
class Choice:
    """The finished runs that words mean, and the table that all of them are in."""

    table: Table
    runs: dict[str, pd.DataFrame]  # word -> its runs

    @property
    def context(self) -> str:
        """What a sentence about these runs must say of them."""
        of_runs = pd.concat(self.runs.values())
        warnings = sorted(set(column(of_runs, "warning", "").fillna("")) - {""})
        part = part_words(self.table.part, self.table.protocol).replace("valid ", "validation ")
        words = [f"the {part} of {self.table.corpus}, {self.table.protocol}"]
        words += [self.table.leak] if self.table.leak else []
        chose = column(of_runs, "parameters").notna() & (
            column(of_runs, "kept", "").fillna("") == ""
        )
        if self.table.part == "valid" and chose.any():
            words.append("on which best epochs were chosen")
        seeds = sorted(set(column(of_runs, "seed", "").astype(str)))
        words += [f"seeds {' '.join(seeds)}", *warnings]
        return f", {'; '.join(words)}"


def choose(runs: pd.DataFrame, words: list[str]) -> Choice:
    """The finished runs that each word means, in the one table that has all of them.

    A word is a model, a recipe, a run's name or the beginning of its id. Where the runs were
    measured on the test part too, that part is meant.

    Raises:
        UserError: a word means nothing or several recipes, or no one table has all of them.
    """
    done = runs[runs["status"] == "FINISHED"] if len(runs) else runs
    known: set[str] = set()
    whole: dict[tuple[str, str, str], Choice] = {}
    for key, part, group in _groups(done):
        here = {word: group[_meant(group, word)] for word in words}
        known |= {word for word, of_word in here.items() if len(of_word)}
        if all(map(len, here.values())):  # of the two parts the test part comes last
            whole[key] = Choice(_table(key, part, group), here)
    unknown = [word for word in words if word not in known]
    if unknown:
        raise UserError(
            f"no finished run is meant by {unknown[0]!r}: give a model, a recipe, a run's name or "
            "the beginning of its id, as gtzan compare lists them"
        )
    if len(whole) != 1:
        what = "no table has all of" if not whole else "several tables have"
        places = "; ".join(f"{corpus}, {protocol}" for corpus, _, protocol in whole)
        raise UserError(
            f"{what} {', '.join(words)}{': ' + places if places else ''}: only runs of the same "
            "songs and protocol can be paired, give their run ids"
        )
    (choice,) = whole.values()
    return replace(choice, runs={w: _one_system(w, rows) for w, rows in choice.runs.items()})


def _one_system(word: str, runs: pd.DataFrame) -> pd.DataFrame:
    """The newest run of each seed and fold.

    Raises:
        UserError: the word means runs that are no one system.
    """
    recipes, of_code, precisions = (sorted(set(values)) for values in states(runs))
    if len(recipes) > 1:
        raise UserError(f"{word!r} means {len(recipes)} recipes: give {', '.join(recipes)}")
    for what, found in (("states of the code", of_code), ("precisions", precisions)):
        if len(found) > 1:
            raise UserError(
                f"{word!r} means runs of {len(found)} {what} ({', '.join(found)}): give the ids "
                "of runs of one"
            )
    return latest(runs)


def _groups(runs: pd.DataFrame) -> list[tuple[tuple[str, str, str], str, pd.DataFrame]]:
    """Runs by corpus, songs and protocol, and by the parts on which they were measured.

    All are in the table of the valid part; those that opened the test part are in one of it too.
    """
    if runs.empty or "corpus" not in runs:
        return []
    keys = ["corpus", "songs_fingerprint", "protocol"]
    groups = []
    for (a, b, c), group in runs.dropna(subset=["corpus"]).groupby(keys, sort=True):
        key = (str(a), str(b), str(c))
        opened = column(group, "final/test/songs") > 0
        closed = column(group, "final/valid/songs") > 0
        if closed.any() or not opened.any():
            groups.append((key, "valid", group))
        if opened.any():
            groups.append((key, "test", group[opened | (group["status"] != "FINISHED")]))
    return groups


def _meant(runs: pd.DataFrame, word: str) -> pd.Series:
    exact = (runs["model"] == word) | (runs["recipe"] == word)
    exact |= column(runs, "name", "") == word
    return exact if len(word) < 6 else exact | runs["run_id"].str.startswith(word)


def _table(
    key: tuple[str, str, str],
    part: str,
    runs: pd.DataFrame,
    read: Reader | None = None,
    ledger: pd.DataFrame | None = None,
) -> Table:
    closed = part == "test" and is_closed(key[2])
    opened = openings_of(key, runs, ledger) if closed else None
    of_model = {} if opened is None else dict(opened["model"].value_counts())
    alike = [group for _, group in runs.groupby(states(runs))]
    rows = [make_row(group, part, read, of_model) for group in alike]
    rows.sort(key=lambda row: 1.0 if row.accuracy is None else -row.accuracy)
    leaks = sorted(set(column(runs, f"leak_{part}", "").fillna("")) - {""})
    if opened is None:
        return Table(*key, part, " / ".join(leaks), None, None, rows)
    luck = luck_of(alike, part, read)
    return Table(*key, part, " / ".join(leaks), opened["recipe"].nunique(), luck, rows)
