"""The short table of the README: each model once, its test score beside that on valid songs."""

from collections.abc import Sequence

from tabulate import tabulate

from gtzan_lightning.results.rows import Row
from gtzan_lightning.results.tables import Table, chosen_on


def headline(tables: Sequence[Table]) -> str:
    """Markdown of the tables of one protocol's valid and test part, a line for each recipe.

    The best on valid songs is first, as not every recipe opened the test part.
    """
    parts = {
        part: {_key(row): row for table in tables if table.part == part for row in table.rows}
        for part in ("test", "valid")
    }
    keys = sorted(
        parts["valid"] | parts["test"],
        key=lambda key: [-_accuracy(parts[part].get(key)) for part in ("valid", "test")],
    )
    lines = []
    for key in keys:
        test, valid = (parts[part].get(key) for part in ("test", "valid"))
        row = valid or test
        assert row is not None
        cells = row.cells()
        lines.append({
            "model": cells["model"],
            "features": cells["features"],
            f"test, n = {_n(parts['test'])}": _score(test),
            f"valid, n = {_n(parts['valid'])}": _score(valid),
            "seeds": cells["seeds"],
            "parameters": cells["parameters"],
            "minutes": cells["minutes"],
            "device": cells["device"],
            "precision": cells["precision"],
        })  # fmt: skip
    body = tabulate(lines, headers="keys", tablefmt="pipe", disable_numparse=True)
    rows = [row for table in tables for row in table.rows]
    return "\n".join([body, "", *chosen_on(rows)]).rstrip()


def _key(row: Row) -> tuple[str, str]:
    return row.recipe, row.precision


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
