"""What each defect of a source was worth: our runs with it and without it, on the same songs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gtzan_lightning.results.by_artist import artist_of, clusters, resampled
from gtzan_lightning.results.predictions import predicted, vote
from gtzan_lightning.results.reproductions import System, key, measured, systems
from gtzan_lightning.results.rows import Reader

Score = Callable[[pd.DataFrame], pd.Series]  # clips of a part -> song -> share that is right


@dataclass(frozen=True)
class Answers:
    """Song -> share of a recipe's runs that got it right, and the song's artist ("" unknown)."""

    right: pd.Series
    artists: pd.Series

    def on(self, songs: pd.Index) -> "Answers":
        """Of some of the songs."""
        return Answers(self.right.reindex(songs), self.artists.reindex(songs))

    def text(self) -> str:
        """Such as ``0.612``."""
        return f"{self.right.mean():.3f}"


def song_vote(clips: pd.DataFrame) -> pd.Series:
    """The headline: clips vote by their mean log-probability."""
    return _voted(clips, "log_mean")


def majority(clips: pd.DataFrame) -> pd.Series:
    """bar_tov's hard vote."""
    return _voted(clips, "hard")


def single_clips(clips: pd.DataFrame) -> pd.Series:
    """The share of each song's clips."""
    right = pd.Series((clips["genre"] == predicted(clips)).to_numpy(dtype=float), clips["song"])
    return right.groupby(level=0).mean()


def _voted(clips: pd.DataFrame, how: str) -> pd.Series:
    songs = vote(clips, how).set_index("song")
    return (songs["genre"] == predicted(songs)).astype(float)


def difference(before: Answers, after: Answers) -> str:
    """Such as ``+0.051 [-0.010, +0.112]``: accuracy after less before, artists drawn again.

    Songs that only one of the two was tested on count in its own accuracy.
    """
    artists = pd.concat([before.artists, after.artists]).groupby(level=0).first()
    cluster = clusters(artists)
    drawn, mean = np.zeros(1), 0.0
    for sign, one in ((-1, before), (1, after)):
        drawn = drawn + sign * resampled(one.right.reindex(artists.index).to_numpy()[None], cluster)
        mean += sign * float(one.right.mean())
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"


def markdown(runs: pd.DataFrame, folder: Path, read: Reader) -> str:
    """The table of defects: as published, with one of them put right, with all put right.

    Args:
        runs, folder, read: as ``reproductions.markdown`` takes them.
    """
    titles = ("system", "put right", "as published", "this put right", "difference", "songs",
              "all put right")  # fmt: skip
    rows = [titles, ("---",) * len(titles)]
    for one in systems(folder):
        published, corrected = (
            answers(runs, folder, one, form, read) for form in ("as_published", "corrected")
        )
        if one.defects and "as_published" in one.empty:
            why = f"*not run: {one.empty['as_published']}*"
            rows.append((f"`{one.name}`", "; ".join(one.defects), why, "", "", "", ""))
            continue
        for what in one.defects:
            right = answers(runs, folder, one, what, read)
            if published is None or right is None:
                rows.append((f"`{one.name}`", what, "*not run yet*", "", "", "", ""))
                continue
            songs = published.right.index.intersection(right.right.index)
            before, after = published.on(songs), right.on(songs)
            rows.append((
                f"`{one.name}`", what, before.text(), after.text(), difference(before, after),
                str(len(songs)), "" if corrected is None else corrected.text(),
            ))  # fmt: skip
    return _table(rows)


def gains(runs: pd.DataFrame, folder: Path, read: Reader) -> str:
    """What bar_tov gained by a vote, and by leaving country out, beside what we measure."""
    named = {one.name: one for one in systems(folder)}
    ten, nine = named["bar_tov-slices"], named["bar_tov-nine_genres"]
    titles = ("step", "published", "our run", "before", "after", "gain", "songs")
    rows = [titles, ("---",) * len(titles)]

    for one, form, published in (
        (nine, "as_published", "+0.05 to +0.07 (code: +0.092)"),
        (ten, "as_published", "+0.05 to +0.07"),
        (ten, "corrected", ""),
        (ten, "artist-clean", ""),
    ):
        clips, songs = (
            answers(runs, folder, one, form, read, score) for score in (single_clips, majority)
        )
        what = "ten clips vote, in place of single clips"
        rows.append((what, published, f"{one.name} {form}", *_gain(clips, songs)))
    whole, less = (
        answers(runs, folder, one, "as_published", read, majority) for one in (ten, nine)
    )
    what, run = "country is left out", "bar_tov-nine_genres as_published, against bar_tov-slices"
    rows.append((what, "+0.05 to +0.07", run, *_gain(whole, less)))
    if whole is not None and less is not None:
        both = whole.right.index.intersection(less.right.index)
        what = "the same, on the songs of the other nine genres alone"
        rows.append((what, "", run, *_gain(whole.on(both), less.on(both))))
    return _table(rows)


def _gain(before: Answers | None, after: Answers | None) -> tuple[str, str, str, str]:
    """Before, after, gain and number of songs."""
    if before is None or after is None:
        return "*not run yet*", "", "", ""
    counts = dict.fromkeys(str(len(one.right)) for one in (before, after))
    return before.text(), after.text(), difference(before, after), ", then ".join(counts)


def answers(
    runs: pd.DataFrame, folder: Path, one: System, form: str, read: Reader, score: Score = song_vote
) -> Answers | None:
    """What the runs of a cell got right; None without runs whose predictions are kept."""
    for table, _, own in measured(runs, key(folder, one, form), read):
        tables = [read(run) for run in own["run_id"]]
        kept = [t[t["part"] == table.part] for t in tables if t is not None]
        if kept:
            right = pd.concat([score(clips) for clips in kept], axis=1).mean(axis=1)
            return Answers(right, artist_of(kept[0]).reindex(right.index))
    return None


def _table(rows: "list[tuple[str, ...]]") -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
