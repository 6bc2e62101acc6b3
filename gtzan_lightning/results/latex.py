r"""Comparisons as LaTeX that fits the column of a two-column article (3.3 inches).

``\usepackage{booktabs,graphicx}``. Only what an article's reader needs is a column; what all rows
share is said in the caption, and recipe and commit of each row stand behind it as a comment. A
table that is still too wide is scaled down.
"""

import re
from collections.abc import Sequence

from gtzan_lightning.results.rows import Row
from gtzan_lightning.results.significance import Pair
from gtzan_lightning.results.tables import Table

Line = dict[str, str]
POWER = r"\1\\!\\cdot\\!10^{-\2}"
SHARED = ("n", "seeds")  # columns that go to the caption where all rows have one value
SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": "$<$", ">": "$>$", **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip


def of_table(table: Table) -> str:
    """A table of runs, the best recipe first."""
    lines = [_line(row) for row in table.rows]
    shared = [name for name in SHARED if len({line[name] for line in lines}) == 1]
    told = "; ".join(f"{name} = {lines[0][name]}" for name in shared if lines[0][name])
    kept = [{n: text for n, text in line.items() if n not in shared} for line in lines]
    comments = [f"recipe {row.recipe}, commit {row.commit or 'unknown'}" for row in table.rows]
    caption = [f"C{table.title[1:]}.", *([f"{told}."] if told else []), *table.remarks]
    small = " Small: 95~\\% interval."
    return _tabular(_filled(kept), comments, _escaped(" ".join(caption)) + small)


def of_pairs(pairs: Sequence[Pair], where: str) -> str:
    """Systems against one another. Args: where: what they were measured on, for the caption."""
    lines = [
        {
            "Systems": _escaped(f"{pair.first} - {pair.second}").replace(" - ", " $-$ "),
            r"$\Delta$": _signed(pair.difference, bold=pair.apart),
            "interval": _small(f"{_signed(pair.low)}, {_signed(pair.high)}"),
            "$p$ flips": _power(pair.p_text),
            "$p$ McNemar": _power(pair.mcnemar_text),
        }
        for pair in pairs
    ]
    comments = [pair.sentence() for pair in pairs]
    levels = ", ".join(sorted({f"{pair.level:.3g}" for pair in pairs}))
    caption = (
        f"Differences of song accuracy, {where}; {levels} % intervals, p of sign flips by artist "
        "and of McNemar's test."
    )
    return _tabular(lines, comments, _escaped(caption) + " Bold: told apart.")


def _line(row: Row) -> Line:
    cells = row.cells()
    mean, _, spread = cells["song accuracy"].partition(" ± ")
    ends = row.interval_text(", ")
    return {
        "Model": _escaped(cells["model"]),
        "n": cells["n"],
        "seeds": cells["seeds"],
        "folds": cells["folds"],
        "Accuracy": mean + (f" {{\\scriptsize $\\pm$ {spread}}}" if spread else ""),
        "interval": _small(ends) if ends else "",
        "F1": cells["macro F1"],
    }


def _filled(lines: Sequence[Line]) -> list[Line]:
    """Without the columns that are empty everywhere."""
    names = [name for name in lines[0] if any(line[name] for line in lines)]
    return [{name: line[name] for name in names} for line in lines]


def _tabular(lines: Sequence[Line], comments: Sequence[str], caption: str) -> str:
    """Lines whose texts are LaTeX, each with a comment behind it."""
    columns = list(lines[0])
    heads = ["" if name == "interval" else name for name in columns]  # the caption names it
    rows = [
        f"{' & '.join(line.values())} \\\\ % {' '.join(comment.split())}"
        for line, comment in zip(lines, comments, strict=True)
    ]
    body = [
        "\\begin{table}", "\\centering", "\\footnotesize", "\\setlength{\\tabcolsep}{3pt}",
        f"\\caption{{{caption}}}",
        "\\resizebox{\\ifdim\\width>\\columnwidth\\columnwidth\\else\\width\\fi}{!}{%",
        f"\\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}", "\\toprule",
        " & ".join(heads) + " \\\\", "\\midrule", *rows, "\\bottomrule", "\\end{tabular}}",
        "\\end{table}",
    ]  # fmt: skip
    return "\n".join(body) + "\n"


def _small(text: str) -> str:
    return f"{{\\scriptsize [{text}]}}"


def _power(p: str) -> str:
    """Such as "= 0.0312" or "< 1e-4"."""
    return f"${re.sub(r'([0-9.]+)e-0?([0-9]+)', POWER, p.removeprefix('= '))}$"


def _signed(number: float, bold: bool = False) -> str:
    text = f"{number:+.3f}"
    return f"$\\mathbf{{{text}}}$" if bold else f"${text}$"


def _escaped(text: str) -> str:
    return "".join(SPECIAL.get(sign, sign) for sign in text)
