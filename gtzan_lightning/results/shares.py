"""What more training songs are worth: scores of systems trained on shares of a protocol's songs."""

from dataclasses import dataclass

import pandas as pd
from tabulate import tabulate

from gtzan_lightning.results.intervals import wilson
from gtzan_lightning.results.rows import Reader
from gtzan_lightning.results.together import accuracy, runs_of

PROTOCOL = "filtered"


@dataclass(frozen=True)
class Share:
    """Song accuracy of a system that was trained on so many songs, with its 95 % interval."""

    songs: int
    accuracy: float
    low: float
    high: float
    seeds: int


def shares(lines: pd.DataFrame, read: Reader) -> dict[str, list[Share]]:
    """System -> its scores on valid songs, from the fewest training songs to the most.

    Of the ledger's lines those of ``PROTOCOL``, whole or with ``data.train_share``; systems that
    were trained on one number of songs are left out.
    """
    protocol = lines["protocol"]
    own = lines[(protocol == PROTOCOL) | protocol.str.startswith(f"{PROTOCOL}, train ")]
    own = own[own["songs"].str.startswith("train ")]  # lines of lost runs do not say
    sizes = own["songs"].str.extract(r"train (\d+)")[0].astype(int)
    systems: dict[str, list[Share]] = {}
    named = own["model"] + ": " + own["features"]
    for name, of_system in own.groupby(named):
        runs = of_system.groupby(sizes[of_system.index])
        if len(runs) < 2:
            continue
        systems[str(name)] = [_share(int(str(size)), group, read) for size, group in runs]
    return systems


def markdown(systems: dict[str, list[Share]]) -> str:
    """A row for each system, a column for each number of training songs."""
    sizes = sorted({share.songs for of_system in systems.values() for share in of_system})
    rows = []
    for name, of_system in systems.items():
        cells = {share.songs: _cell(share) for share in of_system}
        rows.append([name, *(cells.get(size, "") for size in sizes)])
    headers = ["system", *(f"{size} songs" for size in sizes)]
    if not rows:
        return "Not measured yet."
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)


def _share(songs: int, runs: pd.DataFrame, read: Reader) -> Share:
    """Of all seeds of a recipe, as ``runs_of`` chooses it."""
    kept = runs_of(runs, read, "valid")
    if kept:
        own = accuracy(kept, "valid")
        return Share(songs, own.accuracy, own.low, own.high, len(kept))
    for column in ("recipe", "precision"):
        runs = runs[runs[column] == runs[column].iloc[0]]
    share = float(runs["final/valid/song_accuracy"].mean())
    return Share(songs, share, *wilson(share, int(runs["final/valid/songs"].iloc[0])), len(runs))


def _cell(share: Share) -> str:
    seeds = f", {share.seeds} seeds" if share.seeds > 1 else ""
    return f"{share.accuracy:.3f} [{share.low:.3f}, {share.high:.3f}]{seeds}"
