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


class UserError(Exception):
    """Bad input: the message is one line that says what, where and what to do about it."""


class Untrainable(UserError):
    """A recipe that no network can be made of; a sweep leaves it out and continues."""
