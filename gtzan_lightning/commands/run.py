"""Train, test and record a classifier: ``python experiments/run.py --model efficientnet``."""

from gtzan_lightning.recipe.command_line import parse_run
from gtzan_lightning.recipe.recipes import as_flags


def main(argv: list[str]) -> None:
    """Parse, train, print the comparison table with the new run's row marked."""
    recipe, resume = parse_run(argv)
    from gtzan_lightning.data.packing import resolve

    _, loud = resolve(recipe.data)
    if loud:
        print(as_flags(loud), flush=True)
    # five seconds of imports, only once the command line is known to be right
    from gtzan_lightning.training.hardware import keep_freed_memory
    from gtzan_lightning.training.report import result_lines
    from gtzan_lightning.training.train import train

    keep_freed_memory()
    outcome = train(recipe, resume)
    if outcome.scores:  # of several processes the first one speaks
        print(result_lines(recipe, outcome.run_id, outcome.scores))
