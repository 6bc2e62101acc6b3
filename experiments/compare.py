"""Compare recorded runs: one table for each corpus and protocol."""

from pathlib import Path

from gtzan_lightning.cli import Parser, guarded
from gtzan_lightning.errors import UserError
from gtzan_lightning.settings import TrackSettings


def main(argv: list[str]) -> None:
    """Print the tables; with ``--out FOLDER`` also write each as Markdown and CSV."""
    parser = Parser(
        prog="experiments/compare.py",
        allow_abbrev=False,
        description="Print a table of runs for each corpus and protocol: song accuracy with its "
        "95 % Wilson interval, averaged over seeds and folds. Runs of different songs or protocols "
        "never share a table; leaky and unfinished runs are marked.",
    )
    parser.add_argument("--out", metavar="FOLDER", help="also write compare-N.md and compare-N.csv")
    for name in ("uri", "folder", "experiment"):
        field = TrackSettings.model_fields[name]
        parser.add_argument(f"--track.{name}", default=field.default, help=field.description)
    args = vars(parser.parse_all(argv))
    from gtzan_lightning.compare import tables
    from gtzan_lightning.tracking import runs_table

    names = ("uri", "folder", "experiment")
    found = tables(runs_table(TrackSettings(**{n: args[f"track.{n}"] for n in names})))
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
