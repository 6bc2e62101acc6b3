"""Comparison tables as one HTML page that needs no network, and as LaTeX.

The page holds its own style and script: tables sort on a click, intervals are drawn, learning
curves and confusion matrices fold out.
"""

from collections.abc import Callable, Sequence
from html import escape

import numpy as np
import pandas as pd

from gtzan_lightning.results.predictions import confusion, genre_columns
from gtzan_lightning.results.tables import Table

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2")
HIDDEN = ["runs"]
History = list[tuple[int, float]]

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:78rem;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.5rem 0}th,td{padding:.25rem .6rem;text-align:right}
td{white-space:nowrap}
th:first-child,td:first-child{text-align:left}thead th{border-bottom:2px solid #444;cursor:pointer}
tbody tr:hover{background:#f2f5fa}.matrix td{width:2.1rem;text-align:center;padding:.15rem}
.matrix th{font-weight:normal;cursor:auto;border:0}summary{cursor:pointer;margin:.6rem 0}
.remark{color:#a33}figure{display:inline-block;margin:.5rem 1.5rem .5rem 0;vertical-align:top}
"""
_SCRIPT = """
for (const head of document.querySelectorAll('table.sortable th')) head.onclick = () => {
  const body = head.closest('table').tBodies[0], column = head.cellIndex;
  const key = row => { const cell = row.cells[column];
    const n = parseFloat((cell.dataset.value || cell.textContent).replaceAll(',', ''));
    return isNaN(n) ? cell.textContent : n; };
  const down = head.dataset.down !== 'yes';
  head.dataset.down = down ? 'yes' : 'no';
  const rows = [...body.rows].sort((a, b) => {
    const x = key(a), y = key(b);
    const kind = (typeof x === 'number') - (typeof y === 'number');
    const order = kind || (x < y ? -1 : x > y ? 1 : 0);
    return down ? -order : order; });
  body.append(...rows);
};
"""


def html(
    tables: Sequence[Table],
    predictions: Callable[[str], pd.DataFrame | None],
    history: Callable[[str], History],
) -> str:
    """The page as text.

    Args:
        predictions: run id -> its predictions, or None.
        history: run id -> (step, validation song accuracy) of its epochs.
    """
    parts = [_section(table, predictions, history) for table in tables]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Comparison of runs</title><style>{_STYLE}</style></head><body>"
        "<h1>Comparison of runs</h1>"
        "<p>Song accuracy with Wilson's 95 % interval of the songs; ± is the standard deviation "
        "over seeds. Click a heading to sort.</p>"
        f"{''.join(parts)}<script>{_SCRIPT}</script></body></html>\n"
    )


def latex(tables: Sequence[Table]) -> str:
    """A booktabs table for each comparison (``\\usepackage{booktabs}``)."""
    made = []
    for table in tables:
        style = table.rows.drop(columns=HIDDEN).style.hide(axis="index").format(escape="latex")
        style = style.format_index(escape="latex", axis=1)
        made.append(
            style.to_latex(
                hrules=True, caption=_latex_text(table.title + "."), position_float="centering"
            )
        )
    return "\n".join(made)


def _latex_text(text: str) -> str:
    for sign in "&%$#_{}":
        text = text.replace(sign, f"\\{sign}")
    return text


def _section(
    table: Table,
    predictions: Callable[[str], pd.DataFrame | None],
    history: Callable[[str], History],
) -> str:
    part = table.title.split()[-2]
    rows = table.rows.drop(columns=HIDDEN)
    heads = "".join(f"<th>{escape(str(name))}</th>" for name in rows.columns)
    lines = [_row(row) for _, row in rows.iterrows()]
    remarks = "".join(f'<p class="remark">{escape(remark)}</p>' for remark in table.remarks)
    curves, matrices = [], []
    for (_, row), colour in zip(table.rows.iterrows(), COLOURS * len(table.rows), strict=False):
        name = f"{row['model']} ({row['recipe']})"
        for run in sorted(row["runs"]):
            points = history(run)
            if len(points) > 1:
                curves.append((name, colour, points))
        found = next((p for p in map(predictions, sorted(row["runs"])) if p is not None), None)
        if found is not None and (found["part"] == part).any():
            matrices.append(_matrix(name, found, part))
    folded = ""
    if curves:
        folded += f"<details><summary>learning curves</summary>{_curves(curves)}</details>"
    if matrices:
        folded += (
            "<details><summary>confusion matrices (songs of a genre, row, heard as another, "
            f"column; the first run of each recipe)</summary>{''.join(matrices)}</details>"
        )
    return (
        f"<h2>{escape(table.title)}</h2>{remarks}"
        f'<table class="sortable"><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody>'
        f"</table>{folded}"
    )


def _row(row: pd.Series) -> str:
    cells = []
    for name, value in row.items():
        text, extra = escape(str(value)), ""
        if name == "95 % interval" and "-" in str(value):
            low, high = (float(end) for end in str(value).split("-"))
            middle = float(str(row["song accuracy"]).split(" ")[0])
            text = f"{_interval(low, middle, high)} {text}"
            extra = f' data-value="{low}"'
        cells.append(f"<td{extra}>{text}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _interval(low: float, middle: float, high: float) -> str:
    """A line from low to high with a dot, on an axis from 0 to 1."""
    x = [round(2 + 116 * value, 1) for value in (low, middle, high)]
    return (
        '<svg width="120" height="14" role="img"><line x1="2" x2="118" y1="7" y2="7" '
        f'stroke="#ddd"/><line x1="{x[0]}" x2="{x[2]}" y1="7" y2="7" stroke="#1f77b4" '
        f'stroke-width="3"/><circle cx="{x[1]}" cy="7" r="4" fill="#1f77b4"/></svg>'
    )


def _curves(curves: Sequence[tuple[str, str, History]]) -> str:
    width, height = 640, 300
    lines, names = [], {}
    for name, colour, points in curves:
        names[name] = colour
        last = len(points) - 1
        places = " ".join(
            f"{40 + (width - 50) * n / last:.1f},{height - 25 - (height - 35) * value:.1f}"
            for n, (_, value) in enumerate(points)
        )
        lines.append(f'<polyline fill="none" stroke="{colour}" points="{places}"/>')
    ticks = "".join(
        f'<text x="4" y="{height - 21 - (height - 35) * share:.0f}" font-size="12">{share}</text>'
        f'<line x1="40" x2="{width - 10}" y1="{height - 25 - (height - 35) * share:.0f}" '
        f'y2="{height - 25 - (height - 35) * share:.0f}" stroke="#eee"/>'
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    legend = "".join(
        f'<div><span style="color:{colour}">&#9632;</span> {escape(name)}</div>'
        for name, colour in names.items()
    )
    return (
        f'<figure><svg width="{width}" height="{height}">{ticks}{"".join(lines)}'
        f'<text x="{width / 2:.0f}" y="{height - 4}" font-size="12">share of the training</text>'
        f"</svg><figcaption>validation song accuracy of every run{legend}</figcaption></figure>"
    )


def _matrix(name: str, predictions: pd.DataFrame, part: str) -> str:
    counts = confusion(predictions, part)
    genres = genre_columns(predictions)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    heads = "".join(f'<th title="{escape(g)}">{escape(g[:3])}</th>' for g in genres)
    lines = []
    for y, genre in enumerate(genres):
        cells = "".join(
            f'<td style="background:rgba(31,119,180,{share[y, x]:.2f})">{counts[y, x] or ""}</td>'
            for x in range(len(genres))
        )
        lines.append(f"<tr><th>{escape(genre)}</th>{cells}</tr>")
    return (
        f'<figure><figcaption>{escape(name)}</figcaption><table class="matrix"><thead><tr><th></th>'
        f"{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></figure>"
    )
