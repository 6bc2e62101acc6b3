"""Train, test and record a classifier: ``python experiments/run.py --model efficientnet``."""

import os

from gtzan_lightning.commands.early import first_word
from gtzan_lightning.recipe.command_line import LAST, Series, parse_series
from gtzan_lightning.recipe.recipes import as_flags
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.terminal import fitted

CHOSEN = ("--fit.", "--augment.", "--config", "--seeds", "--folds", "--quick", "--resume")
TRIAL = (
    "This is a quick trial (--quick) of at most 240 steps: one to three minutes on two cores with "
    "EfficientNet. The whole training: add --data.corpus synthetic."
)


def main(argv: list[str]) -> None:
    """Parse, train, print the comparison table with the new run's row marked."""
    series = parse_series(argv, find=to_resume)
    from gtzan_lightning.data.packing import resolve
    from gtzan_lightning.tracking.moved import refuse_moved

    refuse_moved(series.recipe.track)
    corpus, loud = resolve(series.recipe.data)
    if loud:
        print(fitted(as_flags(loud)), flush=True)
        if corpus == "synthetic" and not any(word.startswith(CHOSEN) for word in argv):
            print(fitted(TRIAL), flush=True)
            series = parse_series([*argv, "--quick"])
    first_word(f"loading what {series.recipe.title} needs")
    # five seconds of imports, only once the command line is known to be right
    from gtzan_lightning.training.hardware import keep_freed_memory
    from gtzan_lightning.training.report import result_lines
    from gtzan_lightning.training.train import train

    keep_freed_memory()
    if series.seeds is not None or series.folds is not None:
        _many(series, argv)
        return
    outcome = train(series.recipe, series.resume)
    if outcome.scores:  # of several processes the first one speaks
        print(fitted(result_lines(series.recipe, outcome.run_id, outcome.scores)))


def to_resume(word: str, folder: str) -> str:
    """The id of the run that ``--resume`` names; MLflow is asked where its folder does not say."""
    from gtzan_lightning.tracking import run_folder

    if word == LAST:
        return run_folder.newest_unfinished(folder)
    begun = run_folder.begins_with(folder, word)
    if len(begun) == 1:
        return begun[0]
    from gtzan_lightning.tracking.finding import run_id

    return run_id(word, TrackSettings(folder=folder))


def _many(series: Series, argv: list[str]) -> None:
    """Make the runs of a series and print their row."""
    from gtzan_lightning.tracking.view import page_of_runs
    from gtzan_lightning.training.report import series_lines
    from gtzan_lightning.training.series import SHARE, run_series, run_workers, worker_command

    recipes = series.recipes
    if SHARE in os.environ:
        run_series(recipes)
        return
    if series.workers > 1:
        run_workers(series.workers, worker_command("run", argv), "finished runs are kept")
    done = run_series(recipes)
    print(series_lines(series.recipe.track, list(done)))
    print(page_of_runs(series.recipe.track))
    if len(done) < len(recipes):
        print(f"{len(done)} of {len(recipes)} runs are finished: others share them")
