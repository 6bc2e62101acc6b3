"""Tune a model: ``python experiments/sweep.py --model vgg --space FILE --trials 50``."""

import sys
from pathlib import Path

from gtzan_lightning.recipe.command_line import Parser, parse_layers, program


def main(argv: list[str]) -> None:
    """Open or resume a study, try recipes, record every trial and the whole."""
    parser = Parser(
        prog=program("sweep"),
        allow_abbrev=False,
        description="Try recipes of a space (Optuna). Every trial is an MLflow run under one "
        "parent; its objective is the best epoch's song accuracy on the validation part, and the "
        "test part stays closed. The same command again resumes the study. Every other flag is "
        "one of experiments/run.py and holds for all trials, such as --data.root or "
        "--fit.max_epochs.",
    )
    parser.add_argument("--space", required=True, metavar="FILE", help="experiments/recipes/spaces")
    parser.add_argument("--trials", type=int, default=30, help="ended trials of the study (30)")
    parser.add_argument("--sampler", choices=["tpe", "qmc", "random"], default="tpe")
    parser.add_argument("--sampler-seed", type=int, default=0, metavar="N", help="(0)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (1)")
    parser.add_argument("--no-prune", action="store_true", help="train every trial to its end")
    parser.add_argument("--name", help="of the study (the model's and the space file's names)")
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="database of the study (a journal file under --track.folder)",
    )
    parser.add_argument("--worker", action="store_true", help="one of several: do not report")
    own, settings = parser.parse_known_args(argv)
    model, layers, flags = parse_layers(settings, program("sweep"))
    from gtzan_lightning.tuning.space import read_space

    space = read_space(Path(own.space), model, layers, flags)
    name = own.name or f"{model}-{Path(own.space).stem}"
    from gtzan_lightning.training.hardware import keep_freed_memory
    from gtzan_lightning.tuning.study import Search
    from gtzan_lightning.tuning.sweep import join, sweep

    keep_freed_memory()
    search = Search(own.sampler, own.sampler_seed, prune=not own.no_prune)
    if own.worker:
        join(space, name, own.trials, own.storage, search)
        return
    command = [sys.executable, "-m", "gtzan_lightning", "sweep", *argv, "--worker"]
    print(sweep(space, name, own.trials, own.storage, search, own.workers, command))
