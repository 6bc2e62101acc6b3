"""Genres of many files: ``python experiments/tag.py FOLDER --run RUN --out genres.csv``."""

import io
import os
import re
import sys
import time
from collections.abc import Iterable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtzan_lightning.commands.early import check_runs, first_word
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import READY, Parser, track_of
from gtzan_lightning.terminal import printable

if TYPE_CHECKING:
    from gtzan_lightning.inference.tag_files import Tagged


def _parser() -> Parser:
    parser = Parser(
        "tag",
        "Write a table with one row per sound file and the probability of every genre. Any "
        "sample rate, channels and length; wav, au, flac, mp3, ogg, opus, aiff. Repeat the "
        "command to resume. Broken files get a row with the reason and are listed at the end.",
    )
    parser.add_argument("place", nargs="*", help="files, or folders with all their subfolders")
    parser.add_run("vote together")
    parser.add_argument("--out", metavar="FILE", help="table: .csv, .parquet or .jsonl")
    parser.add_argument(
        "--write-tags", action="store_true", help="also write the genre into the files' tags"
    )
    parser.add_argument(
        "--from", metavar="FILE",
        help="with --write-tags, in place of files and a model: a table that --out wrote",
    )  # fmt: skip
    parser.add_argument(
        "--dry-run", action="store_true", help="with --write-tags: only print the changes"
    )
    parser.add_argument(
        "--watch", nargs="?", type=float, const=10.0, metavar="SECONDS",
        help="look again every 10 (or SECONDS) seconds for files that are new, changed or gone, "
        "and write the table anew; Ctrl-C ends it, the same command goes on",
    )  # fmt: skip
    parser.add_argument(
        "--ray", nargs="?", const="local", metavar="ADDRESS",
        help="distribute the work with Ray, here (no ADDRESS, or 'local') or on a running cluster "
        "('auto' or HOST:PORT) whose machines have this package and the files at the same paths; "
        "the table is the same, and a worker that dies loses nothing",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=int, metavar="N",
        help="with --ray: number of workers (one per GPU of the cluster, else per core)",
    )  # fmt: skip
    parser.add_raw()
    parser.add_track("uri", "folder")
    return parser


def main(argv: list[str]) -> None:
    """Tag, list the broken files, and write the files' own tags if asked."""
    args = vars(_parser().parse_all(argv))
    _check(args)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # it need not take all of Unicode
    if args["from"]:
        _write_tags(Path(args["from"]), args["dry_run"])
        return
    from gtzan_lightning.inference.tag_table import check_out, find_sounds

    places = [Path(place) for place in args["place"]]
    if args["watch"] is not None:
        _watch(args, places)
        return
    check_out(Path(args["out"]))
    files = find_sounds(places)
    check_runs(args["run"], track_of(args))
    first_word(f"loading the model for {len(files)} files")
    tagged = _tag(args, files)
    again = f", {tagged.resumed} of them by an earlier run" if tagged.resumed else ""
    print(f"{printable(tagged.out)}: {tagged.songs} files{again}, {len(tagged.broken)} broken")
    if args["write_tags"]:
        _write_tags(tagged.out, args["dry_run"])
    _say_broken(tagged.broken)


def _watch(args: dict[str, Any], places: list[Path]) -> None:
    """Tag what is there and what comes, until Ctrl-C."""
    from gtzan_lightning.inference.tag_table import find_sounds

    look = partial(find_sounds, places, none_yet=True)
    check_runs(args["run"], track_of(args))
    first_word(f"loading the model for {len(look())} files and those that come")
    from gtzan_lightning.inference.ensemble import load
    from gtzan_lightning.inference.tag_files import watch_files

    tagger = load(args["run"], track_of(args), args["raw"])
    before: set[tuple[str, str]] = set()
    print(f"looking every {args['watch']:g} s; Ctrl-C ends it", flush=True)
    for tagged in watch_files(tagger, look, Path(args["out"]), args["watch"]):
        broken = f"{tagged.songs} files, {len(tagged.broken)} broken"
        print(f"{time.strftime('%H:%M:%S')} {printable(tagged.out)}: {broken}", flush=True)
        _say_broken(one for one in tagged.broken if one not in before)
        before = set(tagged.broken)


