"""What is said of one run: its headline in a line, and a page of Markdown for MLflow."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from tabulate import tabulate

from gtzan_lightning.recipe.fit_settings import LAST
from gtzan_lightning.results import calibration, known_faults
from gtzan_lightning.results.predictions import per_genre

MOST_EPOCHS = 10  # lines of the table of the learning curves
History = Mapping[str, Sequence[tuple[int, float]]]  # metric -> (step, value) points


def scored_part(scores: Mapping[str, float]) -> str:
    """The part that a run's headline is of: test where it was opened."""
    return "test" if scores.get("final/test/songs") else "valid"


def part_scores(scores: Mapping[str, float], part: str) -> dict[str, float]:
    """The scores of one part by their plain names."""
    start = f"final/{part}/"
    return {name.removeprefix(start): v for name, v in scores.items() if name.startswith(start)}


def headline(scores: Mapping[str, float]) -> str:
    """The song accuracy with its interval, in one line."""
    part = scored_part(scores)
    get = part_scores(scores, part)
    low, high, wilson_low, wilson_high = (
        get[f"song_accuracy_{end}"] for end in ("low", "high", "wilson_low", "wilson_high")
    )
    known = "artists" in get
    rests_on = f"{get['artists']:.0f} artists; Wilson" if known else "artists unknown: Wilson"
    beside = f" [{wilson_low:.3f}, {wilson_high:.3f}]" * known
    return (
        f"{part}: song accuracy {get['song_accuracy']:.3f} [{low:.3f}, {high:.3f}] on "
        f"{get['songs']:.0f} songs ({rests_on}{beside}; mean probability "
        f"{get['song_accuracy_mean']:.3f}, hard vote {get['song_accuracy_hard']:.3f}, single clips "
        f"{get['clip_accuracy']:.3f})"
    )


def more_sentences(scores: Mapping[str, float]) -> list[str]:
    """What stands below the headline: GTZAN's faults, where they matter, and the confidence."""
    get = part_scores(scores, scored_part(scores))
    return [line for line in (known_faults.sentence(get), calibration.sentence(get)) if line]


def markdown(
    scores: Mapping[str, float],
    predictions: pd.DataFrame,
    history: History,
    monitor: str,
    warning: str,
    use: str,
) -> str:
    """A run on one page: warning, headline, use, learning curves, and a table by genre.

    Args:
        scores, predictions: of the run.
        history: points of the learning curves and of ``epoch``, which counts from 0; empty where
            nothing was trained epoch by epoch.
        monitor: the metric that chose the best checkpoint, or ``last``.
        use: commands of a shell, or "".
    """
    part = scored_part(scores)
    paragraphs = [f"**WARNING: {warning}**" if warning else ""]
    paragraphs += [f"**{headline(scores)}**", *more_sentences(scores)]
    if use:
        paragraphs += ["### Use it", f"```sh\n{use}\n```"]
    curves = _curves(history, monitor)
    if curves:
        paragraphs += ["### Learning curves", _table(curves)]
    genres = per_genre(predictions, part).rename(columns={"f1": "F1", "support": "songs"})
    paragraphs += [f"### By genre, {part} part", _table(genres.to_dict("records"))]
    return "\n\n".join(filter(None, paragraphs)) + "\n"


def _curves(history: History, monitor: str) -> list[dict[str, object]]:
    """A row for each of at most ``MOST_EPOCHS`` epochs: the first, the best, the last, others."""
    epochs = dict(history.get("epoch", ()))
    values: dict[int, dict[str, float]] = {}
    for name, points in history.items():
        for step, value in points:
            if name != "epoch" and step in epochs:
                values.setdefault(int(epochs[step]), {})[name] = value
    by = "valid/loss" if monitor == LAST else monitor
    choice = {epoch: row[by] for epoch, row in values.items() if by in row}
    if not choice:
        return []
    if monitor == LAST:
        kept, word = max(choice), "kept"
    else:
        better = min if monitor.endswith("loss") else max
        kept, word = better(choice, key=lambda epoch: choice[epoch]), "best"
    shown = _spread(sorted(choice), kept)
    names = [name for name in history if name != "epoch"]
    return [
        {
            "epoch": f"{epoch + 1}{f' ({word})' * (epoch == kept)}",
            **{name.removesuffix("_epoch"): values[epoch].get(name) for name in names},
        }
        for epoch in shown
    ]


def _spread(epochs: list[int], best: int) -> list[int]:
    """At most ``MOST_EPOCHS`` of these epochs, evenly, with the first, the best and the last."""
    count = min(len(epochs), MOST_EPOCHS - 1)
    evenly = {epochs[round(n * (len(epochs) - 1) / max(1, count - 1))] for n in range(count)}
    return sorted(evenly | {best})


def _table(rows: Sequence[Mapping[Any, object]]) -> str:
    # MLflow's page leaves no space between the cells of a table
    spaced = [{f"{name}&emsp;": f"{_cell(v)}&emsp;" for name, v in row.items()} for row in rows]
    return tabulate(spaced, headers="keys", tablefmt="github", disable_numparse=True)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else str(value).replace("|", "\\|")
