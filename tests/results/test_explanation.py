import numpy as np

from gtzan_lightning.data.catalogue import GENRES
from gtzan_lightning.results.explanation import CURVES, ExplanationPlot


def test_the_legend_names_the_likeliest_genres_and_covers_nothing():
    rng = np.random.default_rng(0)
    curves = rng.dirichlet(np.arange(1, 11), size=9)  # rock is the likeliest
    plot = ExplanationPlot(
        rng.random((8, 6)), rng.random((8, 6)), (2.0, 5.0), None, np.arange(9.0), curves, GENRES,
        "map", "song",
    )  # fmt: skip
    for figure in (plot.whole(), plot.parts()["curve"]):
        axes = figure.axes[-1]
        legend = axes.get_legend()
        shown = [text.get_text() for text in legend.get_texts()]
        assert len(shown) == CURVES
        assert shown[0] == "rock"
        figure.draw_without_rendering()
        box = legend.get_window_extent()
        assert not any(box.overlaps(each.get_window_extent()) for each in figure.axes)
        assert box.x1 <= figure.bbox.x1  # and is not cut off
