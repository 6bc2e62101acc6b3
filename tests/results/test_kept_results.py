"""The rows of docs/results.csv follow from the predictions that docs/results/ keeps."""

from pathlib import Path

import pandas as pd
import pytest

from gtzan_lightning.results.predictions import pooled_scores, scores
from gtzan_lightning.results.tables import read_csv

DOCS = Path(__file__).parent.parent.parent / "docs"
KEPT = sorted({file.name.split("-")[0] for file in (DOCS / "results").glob("*.csv.gz")})
ROWS = {row.recipe: row for row in read_csv(DOCS / "results.csv").rows}


@pytest.mark.parametrize("recipe", KEPT)
def test_a_row_follows_from_its_predictions(recipe):
    row = ROWS[recipe]
    seeds = [pd.read_csv(file) for file in sorted((DOCS / "results").glob(f"{recipe}-*.csv.gz"))]
    assert row.seeds == len(seeds)
    alone = [scores(table, "valid") for table in seeds]
    accuracy = sum(of_seed["song_accuracy"] for of_seed in alone) / len(alone)
    assert (row.n, row.accuracy) == (alone[0]["songs"], pytest.approx(accuracy, abs=1e-4))
    pooled = pooled_scores(seeds, "valid")
    for name in ("low", "high", "f1", "auroc", "artists"):
        assert getattr(row, name) == pytest.approx(pooled[name], abs=1e-3), name
    assert row.wilson_low == pytest.approx(alone[0]["song_accuracy_wilson_low"], abs=0.02)


def test_rows_without_predictions_claim_no_artists():
    assert set(KEPT) == {row.recipe for row in ROWS.values() if row.artists is not None}
