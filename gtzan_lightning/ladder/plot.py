"""The picture of one or more ladders."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gtzan_lightning.ladder.table import NAMES, Measured

SHARE_NAMES = {"song": "another clip of the song", "recording": "the recording",
               "artist": "the artist"}  # fmt: skip
GREYS = ("0.15", "0.5", "0.75")


def ladder_plot(rows: Sequence[Measured]) -> Figure:
    """Song accuracy with 95 % interval on each rung, above what the songs share with training.

    Args:
        rows: of one or more systems.
    """
    names = list(dict.fromkeys(row.rung for row in rows))
    figure = Figure(figsize=(max(7, 1.15 * len(names) + 2), 6.4), layout="constrained")
    scores, shares = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.3))
    models = list(dict.fromkeys(row.model for row in rows))
    for number, model in enumerate(models):
        own = [row for row in rows if row.model == model]
        shift = 0.8 * ((number + 0.5) / len(models) - 0.5)
        _points(scores, [names.index(row.rung) + shift for row in own], own, model)
    genres = {row.genres for row in rows}
    if len(genres) == 1 and (number_of := genres.pop()):
        scores.axhline(1 / number_of, color="0.6", linestyle="--", linewidth=1)  # chance
    scores.set(ylim=(0, 1.09), yticks=np.arange(0, 1.1, 0.2), ylabel="song accuracy, 95 % interval")
    scores.grid(axis="y", alpha=0.3)
    scores.legend(loc="lower left", ncols=len(models), bbox_to_anchor=(0, 1), frameon=False)
    _shares(shares, names, rows)
    labels = []
    for name in names:
        parts = sorted({row.part for row in rows if row.rung == name})
        labels.append(f"{NAMES.get(name, name).replace(' ', chr(10))}\n({', '.join(parts)})")
    shares.set_xticks(range(len(names)), labels)
    return figure


def _points(axes: Axes, places: Sequence[float], rows: Sequence[Measured], model: str) -> None:
    value = np.array([row.accuracy for row in rows])
    far = np.array([[row.accuracy - row.low, row.high - row.accuracy] for row in rows]).T
    axes.errorbar(places, value, far.clip(0), fmt="o", capsize=3, label=model)
    for place, row in zip(places, rows, strict=True):
        axes.annotate(f"{row.accuracy:.2f}", (place, row.high), (0, 3),
                      textcoords="offset points", ha="center", fontsize=8)  # fmt: skip


def _shares(axes: Axes, names: Sequence[str], rows: Sequence[Measured]) -> None:
    first = [next(row for row in rows if row.rung == name) for name in names]
    for number, (share, label) in enumerate(SHARE_NAMES.items()):
        values = [getattr(row, share) for row in first]
        places = np.arange(len(names)) + 0.27 * (number - 1)
        known = [np.nan if value is None else value for value in values]
        axes.bar(places, known, 0.25, label=label, color=GREYS[number])
        for place, value in zip(places, values, strict=True):
            if value is None:
                axes.annotate("?", (place, 0), ha="center", fontsize=8, color=GREYS[number])
    axes.set(ylim=(0, 1.05), ylabel="in training too")
    axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
    axes.grid(axis="y", alpha=0.3)
