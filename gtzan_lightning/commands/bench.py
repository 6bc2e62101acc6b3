"""What the package costs, beside what it is compared with: ``python experiments/bench.py``."""

from pathlib import Path

from gtzan_lightning.bench.run import PARTS, bench
from gtzan_lightning.commands.early import first_word
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import Parser, track_of
from gtzan_lightning.recipe.settings import DataSettings

HOW = """how the rows are measured:
  training  steps of run.py's own training (loader, transfer, features, augmentation, network,
            clipping, optimiser, averaging, metrics, logging to a store of its own) in turn (on a
            GPU in blocks of 50) with bare forward, loss, backward and optimiser steps of a second
            network of the same recipe on ready pictures; 3 s clips, the recipe's batch and
            augmentation
  feeding   batches of 64 random 3 s clips, warm, against the same clips read from 16-bit wav files
            of the same songs (up to 100), as GTZAN has them
  features  64 clips of 3 s at 22,050 Hz on the processor against librosa clip by clip; on a GPU
            also the milliseconds of a batch
  defences  60 songs of 30 s (the corpus' own where it has files): decoded by processes that a file
            can end, and tagged by the model of the package with a journal of rows, against plain
            threads without bounds; first batches of a packed corpus, checked against unchecked
  start     run.py in a fresh process until its first step's loss is recorded (MLflow's time), with
            songs, store and imports in the caches; run.py --help until it ends; the best turn
  growth    songs of 2 s at 8 kHz: packing wav files, feeding whole epochs, evaluation clips until
            they are pictures; the peak of resident memory of that process, libraries and mapped
            songs included, without a model

Threads are the environment's (OMP_NUM_THREADS). A busy machine makes all times worse, and
ratios less so: the table says how busy it was."""


def main(argv: list[str]) -> None:
    """Measure, print the table, record it, and with ``--out`` write it."""
    parser = Parser(
        "bench",
        "Time this package against alternatives, both sides in turn, and print a table: ours, "
        "against, ratio with its range, target, met or not. Table, machine and a plot of growth "
        "are recorded as an MLflow run.",
        epilog=HOW,
        formatter_class=Parser.as_written,
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART",
        help=f"parts to measure: {', '.join(PARTS)} (all)",
    )  # fmt: skip
    root = DataSettings().root
    parser.add_argument(
        "--data.root", default=root, metavar="FOLDER",
        help=f"GTZAN, for training, feeding and features ({root}; synthetic if absent)",
    )  # fmt: skip
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="turns per side (5)")
    parser.add_argument("--out", metavar="FILE.md", help="also write the table to a file")
    parser.add_track("uri", "folder", "experiment")
    args = vars(parser.parse_all(argv))
    if args["repeats"] < 1:
        raise UserError(f"--repeats {args['repeats']}: at least one turn is needed")
    out = Path(args["out"]) if args["out"] else None
    first_word(f"measuring {', '.join(args['only'])}")
    print(bench(args["only"], args["data.root"], args["repeats"], out, track_of(args)))
