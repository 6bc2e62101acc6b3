"""Columns of a feature table that tell the genre without music, such as the number of a row."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.tree import DecisionTreeClassifier

TOO_GOOD = 0.4  # points above chance that one number can't know of music: GTZAN's best has 0.2
LARGEST = 1e38  # a tree takes float32, and the logarithm of 0 is infinite
FOLDS = 5
LABELS = ("genre", "label")  # columns that may name the genre


def tell_tale_columns(table: pd.DataFrame, genres: Sequence[str]) -> dict[str, str]:
    """Columns that number the rows, have no name, repeat the label or tell it alone -> why.

    Args:
        table: a row for each song, in the order of the file.
        genres: the genre of each row.
    """
    target = np.array(genres)
    reasons = {
        str(name): _reason(table[name], str(name), target)
        for name in table.columns
        if str(name).lower() not in LABELS
    }
    return {name: reason for name, reason in reasons.items() if reason}


def _reason(column: pd.Series, name: str, target: np.ndarray) -> str:
    """Why a column is no feature; empty for one that is."""
    if not pd.api.types.is_numeric_dtype(column):
        is_label = column.nunique() > 1 and column.nunique() == len(
            set(zip(column, target, strict=True))
        )
        return "repeats the label" if is_label and column.nunique() <= len(set(target)) else ""
    values = np.nan_to_num(column.to_numpy(float), nan=0).clip(-LARGEST, LARGEST)
    steps = np.diff(values)
    if len(values) > 2 and steps.any() and np.ptp(steps) == 0:
        return "numbers the rows"
    if name == "" or name.startswith("Unnamed:"):
        return "has no name"
    above = _accuracy(values, target) - max(Counter(target).values()) / len(target)
    return f"alone {100 * above:.0f} points above chance" if above > TOO_GOOD else ""


def _accuracy(values: np.ndarray, target: np.ndarray) -> float:
    """Cross-validated accuracy of a tree that sees one column."""
    if min(Counter(target).values()) < FOLDS or len(set(target)) < 2:
        return 0.0
    tree = DecisionTreeClassifier(min_samples_leaf=5, random_state=0)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    return float(cross_val_score(tree, values[:, None], target, cv=folds).mean())
