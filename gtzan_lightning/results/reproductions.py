"""The systems of the five source documents: what they published, and what our runs measured.

A system has two recipes, NAME-as_published and NAME-corrected, and an entry in ``systems.yaml``.
Runs are found by their recipe, whatever their corpus and seed. Nothing large is imported, so that
commands are listed at once.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from gtzan_lightning.recipe.baseline_settings import ClassicalSettings
from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.recipe.identity import recipe_key
from gtzan_lightning.recipe.recipes import Recipe

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

Our scores are song accuracy (mean ± standard deviation over seeds) with its 95 % interval, by
artist where artists are known, else Wilson's; then what the source reported, of our run; the
number of songs and seeds, and the corpus with its fingerprint. Every run keeps the epoch that is
best on validation songs. *valid* marks a score of those very songs, where no test song was at
hand: it is optimistic. These recipes open the test part, which the sources report. **LEAKY** marks
a score that measures a leak. An empty cell was not run.

`gtzan-pictures` is 709 songs of GTZAN as mel pictures, decoded from published plots: a frame lasts
41 ms there, not 23, features of other kinds are made of those pictures, and a song's picture is not
cut anew. The predictions behind the cells are kept in `docs/results/reproductions`."""


# what each source reported, as a run records it
PUBLISHED = {
    "motyka": {"clip_loss": "loss", "clip_auroc": "AUROC of clips"},
    "basak": {"song_precision": "precision", "song_recall": "recall"},
    "bar_tov": {"song_accuracy_hard": "majority vote", "clip_accuracy": "single clips"},
    "navas": {"song_f1_weighted": "weighted F1"},
    "zhang": {"clip_accuracy": "single clips"},
}


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
        metrics = PUBLISHED[one.name.split("-")[0]]
        keys = [key(folder, one.name, kind, flags) for kind, flags in OURS.values()]
        cells = [cell(runs, recipe, metrics) for recipe in keys]
        rows.append((*facts, *cells))
    return ABOUT + "\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows)


def key(folder: Path, name: str, kind: str, flags: tuple[str, ...] = ()) -> str:
    """The recipe key of the runs that a cell's command makes."""
    return recipe_key(parse_run(["--config", _recipe(folder, name, kind), *flags])[0])


def missing(runs: "pd.DataFrame", folder: Path) -> list[list[str]]:
    """Flags of ``run.py`` for each empty cell, the cheapest first.

    Args:
        runs, folder: as ``markdown`` takes them.
    """
    empty = {}
    for one in systems(folder):
        for kind, flags in OURS.values():
            recipe = key(folder, one.name, kind, flags)
            if recipe not in empty and not cell(runs, recipe, {}):
                empty[recipe] = ["--config", _recipe(folder, one.name, kind), *flags]
    return sorted(empty.values(), key=lambda argv: _cost(parse_run(argv)[0]))


def _cost(recipe: Recipe) -> float:
    """About how long a training takes, to order them: pixels that it looks at."""
    if isinstance(recipe.model, ClassicalSettings):
        return 0.0
    data, fit = recipe.data, recipe.fit
    frames = data.clip_seconds * data.sample_rate / data.hop_length
    pixels = math.prod(data.picture_size or (data.bins, frames))
    clips = min(400 * data.clips_per_song, (fit.limit_train_batches or 10**9) * fit.batch_size)
    return pixels * clips * fit.max_epochs


def cell(runs: "pd.DataFrame", recipe: str, metrics: Mapping[str, str]) -> str:
    """A line for each corpus on which a recipe was run to its end, of test songs where there are
    any; empty without such runs.

    Args:
        metrics: that the source reported -> what the line calls them.
    """
    from gtzan_lightning.results.tables import tables

    if "recipe" not in runs:  # an experiment without runs has no columns
        return ""
    # of the two parts the test part comes last
    own = runs[runs["recipe"] == recipe]
    last = {(t.corpus, t.songs, t.protocol): t for t in tables(own)}
    lines = [_line(table, own, metrics) for table in last.values()]
    return "<br>".join(line for line in lines if line)


def _recipe(folder: Path, name: str, kind: str) -> str:
    return str(folder / f"{name}-{kind}.yaml")


def _line(table: "Table", runs: "pd.DataFrame", metrics: Mapping[str, str]) -> str:
    """Such as ``0.600 ± 0.010 [0.543, 0.655], single clips 0.512, n = 290, 3 seeds, gtzan 0123``.

    Of several states of the code, the newest.
    """
    ended = [row for row in table.rows if row.accuracy is not None]
    row = next((row for run in runs["run_id"] for row in ended if run in row.runs), None)
    if row is None:
        return ""
    from gtzan_lightning.results.rows import column, marker

    words = [f"{row.accuracy_text()} [{row.interval_text(', ')}]"]
    own = runs[runs["run_id"].isin(row.runs)]
    for metric, name in metrics.items():
        value = column(own, f"final/{table.part}/{metric}").mean()
        words += [f"{name} {value:.3f}"] if value == value else []
    words += [f"n = {row.n}", f"{row.seeds} seed{'s' * (row.seeds > 1)}"]
    words += [f"{table.corpus} {table.songs}"]
    words += ["*valid*"] * (table.part == "valid")
    words += [f"**{marker(row.warning)}**"] if row.warning else []
    return ", ".join(words)
