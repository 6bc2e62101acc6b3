"""Compare recorded runs: one table for each corpus and protocol."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtzan_lightning.commands.early import first_word
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import Parser, track_of, write_output
from gtzan_lightning.recipe.settings import TrackSettings

if TYPE_CHECKING:
    import pandas as pd

    from gtzan_lightning.results.ensemble import Runs
    from gtzan_lightning.results.significance import Pair, System
    from gtzan_lightning.results.tables import Choice, Table


def main(argv: list[str]) -> None:
    """Print the tables, or with systems the tests of their differences."""
    args = vars(_parser().parse_all(argv))
    if args["system"] and args["ensemble"]:
        raise UserError("--ensemble takes its systems itself: leave out those before it")
    if 1 in (len(args["system"]), len(args["ensemble"])):
        raise UserError("one system can't be compared: give two or more, or none for the tables")
    first_word("reading the runs")
    from gtzan_lightning.results.rows import asked_for
    from gtzan_lightning.results.screen import shown
    from gtzan_lightning.results.tables import read_csv, tables

    if args["table"]:
        print(shown(read_csv(Path(args["table"]))))
        return
    from gtzan_lightning.tracking.reading import openings, predictions_if_any, runs_table

    track = track_of(args)
    if args["ensemble"]:
        args["system"] = args["ensemble"]
    if args["system"]:
        _compare(args, track)
        return
    read = partial(predictions_if_any, track=track)
    runs = asked_for(runs_table(track), args["seeds"], args["folds"])
    all_tables = tables(runs, read, openings(track))
    print("\n\n".join(map(shown, all_tables)) or "no runs yet")
    _write(all_tables, args, track)


def _parser() -> Parser:
    parser = Parser(
        "compare",
        "Print a table of runs per corpus and protocol: song accuracy with its 95 % "
        "interval, over all seeds and folds. Runs of different songs or protocols never share "
        "a table; leaky and unfinished runs are marked.",
    )
    parser.add_argument(
        "system", nargs="*",
        help="two or more systems (model, recipe, run name or run id) to compare song by song: "
        "difference with interval and test by artist, McNemar's test (Holm for more than two)",
    )  # fmt: skip
    parser.add_argument(
        "--ensemble", nargs="+", default=[], metavar="SYSTEM",
        help="two or more systems that also vote together, by the mean of their songs' "
        "log-probabilities: each is compared with all, and all with one another",
    )  # fmt: skip
    parser.add_argument("--out", metavar="FOLDER", help="also write them as Markdown and CSV")
    parser.add_argument("--html", metavar="FILE", help="also write a page for a browser")
    parser.add_argument(
        "--latex", metavar="FILE", help="also write booktabs tables for a column of an article"
    )
    parser.add_argument(
        "--table", metavar="FILE", help="print a CSV table that --out wrote, without reading runs"
    )
    parser.add_argument("--seeds", nargs="+", metavar="N", help="count runs of these seeds only")
    parser.add_argument(
        "--folds", nargs="+", metavar="K",
        help="count runs of these folds only; all: only seeds that have run all folds",
    )  # fmt: skip
    parser.add_track("uri", "folder", "experiment")
    return parser


def compare(*systems: str, track: TrackSettings | None = None) -> "list[Pair]":
    """Can two or more recorded systems be told apart? One ``Pair`` for each two of them.

    Args:
        systems: each a model, a recipe, a run's name or the beginning of its id; all seeds of it.
        track: the store of the runs (none: ``mlruns``, or MLFLOW_TRACKING_URI).

    Raises:
        UserError: a word means nothing or several recipes, or they share no table.
    """
    from gtzan_lightning.results.significance import pairs

    return pairs(_systems(*_runs(systems, track or TrackSettings())))


def ensemble(*systems: str, track: TrackSettings | None = None) -> "list[pd.DataFrame]":
    """Predictions of two or more recorded systems together, as ``predictions`` gives one's.

    Args:
        systems: as ``compare`` takes them.
        track: as ``compare`` takes it.

    Returns:
        A table for each seed and fold that all have, with a row for each song.

    Raises:
        UserError: as ``compare`` does; they share no seed and fold; or know other genres.
    """
    from gtzan_lightning.results.ensemble import of_systems

    of_words = _runs(systems, track or TrackSettings())[1]
    return list(of_systems(list(of_words.values())).values())


def predictions(run: str, track: TrackSettings | None = None) -> "pd.DataFrame":
    """predictions.csv of a run: part, song, start (seconds), genre, a log-probability each genre.

    Args:
        run: its id or the beginning of it, its name, or a model or recipe that was run once.
        track: as ``compare`` takes it.

    Raises:
        UserError: ``run`` means no finished run, or several.
    """
    from gtzan_lightning.results.tables import choose
    from gtzan_lightning.tracking.reading import read_predictions, runs_table

    track = track or TrackSettings()
    (meant,) = choose(runs_table(track), [run]).runs.values()
    if len(meant) > 1:
        raise UserError(f"{run!r} means {len(meant)} runs: give {' or '.join(meant['run_id'])}")
    return read_predictions(meant["run_id"].iloc[0], track)


def _systems(chosen: "Choice", runs: "dict[str, Runs]") -> "list[System]":
    """The answers of what ``_runs`` gives."""
    from gtzan_lightning.results.significance import system

    part = chosen.table.part
    return [system(word, of_word, part) for word, of_word in runs.items()]


def _runs(
    words: Sequence[str],
    track: TrackSettings,
    seeds: Sequence[str] | None = None,
    folds: Sequence[str] | None = None,
) -> "tuple[Choice, dict[str, Runs]]":
    """The runs that words mean, and for each word their predictions by seed and fold."""
    from gtzan_lightning.results.rows import asked_for
    from gtzan_lightning.results.tables import choose
    from gtzan_lightning.tracking.reading import read_predictions, runs_table

    chosen = choose(asked_for(runs_table(track), seeds, folds), list(words))
    return chosen, {
        word: {
            (str(row["seed"]), str(row.get("fold", ""))): read_predictions(row["run_id"], track)
            for _, row in of_word.iterrows()
        }
        for word, of_word in chosen.runs.items()
    }


def _compare(args: dict[str, Any], track: TrackSettings) -> None:
    """Print the systems that words mean and what the tests say of each pair; write it too."""
    import pandas as pd

    from gtzan_lightning.results.ensemble import of_systems
    from gtzan_lightning.results.significance import pairs, system

    chosen, runs = _runs(args["system"], track, args["seeds"], args["folds"])
    context, systems = chosen.context, _systems(chosen, runs)
    if args["ensemble"]:
        together = of_systems(list(runs.values()))
        systems.append(system(f"all {len(runs)}", together, chosen.table.part))
    lines = [
        f"{s.name}: {s.right.mean():.3f}, {s.runs} run{'s' * (s.runs > 1)}, {len(s.right)} songs"
        for s in systems
    ]
    of_pairs = pairs(systems)
    text = "\n".join([*lines, *(pair.sentence(context) for pair in of_pairs)])
    print(text)
    where = context.removeprefix(", ")
    numbers = [{**vars(pair), "apart": pair.apart, "measured on": where} for pair in of_pairs]
    made = {}
    if args["out"]:
        made[Path(args["out"]) / "comparison.md"] = text + "\n"
        table = pd.DataFrame(numbers, dtype=object)
        made[Path(args["out"]) / "comparison.csv"] = table.to_csv(index=False)
    if args["html"]:
        from gtzan_lightning.results.html import html_of_pairs

        made[Path(args["html"])] = html_of_pairs(of_pairs, where)
    if args["latex"]:
        from gtzan_lightning.results import latex

        made[Path(args["latex"])] = latex.of_pairs(of_pairs, where)
    for file, content in made.items():
        write_output(file, content)
        print(f"written: {file}")


def _write(tables: "list[Table]", args: dict[str, Any], track: TrackSettings) -> None:
    """Write the files that the flags ask for."""
    texts = {}
    for number, table in enumerate(tables if args["out"] else [], 1):
        base = Path(args["out"]) / f"compare-{number}"
        texts[base.with_suffix(".md")] = table.markdown() + "\n"
        texts[base.with_suffix(".csv")] = table.csv()
    if args["latex"]:
        from gtzan_lightning.results import latex

        texts[Path(args["latex"])] = "\n".join(map(latex.of_table, tables))
    if args["html"]:
        from gtzan_lightning.results.html import html
        from gtzan_lightning.tracking.reading import metric_history, predictions_if_any, run_url

        texts[Path(args["html"])] = html(
            tables,
            lambda run: predictions_if_any(run, track),
            lambda run: metric_history(run, "valid/song_accuracy", track),
            lambda run: run_url(track, run),
            f"mlflow server --backend-store-uri sqlite:///{track.folder}/mlflow.db",
        )
    for file, text in texts.items():
        write_output(file, text)
        print(f"written: {file}")
