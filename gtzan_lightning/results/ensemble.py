"""Several systems that vote together: the mean of their songs' log-probabilities."""

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from gtzan_lightning.errors import UserError
from gtzan_lightning.results.predictions import genre_columns, vote

Runs = Mapping[tuple[str, str], pd.DataFrame]  # seed and fold -> predictions


def ensemble(members: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Predictions of runs on the same songs -> those of all together, a row for each song.

    Clips need not be the same: each member gives a song's headline vote, of one weight.

    Raises:
        UserError: members know other genres, or have other songs in a part.
    """
    if any(genre_columns(member) != genre_columns(members[0]) for member in members):
        raise UserError("an ensemble's systems know other genres than one another")
    parts = reduce(np.intersect1d, [member["part"].unique() for member in members])
    return pd.concat([_of_part(members, part) for part in parts], ignore_index=True)


def shared_runs(systems: Sequence[Runs]) -> Runs:
    """The ensemble of each seed and fold that all systems have. Raises as ``ensemble`` does."""
    shared = [key for key in systems[0] if all(key in runs for runs in systems)]
    return {key: ensemble([runs[key] for runs in systems]) for key in shared}


def of_systems(systems: Sequence[Runs]) -> Runs:
    """The ensembles of ``shared_runs``.

    Raises:
        UserError: there is none.
    """
    voted = shared_runs(systems)
    if not voted:
        raise UserError("an ensemble's systems have no seed and fold in common")
    return voted


def _of_part(members: Sequence[pd.DataFrame], part: str) -> pd.DataFrame:
    genres, first = genre_columns(members[0]), members[0]
    voted = [vote(m[m["part"] == part]).set_index(["song", "genre"])[genres] for m in members]
    if any(set(one.index) != set(voted[0].index) for one in voted):
        raise UserError(f"an ensemble's systems have other songs in the {part} part: {part}")
    mean = sum(log_softmax(one.loc[voted[0].index].to_numpy(), 1) for one in voted) / len(voted)
    table = voted[0].index.to_frame(index=False).assign(part=part, start=0.0)
    table[genres] = log_softmax(mean, 1)
    if "artist" in first:
        table["artist"] = table["song"].map(first.groupby("song")["artist"].first())
    return table[[column for column in first.columns if column in table]]
