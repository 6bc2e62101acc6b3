"""The one error whose message is meant for the person at the keyboard, and who says it."""

import sys
from collections.abc import Callable
from typing import NoReturn

# libraries that some commands need, and the extra of pyproject.toml that brings each
EXTRAS = {
    "optuna": "sweep",
    "mutagen": "tag",
    "gradio": "web",
    "psycopg": "server",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
    "ray": "ray",
}


class UserError(Exception):
    """Bad input: the message is one line that says what, where and what to do about it."""


class Untrainable(UserError):
    """A recipe that no network can be made of; a sweep leaves it out and goes on."""


def guarded(main: Callable[[list[str]], int | None]) -> NoReturn:
    """Run an entry point: errors, a library of an extra that is not installed and Ctrl-C become
    one line on stderr (status 2, 2, 130)."""
    try:
        status = main(sys.argv[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 2
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(error.name or "")
        if extra is None:
            raise
        print(f"error: {error.name} is missing: pip install -e '.[{extra}]'", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    raise SystemExit(status or 0)
