"""Rules on a feature table: columns that tell the genre without music."""

from collections.abc import Sequence

import pandas as pd

from gtzan_lightning.audit.findings import Example, Finding
from gtzan_lightning.data.telltale import tell_tale_columns


def tell_tale(table: pd.DataFrame, genres: Sequence[str]) -> list[Finding]:
    """Columns that number the rows, have no name, repeat the label, or tell it alone.

    Args:
        table: a row for each song or clip.
        genres: the genre of each row.
    """
    reasons = tell_tale_columns(table, genres)
    if not reasons:
        return []
    examples = tuple(Example((name or "(no name)",), why) for name, why in reasons.items())
    sentence = f"{len(reasons)} of {table.shape[1]} columns tell the genre without music"
    return [Finding("column", "leak", sentence, examples, len(reasons))]
