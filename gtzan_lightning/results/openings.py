"""How often a test part was opened, and what the best of so many tries is worth."""

import numpy as np
import pandas as pd

from gtzan_lightning.results.rows import Reader, column, latest


def is_closed(protocol: str) -> bool:
    """Whether what a protocol tests is a closed part: not where it serves to choose models."""
    return not protocol.startswith("filtered_folds") and "CONTROL training_songs" not in protocol


def part_words(part: str, protocol: str) -> str:
    """What a table calls a part, such as "test part"."""
    if part == "test" and not is_closed(protocol):
        return "training songs" if "CONTROL" in protocol else "folds left out"
    return f"{part} part"


def openings_of(
    key: tuple[str, str, str], runs: pd.DataFrame, ledger: pd.DataFrame | None
) -> pd.DataFrame:
    """Model and recipe of each opening of the same test songs.

    Args:
        key: corpus, fingerprint of its songs, protocol.
        runs: those of them that are here; one that the ledger lacks, as of before there was one,
            opened its test part once.
        ledger: as ``tracking.reading.openings`` lists it.
    """
    known = pd.DataFrame(columns=["model", "recipe", "run"])
    if ledger is not None and len(ledger):
        of = zip(("corpus", "songs_fingerprint", "protocol"), key, strict=True)
        known = ledger[np.logical_and.reduce([ledger[name] == value for name, value in of])]
    tested = runs[column(runs, "final/test/songs") > 0]
    older = tested[~tested["run_id"].isin(known["run"])]
    return pd.concat([known[["model", "recipe"]], older[["model", "recipe"]]])


def luck_of(alike: list[pd.DataFrame], part: str, read: Reader | None) -> float | None:
    """How far the best of several rows stands above their mean if all are equally good.

    Args:
        alike: the runs of each row.

    Returns:
        None where predictions can't be read, or there are no two rows.
    """
    done = [latest(runs[runs["status"] == "FINISHED"]) for runs in alike]
    done = [runs for runs in done if len(runs)]
    if read is None or len(done) < 2:
        return None
    from gtzan_lightning.results.predictions import luck_of_best  # scikit-learn takes a second

    systems = [
        [[read(run) for run in of_seed["run_id"]] for _, of_seed in runs.groupby("seed")]
        for runs in done
    ]
    if any(table is None for seeds in systems for folds in seeds for table in folds):
        return None
    return luck_of_best([[pd.concat(folds) for folds in seeds] for seeds in systems], part)
