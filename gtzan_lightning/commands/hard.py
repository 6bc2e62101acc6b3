"""Songs that most recorded runs get wrong: ``python experiments/hard.py``."""

from pathlib import Path

from gtzan_lightning.commands.early import first_word
from gtzan_lightning.recipe.command_line import Parser, track_of, write_output


def main(argv: list[str]) -> None:
    """Print the songs, beside what is known to be wrong with them."""
    parser = Parser(
        "hard",
        "List the songs that more than half of the finished runs that tested them (validation "
        "or test part) got wrong: share wrong, the most frequent wrong answer, and the known "
        "fault. Of each recipe, seed and fold the newest run counts; leaky runs and trials of "
        "sweeps do not.",
    )
    parser.add_argument("--out", metavar="FILE", help="also write the table as CSV")
    parser.add_track("uri", "folder", "experiment")
    args = vars(parser.parse_all(argv))
    first_word("reading the runs")
    from gtzan_lightning.data.catalogue import known_fault
    from gtzan_lightning.results.known_faults import hard_songs
    from gtzan_lightning.results.rows import column
    from gtzan_lightning.tracking.reading import predictions_if_any, runs_table

    track = track_of(args)
    runs = runs_table(track)
    counted = (column(runs, "status", "") == "FINISHED") & column(runs, "parent", None).isna()
    runs = runs[counted & (column(runs, "warning", "").fillna("") == "")]
    if len(runs):
        runs = runs.drop_duplicates(["recipe", "corpus", "seed", "fold"])
    ids = column(runs, "run_id", "")
    tables = [table for run in ids if (table := predictions_if_any(run, track)) is not None]
    if not tables:
        print("no finished runs with predictions yet")
        return
    hard = hard_songs(tables, known_fault)
    print(hard.text())
    if args["out"]:
        write_output(Path(args["out"]), hard.table.to_csv(index=False, float_format="%.4f"))
        print(f"written: {args['out']}")
