"""Plots of a run's results (matplotlib, without a display)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gtzan_lightning.results.intervals import wilson

LABELS = {  # what a system's scores are called, from the published one to the honest one
    "published": "published", "as_published": "ours as published",
    "corrected": "ours corrected", "artist-clean": "ours artist-clean",
}  # fmt: skip


def confusion_plot(counts: np.ndarray, genres: list[str], title: str) -> Figure:
    """Songs of a genre (rows) predicted as another (columns); colour is the share of the row."""
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for y, x in np.ndindex(counts.shape):
        if counts[y, x]:
            colour = "white" if share[y, x] > 0.5 else "black"
            axes.text(x, y, str(counts[y, x]), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(genres)), genres, rotation=45, ha="right")
    axes.set_yticks(range(len(genres)), genres)
    axes.set(xlabel="predicted as", ylabel="genre", title=title)
    return figure


def per_genre_plot(table: pd.DataFrame, title: str) -> Figure:
    """Precision, recall and F1 of each genre as bars."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    for number, name in enumerate(("precision", "recall", "f1")):
        axes.bar(np.arange(len(table)) + 0.27 * (number - 1), table[name], 0.25, label=name)
    labels = [f"{row.genre}\n{row.support}" for row in table.itertuples()]
    axes.set_xticks(range(len(table)), labels)
    axes.set(ylim=(0, 1), title=title, xlabel="genre and number of songs")
    axes.grid(axis="y", alpha=0.3)
    _legend_below(figure)
    return figure


def reliability_plot(tables: dict[str, pd.DataFrame], title: str) -> Figure:
    """Accuracy over confidence, each point a bin of songs with Wilson's 95 % interval.

    Args:
        tables: label -> columns confidence, accuracy and n, a row for each bin.
    """
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="as confident as right")
    for label, table in tables.items():
        ends = [wilson(*bin) for bin in zip(table["accuracy"], table["n"], strict=True)]
        far = np.abs(np.array(ends).T - table["accuracy"].to_numpy())
        axes.errorbar(table["confidence"], table["accuracy"], far, label=label, fmt="o", capsize=2)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy", title=title)
    axes.grid(alpha=0.3)
    _legend_below(figure)
    return figure


def learning_curves(history: dict[str, list[tuple[int, float]]]) -> Figure:
    """Loss and song accuracy over the steps, training and validation.

    Args:
        history: metric name -> (step, value) points.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = {
        "loss": {"train/loss_epoch": "train", "valid/loss": "valid"},
        "song accuracy": {"train/song_accuracy": "train", "valid/song_accuracy": "valid"},
    }
    for axes, (title, lines) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for name, label in lines.items():
            if history.get(name):
                axes.plot(*zip(*history[name], strict=True), label=label, marker=".")
        axes.set(xlabel="step", title=title)
        axes.grid(alpha=0.3)
    _legend_below(figure)
    return figure


def before_and_after(
    name: str,
    pictures: Sequence[np.ndarray],
    waves: Sequence[np.ndarray] | None,
    seconds: float,
) -> Figure:
    """A clip before and after something, side by side; waveforms, if any, above the pictures.

    Args:
        pictures, waves: two of (bin, frame) and of (sample,).
    """
    rows = 2 if waves else 1
    figure = Figure(figsize=(10, 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False)
    low, high = pictures[0].min(), pictures[0].max()
    for column, when in enumerate(("before", "after")):
        if waves:
            times = np.linspace(0, seconds, len(waves[column]))
            axes[0, column].plot(times, waves[column], linewidth=0.3)
            axes[0, column].set(ylim=(-1, 1), xlim=(0, seconds))
        picture = pictures[column]
        axes[-1, column].imshow(
            picture, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high,
            extent=(0, seconds, 0, len(picture)),
        )  # fmt: skip
        axes[-1, column].set(xlabel="seconds", ylabel="bin")
        axes[0, column].set_title(f"{when} {name}")
    return figure


def growth_plot(measured: dict[int, dict[str, float]]) -> Figure:
    """Time a song or clip, and peak memory, over the number of songs.

    Args:
        measured: songs -> seconds of ``packing``, ``feeding`` and ``evaluation``; GB of ``memory``.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    times, memory = figure.subplots(1, 2)
    for name, of in (("packing", "song"), ("feeding", "clip"), ("evaluation", "clip")):
        values = [1e3 * of_size[name] for of_size in measured.values()]
        times.plot(list(measured), values, marker="o", label=f"{name}, a {of}")
    memory.plot(list(measured), [of_size["memory"] for of_size in measured.values()], marker="o")
    times.set(ylabel="milliseconds", title="time a song or clip")
    memory.set(ylabel="GB", title="peak memory, without a model")
    for axes in (times, memory):
        axes.set(xscale="log", xlabel="songs")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    _legend_below(figure)
    return figure


def shares_plot(systems: Mapping[str, Sequence[Any]]) -> Figure:
    """Song accuracy over the number of training songs, with 95 % intervals.

    Args:
        systems: name -> entries with ``songs``, ``accuracy``, ``low`` and ``high``.
    """
    figure = Figure(figsize=(8, 5.4), layout="constrained")
    axes = figure.subplots()
    for number, (name, of_system) in enumerate(systems.items()):
        songs = np.array([one.songs for one in of_system]) * (1 + 0.02 * number)  # side by side
        score = np.array([one.accuracy for one in of_system])
        ends = np.array([[one.low, one.high] for one in of_system]).T
        axes.errorbar(songs, score, np.abs(ends - score), label=name, fmt="o-", capsize=2)
    axes.set(xscale="log", ylim=(0, 1), xlabel="training songs", ylabel="song accuracy, valid part")
    ticks = sorted({one.songs for of_system in systems.values() for one in of_system})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    _legend_below(figure, columns=1)
    return figure


def published_plot(systems: Mapping[str, Mapping[str, tuple[float, float, float]]]) -> Figure:
    """One line a system: its published figure beside those of our runs, with 95 % intervals.

    Args:
        systems: name -> what was measured how -> score and ends of its interval.
    """
    figure = Figure(figsize=(9, 0.42 * len(systems) + 1.6), layout="constrained")
    axes = figure.subplots()
    for number, kind in enumerate(LABELS):
        own = {name: values[kind] for name, values in systems.items() if kind in values}
        if not own:
            continue
        score, low, high = np.array(list(own.values())).T
        shift = 0.6 * ((number + 0.5) / len(LABELS) - 0.5)
        places = np.array([list(systems).index(name) for name in own]) + shift
        marker = "D" if kind == "published" else "o"
        axes.errorbar(score, places, xerr=[score - low, high - score], fmt=marker, capsize=2,
                      color=f"C{number}", label=LABELS[kind])  # fmt: skip
    axes.set_yticks(range(len(systems)), list(systems))
    axes.set(xlim=(0, 1), ylim=(len(systems) - 0.4, -0.6))
    axes.set(xlabel="score, of the source's own metric; 95 % interval of song accuracies")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower left", ncols=len(LABELS), bbox_to_anchor=(0, 1), frameon=False)
    return figure


def _legend_below(figure: Figure, columns: int = 4) -> None:
    """One legend of all axes, where it covers nothing; none where nothing has a label."""
    labelled: dict[str, Any] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        labelled |= {str(label): h for h, label in zip(handles, labels, strict=True)}
    if labelled:
        figure.legend(
            list(labelled.values()), list(labelled), loc="outside lower center", frameon=False,
            ncols=min(len(labelled), columns),
        )  # fmt: skip
