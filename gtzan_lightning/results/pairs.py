"""Comparisons of systems as LaTeX and as a page; ``significance`` makes them."""

import re
from collections.abc import Sequence
from html import escape

import pandas as pd

from gtzan_lightning.results.significance import Pair

STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}"
    "table{border-collapse:collapse}th,td{padding:.3rem .7rem;text-align:right;border:0}"
    "thead{border-bottom:2px solid #444}"
)


def table_of(pairs: Sequence[Pair]) -> pd.DataFrame:
    """A row for each pair: texts, as a reader wants them."""
    return pd.DataFrame([
        {
            "system": pair.first,
            "other": pair.second,
            "songs": str(pair.songs),
            "artists": "unknown" if pair.artists is None else str(pair.artists),
            "difference": f"{pair.difference:+.3f}",
            "interval": f"{pair.low:+.3f} to {pair.high:+.3f} ({pair.level:.3g} %)",
            "p, sign flips": pair.p_text,
            "p, McNemar": pair.mcnemar_text,
            "verdict": "apart" if pair.apart else f"not apart (visible from {pair.visible:.3f})",
        }
        for pair in pairs
    ])  # fmt: skip


def latex_of(pairs: Sequence[Pair], where: str) -> str:
    """A booktabs table. Args: where: what the systems were measured on, its caption."""
    table = table_of(pairs)
    style = table.style.hide(axis="index").format(escape="latex").format_index(
        escape="latex", axis=1
    )  # fmt: skip
    caption = re.sub(r"([&%$#_{}])", r"\\\1", f"Differences of song accuracy, {where}.")
    return style.to_latex(
        hrules=True, caption=caption, position_float="centering",
        column_format="ll" + "r" * (len(table.columns) - 3) + "l",
    )  # fmt: skip


def html_of(pairs: Sequence[Pair], where: str) -> str:
    """A page. Args: where: what the systems were measured on."""
    sentences = "".join(f"<p>{escape(pair.sentence())}</p>" for pair in pairs)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Comparison of systems</title><style>{STYLE}</style></head><body>"
        f"<h1>Comparison of systems</h1><p>Measured on {escape(where)}.</p>"
        f"{table_of(pairs).to_html(index=False, border=0)}{sentences}</body></html>\n"
    )
