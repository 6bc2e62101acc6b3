"""What a ladder measured: numbers, and their Markdown and CSV."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import pandas as pd
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from tabulate import tabulate

from gtzan_lightning.errors import UserError
from gtzan_lightning.ladder.steps import CONTROLS, Rung
from gtzan_lightning.recipe.bounded import csv_of
from gtzan_lightning.recipe.section import Probability
from gtzan_lightning.results.rows import Reader, make_row
from gtzan_lightning.results.screen import drawn, with_interval

Whole = Annotated[int, Field(ge=0, le=10**12)]
SHARES = ("song", "recording", "artist")
NAMES = {"shuffled_genres": "genres shuffled", "training_songs": "training songs tested"}


@dataclass(frozen=True)
class Measured:
    """A rung with its scores.

    Attributes:
        part: that was measured; on "valid" a network's best epoch was chosen.
        train_songs: songs trained on.
        n: songs measured; those of different folds are added up.
        artists: of these songs; None where they are unknown.
        low, high: 95 % interval of the accuracy, over seeds and artists, or Wilson's.
        song, recording, artist: share of the measured songs of which another clip, the same
            recording under another id, or the artist is in training too; None where unknown.
        recipe: six digits.
        genres: number of them; None of older tables.
        run: beginning of the newest one's id, and how many others there are; "" is unknown.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    model: str
    rung: str
    protocol: str
    part: Annotated[str, Field(pattern="^(train|valid|test)$")]
    train_songs: Whole
    n: Whole
    artists: Whole | None
    seeds: Whole
    folds: Whole
    accuracy: Probability
    low: Probability
    high: Probability
    song: Probability | None
    recording: Probability | None
    artist: Probability | None
    recipe: str
    commit: str
    corpus: str
    run: Annotated[str, BeforeValidator(lambda text: text or "")] = ""
    genres: Whole | None = None

    @property
    def is_control(self) -> bool:
        """Whether it is chance or memory, not a protocol."""
        return self.rung in CONTROLS

    def cells(self) -> dict[str, str]:
        """Title -> text of each column."""
        shares = {name: getattr(self, name) for name in SHARES}
        return {
            "model": self.model,
            "rung": NAMES.get(self.rung, self.rung),
            "part": self.part,
            "training songs": str(self.train_songs),
            "n": str(self.n),
            "artists": "" if self.artists is None else str(self.artists),
            "seeds": str(self.seeds),
            "folds": str(self.folds),
            "song accuracy": f"{self.accuracy:.3f}",
            "95 % interval": f"{self.low:.3f}-{self.high:.3f}",
            **{
                f"{name} in training": "?" if share is None else f"{100 * share:.0f} %"
                for name, share in shares.items()
            },
            "recipe": self.recipe,
            "commit": self.commit,
            "run": self.run,
        }

    def short_cells(self) -> dict[str, str]:
        """The columns that fit a terminal."""
        shares = [getattr(self, name) for name in SHARES]
        return {
            "rung": NAMES.get(self.rung, self.rung),
            "run": self.run,
            "song accuracy": with_interval(
                f"{self.accuracy:.3f}", f"{self.low:.3f}, {self.high:.3f}"
            ),
            "n": str(self.n),
            "in training": " ".join("?" if s is None else f"{100 * s:.0f}" for s in shares),
        }


def measure(rung: Rung, runs: pd.DataFrame, read: Reader) -> Measured | None:
    """The scores of a rung; None where none of its runs has ended.

    Args:
        runs: as ``tracking.reading.runs_table`` lists them.
        read: gives predictions.
    """
    own = runs[runs["run_id"].isin([member.find(runs) for member in rung.members])]
    if own.empty:
        return None
    row = make_row(own, rung.part, read, {})
    # of seeds the songs are the same
    splits = {m.recipe.data.fold: m.data.split for m in rung.members}
    leaks = [split.leaks[rung.part] for split in splits.values()]
    songs = sum(leak.songs for leak in leaks)
    is_named = any(leak.named for leak in leaks)
    scores = (row.n, row.accuracy, row.low, row.high)
    if any(score is None for score in scores):
        return None
    n, accuracy, low, high = cast(tuple[int, float, float, float], scores)
    return Measured(
        model=row.model, rung=rung.name, protocol=str(own["protocol"].iloc[0]), part=rung.part,
        train_songs=rung.train_songs, n=n, artists=row.artists, seeds=row.seeds,
        folds=row.folds, accuracy=accuracy, low=low, high=high,
        song=sum(leak.same_song for leak in leaks) / songs,
        recording=sum(leak.recordings for leak in leaks) / songs if is_named else None,
        artist=sum(leak.artists for leak in leaks) / songs if is_named else None,
        recipe=row.recipe, commit=row.commit, corpus=str(own["corpus"].iloc[0]),
        run=row.short_runs(), genres=rung.members[0].data.genres,
    )  # fmt: skip


def shown(rows: Sequence[Measured]) -> str:
    """The tables for standard output: in a terminal one for each model and part, else Markdown."""
    if not sys.stdout.isatty():
        return markdown(rows)
    tables = []
    for model, part in dict.fromkeys((row.model, row.part) for row in rows):
        of_one = [row for row in rows if (row.model, row.part) == (model, part)]
        tables.append(drawn(f"{model}, {part} part", [row.short_cells() for row in of_one]))
    order = f"In percent, in this order: {', '.join(SHARES)}."
    return "\n\n".join([*tables, " ".join([*remarks(rows), order])])


def markdown(rows: Sequence[Measured]) -> str:
    """A table, and what a reader must know of it."""
    cells = [row.cells() for row in rows]
    if not any(row.run for row in rows):  # of a table of elsewhere
        cells = [{name: cell for name, cell in c.items() if name != "run"} for c in cells]
    body = tabulate(cells, headers="keys", tablefmt="pipe", disable_numparse=True)
    return "\n".join([body, "", " ".join(remarks(rows))])


def remarks(rows: Sequence[Measured]) -> list[str]:
    """What a reader must know of the numbers, a sentence each."""
    sentences = [
        "*in training*: share of the measured songs of which another clip, the same recording "
        "under another id, or the artist is in training too. Songs whose artist is unknown count "
        "as artists of their own."
    ]
    if any(row.part == "valid" for row in rows):
        sentences.append(
            "A network's best epoch was chosen on the valid part, where that is what was measured, "
            "unless its recipe keeps the last."
        )
    if any(row.is_control for row in rows):
        sentences.append(
            "Controls: shuffled genres should give chance; training songs show memory."
        )
    return sentences


def to_csv(rows: Sequence[Measured]) -> str:
    """A line for each row, which ``read_csv`` reads."""
    return pd.DataFrame([vars(row) for row in rows], dtype=object).to_csv(index=False)


def read_csv(file: Path) -> list[Measured]:
    """The rows that ``to_csv`` wrote.

    Raises:
        UserError: no such file, or not such a table.
    """
    filled = [{name: text or None for name, text in row.items()} for row in csv_of(file)]
    try:
        return TypeAdapter(list[Measured]).validate_python(filled)
    except ValidationError as error:
        line, *column = error.errors()[0]["loc"]
        where = f"line {int(line) + 2}, {' '.join(map(str, column)) or 'columns'}"
        raise UserError(
            f"{file} is no table that experiments/ladder.py --out wrote ({where})"
        ) from None
