"""What this machine has and lacks: ``python experiments/doctor.py``."""

import shutil
from textwrap import wrap
from typing import TYPE_CHECKING

from gtzan_lightning.commands.early import first_word
from gtzan_lightning.recipe.command_line import Parser, track_of
from gtzan_lightning.recipe.recipes import as_flags
from gtzan_lightning.recipe.settings import DataSettings
from gtzan_lightning.terminal import shown

if TYPE_CHECKING:
    from rich.console import Console

    from gtzan_lightning.doctor.checks import Check

COLUMNS = 80  # at most, and in a file
STYLES = {"ok": "green", "missing": "yellow", "problem": "bold red"}


def main(argv: list[str]) -> int:
    """Print a line for each check as soon as it is known. Returns 1 where runs would fail."""
    parser = Parser(
        "doctor",
        "Say what is here and what is missing: versions, GPU, memory, disk, store, music, sound "
        "formats, weights, extras, and how to have what is missing. Nothing is changed.",
        epilog="Exit status: 1 where something is broken that gtzan run needs, else 0.",
    )
    for name in ("root", "packed"):
        field = DataSettings.model_fields[name]
        parser.add_argument(f"--data.{name}", default=field.default, help=field.description)
    parser.add_track("uri", "folder", "experiment")
    parser.add_argument("--offline", action="store_true", help="do not ask whether the hub answers")
    args = vars(parser.parse_all(argv))
    first_word("looking at this machine")
    from rich.console import Console

    from gtzan_lightning.doctor.checks import Asked, checks

    data = DataSettings(root=args["data.root"], packed=args["data.packed"])
    console = Console(width=min(COLUMNS, shutil.get_terminal_size().columns), highlight=False)
    broken = 0
    with console.status("looking"):
        for check in checks(Asked(data, track_of(args), args["offline"])):
            _print(console, check)
            broken += check.mark == "problem"
    return int(broken > 0)


def _print(console: "Console", check: "Check") -> None:
    """One line, or more where it is long: later ones are indented."""
    from rich.text import Text

    margin = 8 + 10
    lines = [as_flags(check.state), *([f"mend: {as_flags(check.mend)}"] if check.mend else [])]
    width = console.width - margin
    wrapped = [part for line in lines for part in wrap(shown(line), width, break_on_hyphens=False)]
    words = f"{check.what:10}" + f"\n{' ' * margin}".join(wrapped)
    text = Text.assemble((f"{check.mark:8}", STYLES[check.mark]), words)
    console.print(text, soft_wrap=True)
