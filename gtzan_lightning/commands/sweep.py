"""Tune a model: ``python experiments/sweep.py --model vgg --space FILE --trials 50``."""

import sys
from pathlib import Path

from gtzan_lightning.commands.early import first_word
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import Parser, parse_layers


def main(argv: list[str]) -> None:
    """Open or resume a study and run its trials."""
    parser = _parser()
    own, settings = parser.parse_known_args(argv)
    model, layers, flags = parse_layers(settings, "sweep", parser)
    if own.space is None:
        raise UserError("name the space to search: --space FILE (experiments/recipes/spaces)")
    if "open_test" in flags.get("fit", {}):
        raise UserError(
            "a sweep never opens the test part: train the best recipe anew with run.py --open-test"
        )
    from gtzan_lightning.tracking.moved import refuse_moved
    from gtzan_lightning.tuning.space import Corner, read_space

    space = read_space(Path(own.space), model, layers, flags)
    refuse_moved(space.track)
    quick = "--quick" in settings
    name = own.name or f"{model}-{Path(own.space).stem}{'-quick' * quick}"
    trials = own.trials or (6 if quick else 30)
    first_word(f"opening study {name}")
    from gtzan_lightning.training.hardware import keep_freed_memory
    from gtzan_lightning.training.series import check_one_process
    from gtzan_lightning.tuning.storage import told
    from gtzan_lightning.tuning.study import Search
    from gtzan_lightning.tuning.sweep import join, sweep

    keep_freed_memory()
    search = Search(own.sampler, own.sampler_seed, own.startup, prune=not own.no_prune)
    command = [sys.executable, "-m", "gtzan_lightning", "sweep", *argv, "--worker"]
    if own.worker or own.workers == 1:
        check_one_process(space.draw(Corner(0)))
    with told(own.storage):
        if own.worker:
            join(space, name, trials, own.storage, search)
        else:
            print(sweep(space, name, trials, own.storage, search, own.workers, command))


def _parser() -> Parser:
    parser = Parser(
        "sweep",
        "Search a space of recipes with Optuna. Every trial is an MLflow run under one parent; "
        "its score is the best epoch's song accuracy on the validation part. The test part is "
        "never used. Repeat the command to resume the study. All other flags are those of "
        "experiments/run.py, such as --config, and hold for every trial where the space does not "
        "search them.",
    )
    parser.add_argument(
        "--space", metavar="FILE", help="space file, see experiments/recipes/spaces"
    )
    parser.add_argument("--trials", type=int, help="trials to complete (30; with --quick 6)")
    parser.add_argument(
        "--sampler", choices=["tpe", "qmc", "random"], default="tpe",
        help="how Optuna proposes recipes (tpe)",
    )  # fmt: skip
    parser.add_argument(
        "--sampler-seed", type=int, default=0, metavar="N", help="seed of the sampler (0)"
    )
    parser.add_argument(
        "--startup", type=int, default=10, metavar="N",
        help="trials that tpe draws at random before it learns from them (10)",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (1)")
    parser.add_argument("--no-prune", action="store_true", help="train every trial to its end")
    parser.add_argument("--name", help="name of the study (MODEL-SPACE)")
    parser.add_argument("--storage", metavar="URL", help="database (a file in --track.folder)")
    parser.add_argument("--worker", action="store_true", help="only run trials: no report")
    return parser
