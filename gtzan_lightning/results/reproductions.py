"""The systems of the five source documents: what they published, and what our runs measured.

A system has two recipes, NAME-as_published and NAME-corrected, and an entry in ``systems.yaml``.
Runs are found by their recipe, whatever their corpus and seed. Nothing large is imported, so that
commands are listed at once.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.baseline_settings import ClassicalSettings
from gtzan_lightning.recipe.bounded import yaml_of
from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.recipe.identity import recipe_key
from gtzan_lightning.recipe.recipes import Recipe

if TYPE_CHECKING:
    import pandas as pd

    from gtzan_lightning.results.rows import Reader, Row
    from gtzan_lightning.results.tables import Table

RECIPES = Path("experiments") / "recipes" / "reproductions"  # of a checkout
OURS = {  # form -> recipe of the pair, and flags that override it
    "as_published": ("as_published", ()),
    "corrected": ("corrected", ()),
    "artist-clean": ("corrected", ("--data.split", "filtered")),
}
# what each source reported, as a run records it
PUBLISHED = {
    "motyka": {"clip_loss": "loss", "clip_auroc": "AUROC of clips"},
    "basak": {"song_precision": "precision", "song_recall": "recall"},
    "bar_tov": {"song_accuracy_hard": "majority vote", "clip_accuracy": "single clips"},
    "navas": {"song_f1_weighted": "weighted F1"},
    "zhang": {"clip_accuracy": "single clips"},
}
# the one of these scores that the published figure is of, where that is not song accuracy
METRICS = {"navas": "song_f1_weighted", "zhang": "clip_accuracy"}


@dataclass(frozen=True)
class System:
    """One system of a source.

    Attributes:
        name: SOURCE-SYSTEM.
        system, published, protocol, wrong: its published facts, as text.
        score: the published figure, of the source's own metric.
        recipe: NAME of its two recipes, if not its own name.
        flags: that make it of them.
        empty: form -> why it can't be measured on the pictures at hand, and what it would take.
        defects: what is put right -> flags over the recipe as published, for one defect each.
    """

    name: str
    system: str
    published: str
    protocol: str
    wrong: str
    score: float | None = None
    recipe: str = ""
    flags: tuple[str, ...] = ()
    empty: Mapping[str, str] = field(default_factory=dict)
    defects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def forms(self) -> list[str]:
        """The three of ``OURS``, and one for each defect."""
        return [*OURS, *self.defects]

    @property
    def source(self) -> str:
        """The name of its document."""
        return self.name.split("-")[0]

    def argv(self, folder: Path, form: str) -> list[str]:
        """Flags of ``run.py`` that measure it.

        Args:
            folder: of the recipes.
            form: one of ``forms``.
        """
        kind, flags = OURS.get(form) or ("as_published", self.defects[form])
        file = folder / f"{self.recipe or self.name}-{kind}.yaml"
        return ["--config", str(file), *self.flags, *flags]


def systems(folder: Path) -> list[System]:
    """Every system of a folder, in the documents' order; UserError where their list is none."""
    file, found = folder / "systems.yaml", list[System]()
    try:
        for entry in yaml_of(file, "") or []:
            found += _of_entry(entry)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        after = f" after {found[-1].name}" if found else ""
        raise UserError(f"{file} is no list of systems{after}: {error}") from None
    return found


def _of_entry(entry: dict[str, Any]) -> list[System]:
    features, why = entry.pop("features", {}), entry.get("empty", {})
    empty = dict.fromkeys(OURS, why) if isinstance(why, str) else why  # one text is of all
    defects = {what: tuple(flags) for what, flags in entry.get("defects", {}).items()}
    plain = {"flags": tuple(entry.get("flags", ())), "empty": empty, "defects": defects}
    one = System(**{**entry, **plain})
    return [one, *(_on(one, *feature) for feature in features.items())]


def _on(one: System, feature: str, score: float | None) -> System:
    """navas's same system on pictures of another kind, whose decibels were not taken twice."""
    return replace(
        one,
        name=f"{one.name}-{feature}",
        system=one.system.replace("mel", feature),
        published=one.published if score is None else f"weighted F1 {score:.4f}, 128 songs",
        wrong=f"as {one.name}",
        score=score,
        recipe=one.name,
        flags=("--data.features", feature, "--data.range_db", "80"),
        defects={},
    )


def every(folder: Path) -> list[list[str]]:
    """Flags of ``run.py`` for every cell and defect, system by system."""
    return [one.argv(folder, form) for one in systems(folder) for form in one.forms]


def key(folder: Path, one: System, form: str) -> str:
    """The recipe key of the runs that a cell's command makes."""
    return recipe_key(parse_run(one.argv(folder, form))[0])


