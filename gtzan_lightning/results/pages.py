"""What the documentation's pages quote of the ledger's models, by the names of their blocks."""

from collections.abc import Callable

import pandas as pd

from gtzan_lightning.results import by_genre, shares, together
from gtzan_lightning.results.headline import headline, sentences
from gtzan_lightning.results.rows import Reader
from gtzan_lightning.results.tables import Table, tables


def of_models(
    lines: pd.DataFrame, read: Reader, of_own: list[Table], ready: str
) -> dict[str, Callable[[], str]]:
    """Block -> what makes its Markdown.

    Args:
        lines: of the ledger; those of excerpts of songs share no table with those of pictures.
        of_own: ``own_tables`` of them.
        ready: recipe of the model that comes with the package.
    """
    excerpts, own = _of_excerpts(lines), _own(lines)
    folds = lines["protocol"].str.startswith("filtered_folds 5 ")
    of_ready = lines[own & (lines["recipe"] == ready)]
    return {
        "headline": lambda: headline(of_own),
        "models": lambda: _joined(of_own),
        "ready": lambda: "\n".join(f"- {s}" for s in sentences(of_own, ready)),
        "ready_genres": lambda: by_genre.markdown(
            together.runs_of(of_ready, read, "valid"), "valid"
        ),
        "folds": lambda: _joined(_left_out(lines[folds & ~excerpts], read)),
        "folds_together": lambda: together.markdown(lines[folds & ~excerpts], read, "test"),
        "together": lambda: together.markdown(lines[own & ~excerpts], read, "valid"),
        "excerpts": lambda: _joined(
            [*_left_out(lines[folds & excerpts], read), *tables(lines[own & excerpts], read)]
        ),
        "excerpts_together": lambda: together.markdown(lines[own & excerpts], read, "valid"),
        "shares": lambda: shares.markdown(shares.shares(lines[~excerpts], read)),
        "apart": lambda: shares.apart(lines[~excerpts], read),
    }


def own_tables(lines: pd.DataFrame, read: Reader) -> list[Table]:
    """Tables of the models' own recipes, and of recipes of no source, on ``filtered``."""
    return tables(lines[_own(lines) & ~_of_excerpts(lines)], read)


def _own(lines: pd.DataFrame) -> pd.Series:
    return (lines["protocol"] == "filtered") & lines["form"].str.contains(r"\bown$|^$")


def _of_excerpts(lines: pd.DataFrame) -> pd.Series:
    return lines["corpus"] == "gtzan"  # pictures are called otherwise


def _left_out(lines: pd.DataFrame, read: Reader) -> list[Table]:
    """Of folds, tables of the songs that each left out."""
    return [table for table in tables(lines, read) if table.part == "test"]


def _joined(of_lines: list[Table]) -> str:
    return "\n\n".join(table.markdown(with_runs=False) for table in of_lines) or "Not measured yet."
