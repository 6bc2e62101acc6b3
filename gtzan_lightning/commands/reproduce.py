"""The systems of the source documents beside our own runs of them: one Markdown table."""

import os
from pathlib import Path

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import Parser, track_of, write_output

RECIPES = Path("experiments") / "recipes" / "reproductions"


def main(argv: list[str], recipes: Path = RECIPES) -> None:
    """Print or write the table, or list its commands; ``recipes`` is the default of a flag."""
    parser = Parser(
        "reproduce",
        "Print the source documents' systems: published score, what was wrong, and our runs as "
        "published, corrected, and on the artist-clean protocol. Cells without a run are empty; "
        "leaky runs are marked.",
    )
    parser.add_argument("--list", action="store_true", help="print the commands and stop")
    parser.add_argument("--out", metavar="FILE", help="also write the table to a file")
    parser.add_argument(
        "--recipes", metavar="FOLDER", type=Path, default=recipes,
        help=f"folder of systems.yaml and the recipes ({RECIPES})",
    )  # fmt: skip
    parser.add_track("uri", "folder", "experiment")
    args = vars(parser.parse_all(argv))
    recipes = args["recipes"]
    if not (recipes / "systems.yaml").exists():
        raise UserError(f"--recipes {recipes}: there is no systems.yaml; name that of a checkout")
    from gtzan_lightning.results.reproductions import commands, markdown

    if args["list"]:
        print("\n".join(commands(Path(os.path.relpath(recipes)))))
        return
    out = Path(args["out"]) if args["out"] else None
    if out and out.is_dir():
        raise UserError(f"--out {out} is a folder: name a file")
    from gtzan_lightning.tracking.reading import runs_table

    text = markdown(runs_table(track_of(args)), recipes)
    print(text)
    if out:
        write_output(out, text + "\n")
