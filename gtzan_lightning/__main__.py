"""The console command: ``gtzan run --model efficientnet``, or ``python -m gtzan_lightning run``."""

import sys
from importlib import import_module
from typing import NoReturn

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe import completion
from gtzan_lightning.recipe.command_line import Parser, guarded
from gtzan_lightning.recipe.recipes import near
from gtzan_lightning.version import __version__

COMMANDS = {
    "data": "fetch GTZAN, or verify the copy that is there",
    "run": "train, test and record one model",
    "runs": "list, find and delete recorded runs",
    "compare": "tables of the recorded runs; whether systems can be told apart",
    "audit": "judge songs, protocols and feature tables before training",
    "ladder": "one recipe under every protocol: what each shortcut is worth",
    "hard": "songs that most runs get wrong, and their known faults",
    "sweep": "tune a model over a space of settings",
    "tag": "genres of many sound files",
    "explain": "what a model looked at in a song",
    "app": "a web page that recognises genres",
    "export": "a model as one ONNX file",
    "models": "the models, their sources and their sizes",
    "reproduce": "the systems of the source documents beside our runs of them",
    "results": "the ledger of what was measured, and the tables made of it",
    "augmentation": "a clip before and after every augmentation",
    "doctor": "what this machine has and lacks, and how to have it",
    "bench": "what the package costs, beside what it is compared with",
}


def main(argv: list[str]) -> int | None:
    """Hand the flags to the command that is named."""
    if completion.wanted():
        if not argv:
            parser = Parser("")
            parser.add_argument("--version", action="store_true")
            parser.add_argument("command", choices=COMMANDS)
            parser.parse_all(argv)
        completion.next_word()
    name, *flags = argv or ["--help"]
    if name in ("-h", "--help"):
        lines = [f"  {command:13} {what}" for command, what in COMMANDS.items()]
        print("\n".join(["usage: gtzan COMMAND [flags]", "", *lines, "", "gtzan COMMAND --help"]))
        return 0
    if name == "--version":
        print(__version__)
        return 0
    if name not in COMMANDS:
        raise UserError(f"unknown command {name!r}{near(name, COMMANDS)} (see gtzan --help)")
    return import_module(f"gtzan_lightning.commands.{name}").main(flags)


def entry() -> NoReturn:
    """The ``gtzan`` of the command line."""
    guarded(main)


if __name__ == "__main__":
    sys.argv[0] = "gtzan"
    entry()