def cells(folder: Path) -> dict[str, tuple[list[str], list[str]]]:
    """Recipe key -> the systems, and the forms or corrected defects, that its runs measure."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for one in systems(folder):
        for form in one.forms:
            names, forms = found.setdefault(key(folder, one, form), ([], []))
            names.append(one.name)
            forms += [form] * (form not in forms)
    return found


def markdown(
    runs: "pd.DataFrame", folder: Path, read: "Reader | None" = None, why: bool = False
) -> str:
    """The table.

    Args:
        runs: a row for each run, as ``tracking.reading.runs_table`` gives them.
        folder: of the recipes and ``systems.yaml``.
        read: gives predictions, as ``tables`` takes it.
        why: say in an empty cell why it can't be measured on the pictures of our ledger.
    """
    titles = ("system", "published score; protocol", "what was wrong", *(f"ours {f}" for f in OURS))
    rows = [titles, ("---",) * len(titles)]
    for one in systems(folder):
        facts = (f"{one.system} (`{one.name}`)", f"{one.published}; {one.protocol}", one.wrong)
        texts = [
            cell(runs, key(folder, one, form), PUBLISHED[one.source], read)
            or (f"*not run: {one.empty[form]}*" if why and form in one.empty else "")
            for form in OURS
        ]
        rows.append((*facts, *texts))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def unfilled(runs: "pd.DataFrame", folder: Path) -> str:
    """How many cells are filled, and which are not, with why."""
    count, filled, reasons = 0, 0, dict[str, list[str]]()
    for one in systems(folder):
        for form in OURS:
            count += 1
            if cell(runs, key(folder, one, form), {}):
                filled += 1
            else:
                why = one.empty.get(form, "not run yet")
                reasons.setdefault(why, []).append(f"{one.name} {form}")
    lines = [f"- {why} ({len(names)}): {', '.join(names)}" for why, names in reasons.items()]
    return "\n".join([f"{filled} of {count} cells are filled. Those that are not:", "", *lines])


def points(
    runs: "pd.DataFrame", folder: Path, read: "Reader | None" = None
) -> "dict[str, dict[str, tuple[float, float, float]]]":
    """Of systems with a figure and a run: ``published`` and forms -> score and interval's ends.

    The score is of the source's own metric; its interval is that of song accuracy where it is song
    accuracy, else there is none (both ends are the score). A system that flags make of another's
    recipe has only what differs from that.
    """
    from gtzan_lightning.results.rows import column

    found, shown = {}, set()
    for one in systems(folder):
        values = {} if one.score is None else {"published": (one.score, one.score, one.score)}
        metric = METRICS.get(one.source, "song_accuracy")
        for form in OURS:
            recipe = key(folder, one, form)
            if one.recipe and recipe in shown:
                continue
            shown.add(recipe)
            for table, row, own in measured(runs, recipe, read):
                score = float(column(own, f"final/{table.part}/{metric}").mean())
                if score != score:  # a line that came without this metric
                    continue
                if metric == "song_accuracy" and row.low is not None and row.high is not None:
                    values[form] = (score, row.low, row.high)
                else:
                    values[form] = (score, score, score)
        if set(values) - {"published"}:
            found[one.name] = values
    return found


def missing(runs: "pd.DataFrame", folder: Path) -> list[list[str]]:
    """Flags of ``run.py`` for each empty cell and unmeasured defect, the cheapest first.

    Args:
        runs, folder: as ``markdown`` takes them.
    """
    empty = {}
    for one in systems(folder):
        for form in one.forms:
            recipe = key(folder, one, form)
            if recipe not in empty and not cell(runs, recipe, {}):
                empty[recipe] = one.argv(folder, form)
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


def cell(
    runs: "pd.DataFrame", recipe: str, metrics: Mapping[str, str], read: "Reader | None" = None
) -> str:
    """A line for each corpus on which a recipe was run to its end, of test songs where there are
    any; empty without such runs.

    Args:
        metrics: that the source reported -> what the line calls them.
        read: gives predictions, as ``tables`` takes it.
    """
    lines = [_line(*of_songs, metrics) for of_songs in measured(runs, recipe, read)]
    return "<br>".join(lines)


def measured(
    runs: "pd.DataFrame", recipe: str, read: "Reader | None" = None
) -> "list[tuple[Table, Row, pd.DataFrame]]":
    """The newest row of a recipe, with its table and runs, for each corpus and protocol."""
    from gtzan_lightning.results.tables import tables

    if "recipe" not in runs:  # an experiment without runs has no columns
        return []
    own = runs[runs["recipe"] == recipe]
    # of the two parts the test part comes last
    last = {(t.corpus, t.songs, t.protocol): t for t in tables(own, read)}
    found = []
    for table in last.values():
        ended = [row for row in table.rows if row.accuracy is not None]
        row = next((row for run in own["run_id"] for row in ended if run in row.runs), None)
        if row is not None:
            found.append((table, row, own[own["run_id"].isin(row.runs)]))
    return found


def _line(table: "Table", row: "Row", runs: "pd.DataFrame", metrics: Mapping[str, str]) -> str:
    """Such as ``0.600 ± 0.010 [0.543, 0.655], single clips 0.512, n = 290, 3 seeds, gtzan 01``."""
    from gtzan_lightning.results.rows import column, marker

    words = [f"{row.accuracy_text()} [{row.interval_text(', ')}]"]
    for metric, name in metrics.items():
        value = column(runs, f"final/{table.part}/{metric}").mean()
        words += [f"{name} {value:.3f}"] if value == value else []
    words += [f"n = {row.n}", f"{row.seeds} seed{'s' * (row.seeds > 1)}"]
    words += [row.precision] if row.precision.startswith("bf16") else []
    words += [f"{table.corpus} {table.songs}"]
    words += ["*valid*"] * (table.part == "valid")
    words += [f"**{marker(row.warning)}**"] if row.warning else []
    return ", ".join(words)
