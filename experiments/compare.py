"""Compare recorded runs: one table for each corpus and protocol."""

from pathlib import Path

from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing
from gtzan_lightning.recipe.command_line import Parser, guarded, track_of


def main(argv: list[str]) -> None:
    """Print the tables, or with systems the tests of their differences."""
    parser = Parser(
        prog="experiments/compare.py",
        allow_abbrev=False,
        description="Print a table of runs for each corpus and protocol: song accuracy with its "
        "95 % Wilson interval, averaged over seeds and folds. Runs of different songs or protocols "
        "never share a table; leaky and unfinished runs are marked.",
    )
    parser.add_argument(
        "system",
        nargs="*",
        help="two or more systems (a model, a recipe, a run's name or id) to pair by song: "
        "difference with interval, permutation test (Holm for more than two), McNemar's exact test",
    )
    parser.add_argument("--out", metavar="FOLDER", help="also write compare-N.md and compare-N.csv")
    parser.add_argument("--html", metavar="FILE", help="also write one page for a browser")
    parser.add_argument("--latex", metavar="FILE", help="also write booktabs tables")
    parser.add_track("uri", "folder", "experiment")
    args = vars(parser.parse_all(argv))
    if len(args["system"]) == 1:
        raise UserError("one system can't be compared: give two or more, or none for the tables")
    from gtzan_lightning.results.tables import choose, tables
    from gtzan_lightning.tracking.reading import read_predictions, runs_table

    runs = runs_table(track_of(args))
    if args["system"]:
        from gtzan_lightning.results.significance import compare, system

        part, chosen = choose(runs, args["system"])
        systems = [
            system(word, [read_predictions(id_) for id_ in of_word["run_id"]], part)
            for word, of_word in chosen.items()
        ]
        for one in systems:
            print(f"{one.name}: {one.right.mean():.3f}, {one.runs} runs, {len(one.right)} songs")
        print(*(pair.sentence() for pair in compare(systems)), sep="\n")
        return
    found = tables(runs)
    print("\n\n".join(table.markdown() for table in found) or "no runs yet")
    written = {}
    for number, table in enumerate(found if args["out"] else [], 1):
        base = Path(args["out"]) / f"compare-{number}"
        written[base.with_suffix(".md")] = table.markdown() + "\n"
        written[base.with_suffix(".csv")] = table.rows.drop(columns="runs").to_csv(index=False)
    if args["html"] or args["latex"]:
        from gtzan_lightning.results.html import html, latex
        from gtzan_lightning.tracking.reading import metric_history, predictions_if_any

        if args["latex"]:
            written[Path(args["latex"])] = latex(found)
        if args["html"]:
            written[Path(args["html"])] = html(
                found, predictions_if_any, lambda run: metric_history(run, "valid/song_accuracy")
            )
    for file, text in written.items():
        try:
            with replacing(file) as part:
                part.write_text(text)
        except OSError as error:
            raise UserError(f"{file} can't be written: {error.strerror}") from None
        print(f"written: {file}")


if __name__ == "__main__":
    guarded(main)
