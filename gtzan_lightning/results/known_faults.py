"""What GTZAN's faults do to a score: three counts of a part; songs that most runs get wrong.

Which songs are faulty is told by the caller; ``data.catalogue`` knows it of GTZAN.
"""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass

import pandas as pd
from tabulate import tabulate

from gtzan_lightning.results.predictions import predicted, vote

# a perfect system's accuracy on all songs, because of mislabelled ones (Sturm, arXiv:1306.1461)
CEILING = 0.945


def three_counts(
    predictions: pd.DataFrame, part: str, fault: Callable[[str], str], filtered: Set[str]
) -> dict[str, float]:
    """Song accuracy and number of songs without known faults, and of those in ``filtered``.

    Args:
        fault: song id -> its known fault, or "".
    """
    songs = vote(predictions[predictions["part"] == part])
    right = pd.Series(songs["genre"] == predicted(songs)).astype(float)
    values: dict[str, float] = {}
    kept = {
        "without_faults": songs["song"].map(fault) == "",
        "filtered": songs["song"].isin(filtered),
    }
    for name, rows in kept.items():
        values[f"songs_{name}"] = int(rows.sum())
        if rows.any():
            values[f"song_accuracy_{name}"] = float(right[rows].mean())
    return values


def sentence(scores: Mapping[str, float]) -> str:
    """The three counts in a line, and a second one above Sturm's ceiling; "" without counts."""
    if "songs_filtered" not in scores:
        return ""
    names = {"without_faults": "without known faults", "filtered": "of the fault-filtered lists"}
    counts = [
        f"{scores[f'song_accuracy_{name}']:.3f} ({scores[f'songs_{name}']:.0f} songs {words})"
        for name, words in names.items()
        if scores[f"songs_{name}"]
    ]
    line = f"all songs {scores['song_accuracy']:.3f} ({scores['songs']:.0f}), {', '.join(counts)}"
    if scores["song_accuracy"] <= CEILING:
        return line
    return (
        f"{line}\nWARNING: above {100 * CEILING:g} %, what a perfect system would get on all "
        "songs of GTZAN, some of whose genres are wrong (Sturm, arXiv:1306.1461): it learnt the "
        "faults, or a leak"
    )


@dataclass(frozen=True)
class HardSongs:
    """Songs that most runs get wrong, the hardest first.

    Attributes:
        table: song, genre, runs that tested it, share of them that is wrong, what most of these
            answered, known fault ("" where none is known).
        runs: that were counted.
        songs: that any of them tested.
        faulty: of those songs, how many have a known fault.
    """

    table: pd.DataFrame
    runs: int
    songs: int
    faulty: int

    def text(self) -> str:
        """The table, and whether these songs are faulty more often than the others."""
        known = int((self.table["known fault"] != "").sum())
        hard, others = len(self.table), self.songs - len(self.table)
        shown = self.table.replace({"known fault": {"": "none known"}})
        lines = [
            f"{hard} of {self.songs} songs are wrong in most of their runs ({self.runs} runs); "
            f"{known} of these {hard} and {self.faulty - known} of the {others} others have a "
            "known fault"
        ]
        if hard:
            cells = shown.to_dict("list")
            lines.append(tabulate(cells, headers="keys", tablefmt="github", floatfmt=".2f"))
        return "\n\n".join(lines)


def hard_songs(runs: Iterable[pd.DataFrame], fault: Callable[[str], str]) -> HardSongs:
    """Songs that more than half of the runs that tested them got wrong, by the headline vote.

    Args:
        runs: each the valid and test predictions of one run.
        fault: song id -> its known fault, or "".
    """
    answers = [
        songs[["song", "genre"]].assign(answer=predicted(songs), run=number)
        for number, table in enumerate(runs)
        for songs in (
            vote(of_part) for _, of_part in table[table["part"] != "train"].groupby("part")
        )
    ]
    told = pd.concat(answers, ignore_index=True)
    rows = []
    for (song, genre), of_song in told.groupby(["song", "genre"]):
        wrong = of_song["answer"][of_song["answer"] != genre]
        if 2 * len(wrong) > len(of_song):
            share, most = len(wrong) / len(of_song), wrong.mode().iloc[0]
            rows.append((song, genre, len(of_song), share, most, fault(str(song))))
    names = ["song", "genre", "runs", "share wrong", "most frequent answer", "known fault"]
    table = pd.DataFrame(rows, columns=names)
    table = table.sort_values(["share wrong", "runs", "song"], ascending=[False, False, True])
    tested = told["song"].unique()
    faulty = sum(bool(fault(song)) for song in tested)
    return HardSongs(table.reset_index(drop=True), told["run"].nunique(), len(tested), faulty)
