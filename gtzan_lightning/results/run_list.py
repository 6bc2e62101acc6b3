"""Recorded runs as a list, a row each."""

from datetime import UTC, datetime

import pandas as pd

from gtzan_lightning.recipe.command_line import SHORT
from gtzan_lightning.results.rows import marker


def cells(run: pd.Series) -> dict[str, str]:
    """Title -> text of each column of a list of runs."""
    names = ("model", "corpus", "protocol", "warning")
    words = [text if isinstance(text := run.get(name), str) else "" for name in names]
    model, corpus, protocol, warning = words
    kind = protocol.split(" ")[0].removesuffix(",")  # what it was drawn with is in other tables
    return {
        "model": (model or str(run["name"])) + (f" {marker(warning)}" if warning else ""),
        "run": run["run_id"][:SHORT],
        "songs": f"{corpus} {kind}".strip(),
        "song accuracy": _score(run),
        "status": {"FINISHED": "done"}.get(run["status"], run["status"].lower()),
        "age": _age(run),
    }


def _score(run: pd.Series) -> str:
    """Of the valid part, or of the test part where it was opened, with its interval."""
    for part, mark in (("test", "test "), ("valid", "")):
        value = run.get(f"final/{part}/song_accuracy")
        if value is not None and not pd.isna(value):
            ends = [run.get(f"final/{part}/song_accuracy_{end}") for end in ("low", "high")]
            known = [f"{end:.3f}" for end in ends if end is not None and not pd.isna(end)]
            return f"{mark}{value:.3f}" + (f" [{', '.join(known)}]" if known else "")
    return ""


def _age(run: pd.Series) -> str:
    seconds = (datetime.now(UTC) - run["began"]).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
