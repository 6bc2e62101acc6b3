"""The ledger of what was measured: runs that count, and the documentation's tables made of it."""

import io
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from gtzan_lightning.commands.early import first_word
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import Parser, parse_run, track_of, write_output
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.results.reproductions import RECIPES

LEDGER = Path("docs") / "results.csv"
FIGURE = Path("docs") / "reproductions.png"
PAGES = (
    "README.md", "docs/results.md", "docs/reproductions.md", "docs/heard_before.md",
    "docs/model-card.md",
)  # fmt: skip
MODELS = "gtzan_lightning/recipe/models"
_MEASURED = re.compile(r"^# (?:Measured on|Not measured yet)(?s:.)*?\n(?=[^#])", re.M)
_BLOCK = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- /results -->)", re.S)


def main(argv: list[str]) -> None:
    """Add runs to the ledger, or write the tables of the documentation from it."""
    args = vars(_parser().parse_all(argv))
    root = Path(args["root"])
    if not (root / RECIPES / "systems.yaml").exists():
        raise UserError(f"--root {root} is no checkout: it has no {RECIPES}/systems.yaml")
    first_word("reading the ledger")
    if args["what"] == "add":
        if not args["run"]:
            raise UserError("give the runs to add: names, or the beginnings of their ids")
        for sentence in add_runs(args["run"], root, track_of(args)):
            print(sentence)
        return
    if args["run"]:
        raise UserError("'tables' takes no run")
    from gtzan_lightning.results.ledger import name_anew

    if renamed := name_anew(root / LEDGER, measures(root)):
        print(f"recipes have changed: {renamed} lines measure something else now")
    for page, text in pages(root).items():
        write_output(root / page, text)
        print(f"{page}: written")
    for name, figure in _figures(root).items():
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=110)
        write_output(root / name, image.getvalue())
        print(f"{name}: written")


def _parser() -> Parser:
    parser = Parser(
        "results",
        "The ledger docs/results.csv has a line for each finished run that counts. 'add' writes "
        "those of runs, and keeps their predictions in docs/results; it refuses a run that is "
        "unfinished, of uncommitted code, or leaky without a mark. 'tables' makes the tables of "
        "README and docs from it.",
    )
    parser.add_argument("what", choices=["add", "tables"], help="what to do")
    parser.add_argument("run", nargs="*", help="with add: runs (name, or beginning of the id)")
    parser.add_argument("--root", metavar="FOLDER", default=".", help="checkout to write to (.)")
    parser.add_track("uri", "folder", "experiment")
    return parser


def add_runs(words: list[str], root: Path, track: TrackSettings) -> list[str]:
    """Add the runs that words mean to the ledger of a checkout; returns what was done.

    Raises:
        UserError: a word means no run or several, or a run may have no line.
    """
    from gtzan_lightning.results import ledger
    from gtzan_lightning.tracking.finding import one
    from gtzan_lightning.tracking.reading import predictions_if_any, runs_table

    runs, lines, known = runs_table(track), {}, measures(root)
    for word in words:
        run = one(runs, word)
        ledger.check(run)
        lines[run["run_id"]] = ledger.line(run, *known.get(run["recipe"], ("", "")))
    gone = ledger.add(root / LEDGER, lines, partial(predictions_if_any, track=track))
    added = [f"added {line['model']} {line['recipe']}, run {run}" for run, line in lines.items()]
    return added + [f"replaced run {run}" for run in gone]


def measures(root: Path) -> dict[str, tuple[str, str]]:
    """Recipe key -> the systems of sources that its runs measure, and how; "own": a model's own.

    Args:
        root: of a checkout.
    """
    from gtzan_lightning.results.reproductions import cells

    filled, own = cells(root / RECIPES), own_recipes()
    found = {}
    for recipe in filled.keys() | own.keys():
        names, forms = filled.get(recipe, ([], []))
        forms = [*forms, *["own"] * (recipe in own)]
        found[recipe] = (" ".join(names), " ".join(forms))
    return found


def own_recipes() -> dict[str, str]:
    """Keys of the models' own recipes on the fault-filtered protocol, and the models."""
    from gtzan_lightning.recipe.identity import recipe_key

    flags = ("--data.split", "filtered")
    return {recipe_key(parse_run(["--model", name, *flags])[0]): name for name in MODEL_SETTINGS}


def pages(root: Path) -> dict[str, str]:
    """Pages and models' recipes of a checkout -> their text, with scores anew from the ledger.

    In a page they are in blocks, between ``<!-- results: NAME -->`` and ``<!-- /results -->``; in a
    recipe the last lines of its header.

    Raises:
        UserError: a page can't be read, or has a block of an unknown name.
    """
    from gtzan_lightning.results import defects, ledger
    from gtzan_lightning.results.headline import measured
    from gtzan_lightning.results.pages import of_models, own_tables
    from gtzan_lightning.results.reproductions import markdown, unfilled

    lines, read = ledger.read(root / LEDGER), ledger.reader(root / LEDGER)
    folder = root / RECIPES
    own, of_own = own_recipes(), own_tables(lines, read)
    ready = next(recipe for recipe, name in own.items() if name == "mn")
    blocks = {
        **of_models(lines, read, of_own, ready),
        "reproductions": lambda: markdown(lines, folder, read, why=True),
        "unfilled": lambda: unfilled(lines, folder),
        "defects": lambda: defects.markdown(lines, folder, read),
        "gains": lambda: defects.gains(lines, folder, read),
    }
    written = {}
    for page in PAGES:
        try:
            text = (root / page).read_text()
        except OSError as error:
            raise UserError(f"{root / page} can't be read: {error.strerror}") from None
        written[page] = _BLOCK.sub(partial(_made, page, blocks), text)
    for recipe, name in own.items():
        page = f"{MODELS}/{name}.yaml"
        if (root / page).exists():
            written[page] = _MEASURED.sub(
                "\n".join(measured(of_own, recipe)) + "\n", (root / page).read_text()
            )
    return written


def _made(page: str, blocks: dict[str, Callable[[], str]], block: re.Match[str]) -> str:
    begin, name, end = block.groups()
    if name not in blocks:
        raise UserError(f"{page}: there is no block {name!r}, only {', '.join(blocks)}")
    return f"{begin}\n{blocks[name]()}\n\n{end}"


def _figures(root: Path) -> dict[str, Any]:
    """What sources published, and our runs of their systems; what more training songs are worth."""
    from gtzan_lightning.results import ledger
    from gtzan_lightning.results.plots import published_plot, shares_plot
    from gtzan_lightning.results.reproductions import points
    from gtzan_lightning.results.shares import shares

    lines, read = ledger.read(root / LEDGER), ledger.reader(root / LEDGER)
    return {
        str(FIGURE): published_plot(points(lines, root / RECIPES, read)),
        "docs/shares.png": shares_plot(shares(lines, read)),
    }
