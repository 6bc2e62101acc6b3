"""Compare recorded runs: one table for each corpus and protocol."""

from pathlib import Path

from gtzan_lightning.cli import Parser, guarded
from gtzan_lightning.errors import UserError
from gtzan_lightning.settings import TrackSettings


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
    for name in ("uri", "folder", "experiment"):
        field = TrackSettings.model_fields[name]
        parser.add_argument(f"--track.{name}", default=field.default, help=field.description)
    args = vars(parser.parse_all(argv))
    if len(args["system"]) == 1:
        raise UserError("one system can't be compared: give two or more, or none for the tables")
    from gtzan_lightning.compare import choose, tables
    from gtzan_lightning.store import read_predictions, runs_table

    names = ("uri", "folder", "experiment")
    runs = runs_table(TrackSettings(**{n: args[f"track.{n}"] for n in names}))
    if args["system"]:
        from gtzan_lightning.pairs import compare, system

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
    if args["out"]:
        out = Path(args["out"])
        try:
            out.mkdir(parents=True, exist_ok=True)
            for number, table in enumerate(found, 1):
                (out / f"compare-{number}.md").write_text(table.markdown() + "\n")
                table.rows.drop(columns="runs").to_csv(out / f"compare-{number}.csv", index=False)
        except OSError as error:
            raise UserError(f"tables can't be written to {out}: {error.strerror}") from None
        print(f"written to {out}")


if __name__ == "__main__":
    guarded(main)
