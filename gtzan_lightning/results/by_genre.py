"""What a system makes of each genre, over its seeds."""

import pandas as pd
from tabulate import tabulate

from gtzan_lightning.results.ensemble import Runs
from gtzan_lightning.results.predictions import predicted, vote


def markdown(runs: Runs, part: str) -> str:
    """A row for each genre: its songs, the share that is right, and what the others are taken for.

    Args:
        runs: predictions of a system by seed and fold.
    """
    voted = []
    for table in runs.values():
        songs = vote(table[table["part"] == part])
        voted.append(songs[["genre"]].assign(said=predicted(songs)))
    if not voted:
        return "Not measured yet."
    answers = pd.concat(voted)
    rows = []
    for genre, own in answers.groupby("genre"):
        wrong = own.loc[own["said"] != genre, "said"].value_counts() / len(own)
        often = ", ".join(f"{name} {share:.2f}" for name, share in wrong.head(3).items())
        right = (own["said"] == genre).mean()
        rows.append([genre, round(len(own) / len(voted)), f"{right:.2f}", often])
    headers = ["genre", "songs", "right", "most often taken for"]
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)
