import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from conftest import run

from gtzan_lightning.results import latex
from gtzan_lightning.results.significance import of_run, pairs
from gtzan_lightning.results.tables import tables

PREAMBLE = r"\documentclass[twocolumn]{article}\usepackage{booktabs,graphicx}\begin{document}"


def table():
    scores = {"final/test/song_accuracy": 0.65}
    runs = [
        run("a"), run("b", seed="1", **scores), run("c", recipe="r2", model="a_b{c}~<d>\\e & #1 $"),
        run("d", recipe="r3", warning="LEAKY PROTOCOL: 100 % of songs", commit="0123456789"),
    ]  # fmt: skip
    (made,) = tables(pd.DataFrame(runs))
    return latex.of_table(made)


def comparison():
    def answers(right):
        rows = [("test", f"s{n}", 0.0, "jazz", r, 1 - r) for n, r in enumerate(right)]
        columns = ["part", "song", "start", "genre", "jazz", "rock"]
        return pd.DataFrame(rows, columns=columns)

    good = np.where(np.arange(60) % 10, 0.9, 0.1)
    bad = np.where(np.arange(60) % 3, 0.2, 0.8)
    systems = [of_run("a_b", answers(good), "test"), of_run("c", answers(bad), "test")]
    return latex.of_pairs(pairs(systems), "the test part of gtzan, 5 % left out")


def test_a_row_has_few_columns_and_the_caption_what_rows_share():
    made = table()
    assert r"\toprule" in made
    assert made.count(" & ") == made.count(r" \\") * 4  # model, seeds, accuracy, interval, F1
    assert "n = 290." in made
    assert (
        r"small\_cnn & 2 & 0.625 {\scriptsize $\pm$ 0.035} & {\scriptsize [0.568, 0.679]}" in made
    )
    assert r"LEAKY PROTOCOL: 100 \% of songs" in made
    assert r"small\_cnn LEAKY" in made
    assert "% recipe r3, commit 0123456" in made
    rows = [line.partition(" % ")[0] for line in made.splitlines() if r"small\_cnn" in line]
    shown = [re.sub(r"\\scriptsize|\\pm|[${}\\&]", "", row) for row in rows]
    assert max(map(len, shown)) < 55  # characters of eight points in 3.3 inches


def test_differences_that_are_told_apart_are_bold():
    made = comparison()
    assert r"a\_b $-$ c & $\mathbf{+0.567}$" in made
    assert r"\cdot\!10^{-" in made
    assert r"5 \% left out" in made


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex on this machine")
def test_it_compiles_within_a_column(tmp_path):
    text = "\n".join([PREAMBLE, table(), comparison(), r"\end{document}"])
    (tmp_path / "article.tex").write_text(text)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "article.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
