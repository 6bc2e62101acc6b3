"""The systems of the source documents beside our own runs of them: one Markdown table."""

import math
import os
import shlex
import time
from functools import partial
from pathlib import Path
from typing import Any

from gtzan_lightning.commands.early import first_word
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import (
    Parser,
    check_flags,
    parse_run,
    track_of,
    write_output,
)
from gtzan_lightning.recipe.recipes import as_flags
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.results.reproductions import RECIPES


def main(argv: list[str], recipes: Path = RECIPES) -> None:
    """Print or write the table, list its commands, or run what is missing.

    Args:
        recipes: the default of a flag.
    """
    parser = _parser(recipes)
    own, settings = parser.parse_known_args(argv)
    if own.missing:
        check_flags(settings, "reproduce", parser)
    args = vars(own if own.missing else parser.parse_all(argv))
    recipes = args["recipes"]
    if not (recipes / "systems.yaml").exists():
        raise UserError(f"--recipes {recipes}: there is no systems.yaml; name that of a checkout")
    first_word("reading the runs")
    from gtzan_lightning.results.reproductions import every, markdown

    if args["list"]:
        args["recipes"] = recipes = Path(os.path.relpath(recipes))
        cells = _missing(args) if args["missing"] else every(recipes)
        for argv in cells:
            print(shlex.join(("python", "experiments/run.py", *argv, *settings)))
        return
    out = Path(args["out"]) if args["out"] else None
    if out and out.is_dir():
        raise UserError(f"--out {out} is a folder: name a file")
    if args["missing"]:
        _fill(args, settings)
    text = markdown(*_measured(args, recipes))
    print(text)
    if out:
        write_output(out, text + "\n")


def _parser(recipes: Path) -> Parser:
    parser = Parser(
        "reproduce",
        "Print the source documents' systems: published score, what was wrong, and our runs as "
        "published, corrected, and on the artist-clean protocol. Cells without a run are empty; "
        "leaky runs are marked.",
    )
    parser.add_argument(
        "--list", action="store_true",
        help="print the commands, with --missing those of the empty cells, and stop",
    )  # fmt: skip
    parser.add_argument(
        "--missing", action="store_true",
        help="run the empty cells, the cheapest first; an interrupted one is resumed. Flags of "
        "run.py, such as --data.corpus, then hold for all",
    )  # fmt: skip
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD",
                        help="with --missing: recipes whose name has one of the words")  # fmt: skip
    parser.add_argument("--hours", type=float, default=math.inf, metavar="H",
                        help="with --missing: start no run after so many hours")  # fmt: skip
    parser.add_argument("--out", metavar="FILE", help="also write the table to a file")
    parser.add_argument(
        "--ledger", metavar="FOLDER", type=Path,
        help="a checkout: its docs/results.csv counts in place of the recorded runs, and gets a "
        "line for each run of --missing",
    )  # fmt: skip
    parser.add_argument(
        "--recipes", metavar="FOLDER", type=Path, default=recipes,
        help=f"folder of systems.yaml and the recipes ({RECIPES})",
    )  # fmt: skip
    parser.add_track("uri", "folder", "experiment")
    return parser


def _measured(args: dict[str, Any], recipes: Path) -> tuple[Any, ...]:
    """What counts as measured, as ``markdown`` takes it: runs, recipes, reader of predictions."""
    from gtzan_lightning.commands.results import LEDGER
    from gtzan_lightning.results import ledger
    from gtzan_lightning.tracking.reading import predictions_if_any, runs_table

    if args["ledger"]:
        file = args["ledger"] / LEDGER
        return ledger.read(file), recipes, ledger.reader(file)
    track = track_of(args)
    return runs_table(track), recipes, partial(predictions_if_any, track=track)


def _fill(args: dict[str, Any], settings: list[str]) -> None:
    """Run the empty cells; one that can't be run here is named with its reason."""
    from gtzan_lightning.training.hardware import keep_freed_memory

    keep_freed_memory()
    track, start, cells = track_of(args), time.monotonic(), _missing(args)
    same = [w for key, value in args.items() if key.startswith("track.") and value is not None
            for w in (f"--{key}", value)]  # fmt: skip
    for number, argv in enumerate(cells, 1):
        if time.monotonic() - start > 3600 * args["hours"]:
            print(f"{len(cells) - number + 1} cells are left: --hours {args['hours']:g} are over")
            return
        print(f"cell {number} of {len(cells)}: {' '.join(argv)}", flush=True)
        try:
            _run([*argv, *settings, *same], args["ledger"], track)
        except UserError as error:
            print(f"not run: {as_flags(str(error))}", flush=True)


def _missing(args: dict[str, Any]) -> list[list[str]]:
    """Flags of ``run.py`` for the empty cells that ``--only`` names, the cheapest first."""
    import pandas as pd

    from gtzan_lightning.results.reproductions import missing
    from gtzan_lightning.tracking.reading import has_store

    known = args["ledger"] or has_store(track_of(args))
    runs = _measured(args, args["recipes"])[0] if known else pd.DataFrame()
    return [argv for argv in missing(runs, args["recipes"])
            if any(word in Path(argv[1]).stem for word in args["only"])]  # fmt: skip


def _run(argv: list[str], checkout: Path | None, track: TrackSettings) -> None:
    """Make the run of a cell and add it to the ledger, if there is one.

    Raises:
        UserError: it can't be made here, or may not be in the ledger.
    """
    from gtzan_lightning.commands.results import add_runs
    from gtzan_lightning.training.series import run_series

    runs = run_series([parse_run(argv)[0]])
    if checkout:
        print("\n".join(add_runs(list(runs), checkout, track)), flush=True)
