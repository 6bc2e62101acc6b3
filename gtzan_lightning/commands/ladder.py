"""What each shortcut is worth: ``python experiments/ladder.py --model small_cnn``."""

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtzan_lightning.commands.early import first_word
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import Parser, parse_run, write_output
from gtzan_lightning.recipe.recipe_flags import add_series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gtzan_lightning.ladder.table import Measured

RUNGS = ("clips", "stratified", "first20", "artist_groups", "artist", "filtered")


def main(argv: list[str]) -> None:
    """Train a recipe under each protocol; print and write the table, and the picture."""
    parser = _parser()
    own, settings = parser.parse_known_args(argv)
    if own.table:
        from gtzan_lightning.ladder.table import read_csv

        _show([row for file in own.table for row in read_csv(Path(file))], own.out)
        return
    recipe, _ = parse_run(settings, "ladder", parser)
    first_word("preparing the ladder")
    from gtzan_lightning.ladder.climb import climb, missing, work
    from gtzan_lightning.ladder.steps import Request, rungs
    from gtzan_lightning.training.hardware import keep_freed_memory
    from gtzan_lightning.training.series import SHARE, worker_command

    keep_freed_memory()
    ladder = rungs(
        recipe, Request(own.rungs, own.seeds, _folds(own, recipe.data.folds), own.equal,
                        not own.no_controls)
    )  # fmt: skip
    if SHARE in os.environ:
        work(ladder)
        return
    command = worker_command("ladder", argv) if own.workers > 1 else []
    _show(climb(ladder, own.workers, command), own.out)
    if missing(ladder):
        print(f"{missing(ladder)} runs are not finished: others share them")


def _parser() -> Parser:
    parser = Parser(
        "ladder",
        "One recipe under one protocol after another, from the leakiest to the cleanest: song "
        "accuracy with its interval, and the share of songs whose clip, recording or artist is in "
        "training too. Two controls: genres shuffled over songs (chance), and training songs as "
        "test (memory). Repeat the command to resume: finished runs are kept. All other flags are "
        "those of experiments/run.py, such as --quick. The valid parts are measured; --open-test "
        "measures the test parts that have songs here.",
        epilog="example: ladder.py --model small_cnn --data.root data/gtzan --equal --seeds 0 1 2",
    )
    parser.add_argument("--rungs", nargs="+", choices=RUNGS, default=RUNGS, metavar="PROTOCOL",
                        help=f"protocols ({' '.join(RUNGS)})")  # fmt: skip
    parser.add_argument(
        "--equal", type=int, nargs="?", const=0, metavar="N",
        help="train every rung on the same number of songs: N, or as many as the rung that has "
        "fewest",
    )  # fmt: skip
    parser.add_argument("--no-controls", action="store_true", help="without the two controls")
    parser.add_argument("--out", metavar="FOLDER", help="write ladder.md, ladder.csv, ladder.png")
    parser.add_argument(
        "--table", nargs="+", metavar="FILE",
        help="only show tables that --out wrote, of one or more systems, as one",
    )  # fmt: skip
    add_series(parser)
    return parser


def _folds(own: Any, count: int) -> tuple[int, ...] | None:
    if own.folds is None:
        return None
    if own.folds == ["all"]:
        return tuple(range(count))
    if not all(word.isdigit() for word in own.folds):
        raise UserError(f"--folds {' '.join(own.folds)}: give all, or numbers such as 0 1 2")
    return tuple(map(int, own.folds))


def _show(rows: "Sequence[Measured]", out: str | None) -> None:
    from gtzan_lightning.ladder.plot import ladder_plot
    from gtzan_lightning.ladder.table import markdown, shown, to_csv

    print(shown(rows))
    if out is None:
        return
    image = io.BytesIO()
    ladder_plot(rows).savefig(image, format="png", dpi=110)
    for name, content in (("ladder.md", markdown(rows) + "\n"), ("ladder.csv", to_csv(rows)),
                          ("ladder.png", image.getvalue())):  # fmt: skip
        write_output(Path(out) / name, content)
        print(f"written: {Path(out) / name}")
