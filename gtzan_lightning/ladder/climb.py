"""The runs of a ladder, under one parent run; finished ones are kept."""

from collections.abc import Sequence
from functools import partial

from gtzan_lightning.ladder.plot import ladder_plot
from gtzan_lightning.ladder.steps import Rung
from gtzan_lightning.ladder.table import Measured, markdown, measure, to_csv
from gtzan_lightning.tracking.reading import (
    check_output,
    has_store,
    predictions_if_any,
    runs_table,
)
from gtzan_lightning.tracking.tracker import Tracker
from gtzan_lightning.training.series import finished, run_series, run_workers


def climb(ladder: Sequence[Rung], workers: int, command: list[str]) -> list[Measured]:
    """Make the runs that are not finished, and measure all; the parent run keeps table and plot.

    Args:
        workers: processes that make the runs.
        command: starts one of them.

    Raises:
        UserError: as ``train`` does, or a worker failed.
    """
    recipes = [member.recipe for rung in ladder for member in rung.members]
    track = recipes[0].track
    check_output(track)
    tracker = Tracker(track)
    name = f"ladder-{recipes[0].title}"
    parent = _parent(ladder, name)
    if parent:
        tracker.resume(parent)
    else:
        tracker.start(name, {"ladder": _key(ladder)})
    with tracker.recording(with_system_metrics=False):
        if workers > 1:
            run_workers(workers, command, "finished runs are kept")
        run_series(recipes, {"mlflow.parentRunId": tracker.run_id, "ladder_of": tracker.run_id})
        rows = measured(ladder)
        tracker.log(markdown(rows), "ladder.md")
        tracker.log(to_csv(rows), "ladder.csv")
        tracker.log(ladder_plot(rows), "ladder.png")
        tracker.log_metrics({f"{row.rung}/song_accuracy": row.accuracy for row in rows})
    return rows


def work(ladder: Sequence[Rung]) -> None:
    """Be one of several processes that make the runs of a ladder; the first one opens it."""
    recipes = [member.recipe for rung in ladder for member in rung.members]
    parent = _parent(ladder, f"ladder-{recipes[0].title}")
    run_series(recipes, {"mlflow.parentRunId": parent, "ladder_of": parent} if parent else {})


def measured(ladder: Sequence[Rung]) -> list[Measured]:
    """The rungs of which a run has ended."""
    track = ladder[0].members[0].recipe.track
    runs, read = runs_table(track), partial(predictions_if_any, track=track)
    return [row for rung in ladder if (row := measure(rung, runs, read))]


def missing(ladder: Sequence[Rung]) -> int:
    """Runs that are not finished."""
    series = [member for rung in ladder for member in rung.members]
    return len(series) - len(finished(series))


def _key(ladder: Sequence[Rung]) -> str:
    """What the parent run of the same ladder is found by."""
    recipes = dict.fromkeys(member.tags["recipe"] for rung in ladder for member in rung.members)
    return " ".join(recipes)


def _parent(ladder: Sequence[Rung], name: str) -> str | None:
    track = ladder[0].members[0].recipe.track
    runs = runs_table(track) if has_store(track) else None
    if runs is None or "ladder" not in runs:
        return None
    own = runs[(runs["ladder"] == _key(ladder)) & (runs["name"] == name)]
    return None if own.empty else str(own["run_id"].iloc[0])
