"""The systems of the five source documents: what they published, and what our runs measured.

A system has two recipes, NAME-as_published and NAME-corrected, and an entry in ``systems.yaml``.
Runs are found by their recipe, whatever their corpus and seed. Nothing large is imported, so that
commands are listed at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.recipe.identity import recipe_key

if TYPE_CHECKING:
    import pandas as pd

    from gtzan_lightning.results.tables import Table

OURS = {  # column -> recipe of the pair, and flags that override it
    "ours as published": ("as_published", ()),
    "ours corrected": ("corrected", ()),
    "ours artist-clean": ("corrected", ("--data.split", "filtered")),
}
ABOUT = """\
# The systems of the five source documents

*As published* is the source's system as far as the header of its recipe says; *corrected* puts its
defects right; *artist-clean* is the corrected recipe on the fault-filtered protocol, whose parts
share no artist (`--data.split filtered`). The recipes are in `experiments/recipes/reproductions`;
`python experiments/reproduce.py --list` prints the commands that fill the table, and
`python experiments/reproduce.py --out FILE` writes it anew from the recorded runs.

Our scores are song accuracy (mean ± standard deviation over seeds) with its 95 % Wilson interval,
the number of songs and seeds, and the corpus with its fingerprint. Every run keeps the epoch that
is best on validation songs. *valid* marks a score of those very songs, where no test song was at
hand: it is optimistic. These recipes open the test part, which the sources report. **LEAKY** marks
a score that measures a leak. An empty cell was not run."""


@dataclass(frozen=True)
class System:
    """One system of a source: its name and its published facts, as text."""

    name: str
    system: str
    published: str
    protocol: str
    wrong: str


def systems(folder: Path) -> list[System]:
    """Every system of a folder of recipes, in the order of the documents."""
    return [System(**entry) for entry in yaml.safe_load((folder / "systems.yaml").read_text())]


def commands(folder: Path) -> list[str]:
    """The command of every cell, system by system."""
    return [
        " ".join(("python experiments/run.py --config", _recipe(folder, one.name, kind), *flags))
        for one in systems(folder)
        for kind, flags in OURS.values()
    ]


def markdown(runs: "pd.DataFrame", folder: Path) -> str:
    """The table, with what it is.

    Args:
        runs: a row for each run, as ``tracking.reading.runs_table`` gives them.
        folder: of the recipes and ``systems.yaml``.
    """
    titles = ("system", "published score; protocol", "what was wrong", *OURS)
    rows = [titles, ("---",) * len(titles)]
    for one in systems(folder):
        facts = (f"{one.system} (`{one.name}`)", f"{one.published}; {one.protocol}", one.wrong)
        cells = [cell(runs, key(folder, one.name, kind, flags)) for kind, flags in OURS.values()]
        rows.append((*facts, *cells))
    return ABOUT + "\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows)


def key(folder: Path, name: str, kind: str, flags: tuple[str, ...] = ()) -> str:
    """The recipe key of the runs that a cell's command makes."""
    return recipe_key(parse_run(["--config", _recipe(folder, name, kind), *flags])[0])


def cell(runs: "pd.DataFrame", recipe: str) -> str:
    """A line for each corpus on which a recipe was run to its end, of test songs where there are
    any; empty without such runs."""
    from gtzan_lightning.results.tables import tables

    if "recipe" not in runs:  # an experiment without runs has no columns
        return ""
    # of the two parts the test part comes last
    last = {(t.corpus, t.songs, t.protocol): t for t in tables(runs[runs["recipe"] == recipe])}
    lines = [_line(table) for table in last.values()]
    return "<br>".join(line for line in lines if line)


def _recipe(folder: Path, name: str, kind: str) -> str:
    return str(folder / f"{name}-{kind}.yaml")


def _line(table: "Table") -> str:
    """Such as ``0.600 ± 0.010 [0.543, 0.655], n = 290, 3 seeds, gtzan 0123456789ab``."""
    (row,) = table.rows
    if row.accuracy is None:  # no run has ended
        return ""
    from gtzan_lightning.results.rows import marker

    words = [f"{row.accuracy_text()} [{row.interval_text(', ')}]", f"n = {row.n}"]
    words += [f"{row.seeds} seed{'s' if row.seeds > 1 else ''}", f"{table.corpus} {table.songs}"]
    words += ["*valid*"] * (table.part == "valid")
    words += [f"**{marker(row.warning)}**"] if row.warning else []
    return ", ".join(words)