def _say_broken(broken: Iterable[tuple[str, str]]) -> None:
    for path, reason in broken:
        print(f"broken: {printable(path)}: {reason}", flush=True)


def _check(args: dict[str, Any]) -> None:
    """Raise UserError for flags that don't go together."""
    if args["dry_run"] and not args["write_tags"]:
        raise UserError("--dry-run belongs to --write-tags")
    if args["write_tags"]:
        import_module("gtzan_lightning.inference.file_tags")  # says now if its library is missing
    _check_watch(args)
    if not args["from"]:
        _check_places(args)
        _check_ray(args["ray"], args["workers"])
        return
    if not args["write_tags"]:
        raise UserError("--from FILE belongs to --write-tags: it makes no table")
    no_use = {"place": "files", "out": "--out", "ray": "--ray", "workers": "--workers"}
    beside = [what for name, what in no_use.items() if args[name]]
    beside += ["--run"] * (args["run"] != [READY]) + ["--raw"] * args["raw"]
    if beside:
        raise UserError(f"--from takes no {' or '.join(beside)}: the table has the genres already")


def _check_watch(args: dict[str, Any]) -> None:
    if args["watch"] is None:
        return
    if not 0.1 <= args["watch"] <= 86400:
        raise UserError(f"--watch {args['watch']:g} is not between 0.1 and 86400 seconds")
    beside = [f"--{name.replace('_', '-')}" for name in ("ray", "write_tags", "from") if args[name]]
    if beside:
        raise UserError(f"--watch takes no {' or '.join(beside)}: tag without it, or do that after")


def _check_places(args: dict[str, Any]) -> None:
    """Raise UserError without files or table, such as where --run has swallowed the files."""
    missing = ["files or folders"] * (not args["place"]) + ["--out FILE"] * (not args["out"])
    last = Path(args["run"][-1])
    if not args["place"] and last.suffix != ".ckpt" and os.path.lexists(last):
        raise UserError(f"--run takes all words up to the next flag: name {last} before it")
    if missing:
        raise UserError(f"give {' and '.join(missing)} (see gtzan tag --help)")


def _write_tags(table: Path, dry: bool) -> None:
    """Say each change, and how many there were."""
    from gtzan_lightning.inference.file_tags import change_tags

    count = 0
    for line in change_tags(table, dry):
        print(line)
        count += not line.startswith("not written")
    print(f"{printable(table)}: {count} files {'would get' if dry else 'have got'} another genre")


def _check_ray(address: str | None, workers: int | None) -> None:
    """Raise UserError for an address that Ray can't have, such as a folder after a bare --ray."""
    if address not in (None, "local", "auto") and not re.fullmatch(r"[\w.-]+:\d+", address):
        raise UserError(f"--ray {address!r} must be local, auto or HOST:PORT")
    if workers is not None and address is None:
        raise UserError("--workers belongs to --ray")
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers} must be 1 or more")


def _tag(args: dict[str, Any], files: list[Path]) -> "Tagged":
    from gtzan_lightning.inference.ensemble import load
    from gtzan_lightning.inference.tag_files import tag_files
    from gtzan_lightning.inference.tagger import Tagger, fetch_checkpoint

    track, out = track_of(args), Path(args["out"])
    if args["ray"] is None:
        return tag_files(load(args["run"], track, args["raw"]), files, out)
    if len(args["run"]) > 1:
        raise UserError("--ray takes one --run: tag with one checkpoint, or without --ray")
    from gtzan_lightning.inference.tag_ray import rows_on_ray

    checkpoint = fetch_checkpoint(args["run"][0], track, args["raw"])
    make = partial(rows_on_ray, checkpoint=checkpoint, address=args["ray"], workers=args["workers"])
    return tag_files(Tagger(checkpoint), files, out, make)
