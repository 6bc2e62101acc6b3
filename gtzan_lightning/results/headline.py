"""What is quoted of the ledger: the README's short table, and headers of the models' recipes."""

from collections.abc import Sequence
from textwrap import wrap

from tabulate import tabulate

from gtzan_lightning.results.rows import Row, learnt_before
from gtzan_lightning.results.tables import Table, chosen_on


def headline(tables: Sequence[Table]) -> str:
    """Markdown of the tables of one protocol's valid and test part, a line for each model.

    Of its recipes and precisions on one kind of picture the one that opened the test part, else the
    best on valid songs; those that kept the last epoch count apart. The best on valid songs is
    first, as not every recipe opened the test part.
    """
    parts = {
        part: {_key(row): row for table in tables if table.part == part for row in table.rows}
        for part in ("test", "valid")
    }
    keys = sorted(
        parts["valid"] | parts["test"],
        key=lambda key: [-_accuracy(parts[part].get(key)) for part in ("valid", "test")],
    )
    keys = _one_each(keys, parts)
    lines = []
    for key in keys:
        test, valid = (parts[part].get(key) for part in ("test", "valid"))
        row = valid or test
        assert row is not None
        cells = row.cells()
        features, before = learnt_before(cells["features"])
        lines.append({
            "model": cells["model"],
            "learnt before from": before or "nothing",
            "features": features,
            f"test, n = {_n(parts['test'])}": _score(test),
            f"valid, n = {_n(parts['valid'])}": _score(valid),
            "seeds": cells["seeds"],
            "parameters": cells["parameters"],
            "minutes": cells["minutes"],
            "precision": cells["precision"],
        })  # fmt: skip
    body = tabulate(lines, headers="keys", tablefmt="pipe", disable_numparse=True)
    rows = [row for table in tables for row in table.rows]
    return "\n".join([body, "", *chosen_on(rows)]).rstrip()


def measured(tables: Sequence[Table], recipe: str) -> list[str]:
    """Comment lines of a recipe file: what runs of the recipe scored.

    Args:
        recipe: its key.
    """
    lines = [line for one in sentences(tables, recipe) for line in wrap(one, 98)]
    return [f"# {line}" for line in lines]


def sentences(tables: Sequence[Table], recipe: str) -> list[str]:
    """What runs of a recipe scored, a sentence for each part and precision."""
    found = [
        _sentence(table, row)
        for table in tables
        for row in table.rows
        if row.recipe == recipe and row.accuracy is not None
    ]
    return found or ["Not measured yet."]


def _sentence(table: Table, row: Row) -> str:
    """Such as ``Measured on the test part of filtered, gtzan, n = 290: song accuracy 0.638 …``."""
    is_chosen = table.part == "valid" and bool(row.parameters) and not row.kept
    last = "" if row.last is None else f", the last has {row.last:.3f}"
    chosen = f"; best epoch chosen on these songs{last}" * is_chosen
    seeds = f"{row.seeds} seed{'s' * (row.seeds > 1)}"
    minutes = "" if row.minutes is None else f"{row.minutes:.1f} minutes"
    where = " on ".join(filter(None, (minutes, row.device)))
    words = ", ".join(filter(None, (seeds, row.precision, where)))
    return (
        f"Measured on the {table.part} part of {table.protocol}, {table.corpus}, n = {row.n}: song "
        f"accuracy {_score(row)} ({words}{chosen})."
    )


def _key(row: Row) -> tuple[str, str]:
    return row.recipe, row.precision


def _one_each(
    keys: list[tuple[str, str]], parts: dict[str, dict[tuple[str, str], Row]]
) -> list[tuple[str, str]]:
    """Of keys, the best first, one for each model and kind of picture."""
    chosen: dict[tuple[str, str], tuple[str, str]] = {}
    for key in keys:
        row = parts["valid"].get(key) or parts["test"][key]
        cells = row.cells()
        kind = (cells["model"], cells["features"])  # "small_cnn, last epoch" is another
        if kind not in chosen or (key in parts["test"] and chosen[kind] not in parts["test"]):
            chosen[kind] = key
    return [key for key in keys if key in chosen.values()]


def _accuracy(row: Row | None) -> float:
    return -1.0 if row is None or row.accuracy is None else row.accuracy


def _score(row: Row | None) -> str:
    """Such as ``0.638 [0.581, 0.691]``; an asterisk marks Wilson's interval."""
    if row is None or row.accuracy is None:
        return ""
    wilson = "*" * (row.artists is None)
    return f"{row.accuracy_text()} [{row.interval_text(', ')}]{wilson}"


def _n(rows: dict[tuple[str, str], Row]) -> str:
    return "/".join(str(n) for n in sorted({row.n for row in rows.values() if row.n}))
