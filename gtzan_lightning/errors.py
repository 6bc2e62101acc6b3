"""The one error whose message is meant for the person at the keyboard; limits of the machine."""

import errno

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
SAID = 160  # characters of what a library said


def in_a_line(said: object) -> str:
    """The beginning of what a library's error says, as part of a line; of one without words, its
    kind."""
    kind = type(said).__name__ if isinstance(said, BaseException) else ""
    return " ".join(str(said).split())[:SAID] or kind


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


# what the system may refuse at any write or read, and what helps
REMEDIES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room, or ask for a larger quota",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f)",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close other programs: the machine has too many files open",
    errno.EROFS: "have the disk mounted for writing",
    errno.EACCES: "mend the permissions",
    errno.EPERM: "mend the permissions",
    errno.EIO: "look after the disk",
    errno.ENOMEM: "free memory, or raise its limit (ulimit -v)",
    errno.ESTALE: "mount the disk again",
}


def refused(error: BaseException) -> str | None:
    """What the machine has refused and what helps, such as ``No space left on device: make room``.

    None for an error of another kind.
    """
    if isinstance(error, OSError) and error.errno in REMEDIES:
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{where}: {REMEDIES[error.errno]}"
    said = str(error)
    is_library = "can't allocate memory" in said or "failed to map segment" in said
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or is_library:
        return "no memory left: take a smaller fit.batch_size, free memory or raise its limit"
    if said.startswith("DataLoader worker"):
        return "a process of the loader has died: take data.workers 0, or free memory"
    return None
