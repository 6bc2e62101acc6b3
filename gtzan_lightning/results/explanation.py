"""Plots of an explanation: the picture of a clip, a map over it, and the genres over the song."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

CURVES = 5  # genres that are drawn: the most probable ones


@dataclass(frozen=True)
class ExplanationPlot:
    """What is drawn of an explanation, together or in parts that a narrow screen can stack.

    Attributes:
        picture, heat: (bin, frame); the map ``heat`` is between 0 and 1.
        span: seconds of the clip in the song.
        hertz: (bin,) frequencies, or None.
        starts: (moment,) seconds.
        curves: (moment, genre) probabilities.
        map_title, title: of the map and of the curve.
    """

    picture: np.ndarray
    heat: np.ndarray
    span: tuple[float, float]
    hertz: np.ndarray | None
    starts: np.ndarray
    curves: np.ndarray
    genres: Sequence[str]
    map_title: str
    title: str

    def whole(self) -> Figure:
        """The picture, the map beside it, the curve below."""
        figure = Figure(figsize=(11, 6.4), layout="constrained")
        grid = figure.add_gridspec(2, 2)
        self._draw_picture(figure.add_subplot(grid[0, 0]))
        self._draw_map(figure.add_subplot(grid[0, 1]))
        self._draw_curve(figure.add_subplot(grid[1, :]))
        return figure

    def parts(self) -> dict[str, Figure]:
        """A plot each, by what it shows."""
        drawn = {"picture": self._draw_picture, "map": self._draw_map, "curve": self._draw_curve}
        figures = {}
        for name, draw in drawn.items():
            figures[name] = Figure(figsize=(5.4, 3.3), layout="constrained")
            draw(figures[name].add_subplot())
        return figures

    def _draw_picture(self, axes: Axes) -> None:
        axes.imshow(self.picture, cmap="gray", **self._place())
        axes.set(xlabel="seconds", ylabel="bin" if self.hertz is None else "hertz")
        axes.set_title("picture")
        if self.hertz is not None:
            rows = np.linspace(0, len(self.picture) - 1, 6).round().astype(int)
            axes.set_yticks(rows, [f"{self.hertz[row]:.0f}" for row in rows])

    def _draw_map(self, axes: Axes) -> None:
        self._draw_picture(axes)
        alpha = np.clip(self.heat, 0, 1) * 0.75
        axes.imshow(self.heat, cmap="inferno", alpha=alpha, vmin=0, vmax=1, **self._place())
        axes.set_title(self.map_title)

    def _draw_curve(self, axes: Axes) -> None:
        for column in np.argsort(-self.curves.mean(0))[:CURVES]:
            axes.plot(self.starts, self.curves[:, column], label=self.genres[column], marker=".")
        axes.axvspan(*self.span, color="0.9")
        axes.set(ylim=(-0.02, 1.02), ylabel="probability", title=self.title)
        axes.set_xlabel("start of the clip, seconds; the grey one is drawn")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)

    def _place(self) -> dict[str, Any]:
        extent = (*self.span, -0.5, len(self.picture) - 0.5)
        return {"origin": "lower", "aspect": "auto", "extent": extent}
