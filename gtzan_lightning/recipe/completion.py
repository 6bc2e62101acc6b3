"""What a shell offers at the tabulator key. The only file that imports argcomplete.

The shell starts the command anew with ``_ARGCOMPLETE`` and the line so far in its environment;
the command gets as far as its parser, which answers and ends the process.
"""

import contextlib
import os
from collections.abc import Callable, Iterable
from typing import Any

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS

START = "_ARGCOMPLETE"  # which word of the line the command is, from 1
_NUMBERS = ("INT", "FLOAT", "N", "K", "H", "T")


def wanted() -> bool:
    """Whether a shell asks."""
    return START in os.environ


def answer(main: Callable[[list[str]], object]) -> None:
    """Start the command as far as its parser, which ends the process.

    Where the arguments in front of the cursor are refused, such as a flag that has no value yet,
    fewer of them are tried.
    """
    start, words = os.environ[START], _words_before()
    for count in range(len(words), -1, -1):
        os.environ[START] = start
        with contextlib.suppress(UserError):
            main(words[:count])


def _words_before() -> list[str]:
    """The arguments in front of the one at the cursor."""
    import argcomplete

    line = os.environ["COMP_LINE"].encode()[: int(os.environ["COMP_POINT"])].decode()
    words: list[str] = argcomplete.split_line(line, len(line))[3]
    return words[int(os.environ[START]) :]


def next_word() -> None:
    """Complete as if the line began a word later, such as with ``tag`` of ``gtzan tag``."""
    os.environ[START] = str(int(os.environ[START]) + 1)


def complete(parser: Any, more_actions: Iterable[Any]) -> None:
    """Answer the shell and end the process.

    Args:
        parser: argparse's.
        more_actions: of a parser that took its own flags before.
    """
    import argcomplete

    for action in more_actions:
        if not set(action.option_strings) & set(parser._option_string_actions):
            parser._add_action(action)
    for action in parser._actions:
        if offered := _completer(action):
            action.completer = offered
    argcomplete.autocomplete(parser, always_complete_options="long")


def _completer(action: Any) -> Callable[..., list[str]] | None:
    """The words for a value; None where argcomplete offers choices, or files."""
    name = str(action.metavar)
    if action.dest == "model":
        return lambda **_: list(MODEL_SETTINGS)
    if name.startswith("{"):  # such as {filtered,artist}
        return lambda **_: name.strip("{}").split(",")
    if name == "BOOL":
        return lambda **_: ["true", "false"]
    return (lambda **_: []) if name in _NUMBERS else None
