"""The recorded runs: ``python experiments/runs.py``."""

import sys
from typing import TYPE_CHECKING, Any

from gtzan_lightning.commands.early import first_word
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import BEST, LAST, Parser, track_of
from gtzan_lightning.recipe.recipes import near

if TYPE_CHECKING:
    import pandas as pd

MOST = 30  # runs that are listed unless more are asked for


def main(argv: list[str]) -> None:
    """List runs, delete some, or mend a store that was moved."""
    args = vars(_parser().parse_all(argv))
    if args["what"] != "delete" and args["run"]:
        other = ": give --model, --protocol or --failed" * (args["what"] == "list")
        raise UserError(f"{args['what']!r} takes no run{other}")
    if args["what"] == "delete" and not args["run"]:
        raise UserError("give the runs to delete: ids or their beginnings, or names")
    if args["what"] == "delete":
        _delete(args)
        return
    if args["what"] == "mend":
        from gtzan_lightning.tracking.moved import mend

        places = mend(track_of(args))
        print(f"mended {places} places" if places else "nothing to mend")
        return
    first_word("reading the runs")
    from gtzan_lightning.tracking.reading import all_runs

    runs = _asked_for(all_runs(track_of(args)), args)
    shown = runs if args["all"] else runs.head(MOST)
    _print(shown)
    if len(shown) < len(runs):
        print(f"{len(runs) - len(shown)} older ones: add --all")


def _parser() -> Parser:
    parser = Parser(
        "runs",
        "List the recorded runs, the newest first: the beginning of the id, which every --run and "
        "--resume takes, model, protocol, song accuracy with its 95 % interval, status and age. "
        "'delete' removes runs and asks before it does; 'mend' is for a store that was moved or "
        "copied.",
        epilog="example: gtzan runs --model small_cnn; gtzan tag ~/music --run 1a2b3c4d",
    )
    parser.add_argument("what", nargs="?", choices=["list", "delete", "mend"], default="list",
                        help="what to do (list)")  # fmt: skip
    parser.add_argument("run", nargs="*", help="with delete: names, or beginnings of ids")
    parser.add_argument("--model", metavar="NAME", help="list runs of this model only")
    parser.add_argument(
        "--protocol", metavar="WORD", help="list runs whose protocol begins so, such as filtered"
    )
    parser.add_argument(
        "--failed", action="store_true", help="list runs that failed or were interrupted only"
    )
    parser.add_argument("--all", action="store_true", help=f"list more than the newest {MOST}")
    parser.add_argument("--yes", action="store_true", help="with delete: do not ask")
    parser.add_track("uri", "folder")
    return parser


def _asked_for(runs: "pd.DataFrame", args: dict[str, Any]) -> "pd.DataFrame":
    from gtzan_lightning.results.rows import column

    if args["model"] and len(runs):
        models = column(runs, "model", "").fillna("")
        if not (models == args["model"]).any():
            hint = near(args["model"], set(models) - {""})
            raise UserError(f"--model {args['model']}: no run is of it{hint}")
        runs = runs[models == args["model"]]
    if args["protocol"] and len(runs):
        named = column(runs, "protocol", "").fillna("").astype(str)
        runs = runs[named.str.startswith(args["protocol"])]
    if args["failed"] and len(runs):
        runs = runs[runs["status"].isin(["FAILED", "KILLED"])]
    return runs


def _print(runs: "pd.DataFrame") -> None:
    """A table for the screen; Markdown where there is none."""
    import pandas as pd

    from gtzan_lightning.results.run_list import cells
    from gtzan_lightning.results.screen import drawn

    rows = [cells(run) for _, run in runs.iterrows()]
    if not rows:
        print("no runs")
        return
    if sys.stdout.isatty():
        print(drawn("runs, the newest first", rows, breaks=["songs"]))
    else:
        print(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True))


def _delete(args: dict[str, Any]) -> None:
    from gtzan_lightning.tracking.finding import line, one
    from gtzan_lightning.tracking.reading import all_runs
    from gtzan_lightning.tracking.store import delete_runs

    track = track_of(args)
    if here := {LAST, BEST}.intersection(args["run"]):
        raise UserError(f"delete takes ids and names, not {min(here)!r}: gtzan runs lists them")
    known = all_runs(track)
    meant = {run["run_id"]: run for run in (one(known, word) for word in args["run"])}
    for run in meant.values():
        print(line(run))
    if not args["yes"] and not _agreed(len(meant)):
        print("nothing was deleted")
        return
    delete_runs(list(meant), track)
    print(f"deleted {len(meant)}; MLflow frees what it kept of them by: mlflow gc")


def _agreed(number: int) -> bool:
    if not sys.stdin.isatty():
        raise UserError("nobody can be asked here: add --yes to delete these runs")
    return input(f"delete {number} run{'s' * (number > 1)}, with checkpoints? [y/N] ") in ("y", "Y")
