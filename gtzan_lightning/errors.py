"""The one error whose message is meant for the person at the keyboard."""

# libraries that some commands need, and the extra of pyproject.toml that brings each
EXTRAS = {
    "optuna": "sweep",
    "mutagen": "tag",
    "gradio": "web",
    "psycopg": "server",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
    "ray": "ray",
    "transformers": "encoders",
    "kagglehub": "kaggle",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
}


LONGEST = 2000  # characters of a message: names in it may be of any length


class UserError(Exception):
    """Bad input: the message is one line that says what, where and what to do about it.

    Names of files and words of their contents may hold anything: what no terminal prints is
    written as an escape, and a long message loses its middle.
    """

    def __init__(self, message: str) -> None:
        shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
        line, half = "".join(shown), LONGEST // 2
        super().__init__(line if len(line) <= LONGEST else f"{line[:half]} ... {line[-half:]}")


class NoNumber(UserError):
    """A loss, weight or prediction that is NaN or infinite; a sweep notes it and continues."""


class Untrainable(UserError):
    """A recipe that no network can be made of; a sweep leaves it out and continues."""
