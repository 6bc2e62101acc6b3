"""Text for a terminal: sentences broken between words, names of files that can't steer it."""

import re
import shutil
import sys
import textwrap

_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


# names of what stands after them in an address
_SECRET = r"[\w-]*(?:token|secret|passw|pwd|signature|credential|api_?key|access_?key|auth)[\w-]*"


def shown(text: str) -> str:
    """A text, such as an address or what a library said of it, without passwords and tokens."""
    text = re.sub(r"(://[^:@/\s]*):\S*@", r"\1:***@", text)
    text = re.sub(r"(https?://)[^:@/\s]+@", r"\1***@", text)  # a token alone
    text = re.sub(rf"([?&;#](?:{_SECRET}|sig|key)=)[^&;#\s'\"]+", r"\1***", text, flags=re.I)
    text = re.sub(r"\b(Bearer )\S+|\bhf_\w{8,}", r"\1***", text)
    return re.sub(r"(password=)[^&\s]+", r"\1***", text)


def fitted(text: str) -> str:
    """The text for standard output; where that is no terminal, as it is."""
    if not sys.stdout.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(_broken(line, width) for line in text.split("\n"))


def _broken(line: str, width: int) -> str:
    if len(re.sub(r"\x1b\[[0-9;]*m", "", line)) <= width:  # colours take no room
        return line
    return textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)


def harmless(text: str) -> str:
    r"""The text with its control characters as bytes, such as ``\x1b``: none can steer a terminal.

    Line breaks of any kind, marks that turn the direction of writing, and bytes that are no UTF-8
    are among them.
    """
    return _STEERING.sub(lambda match: _as_bytes(match[0]), text)


def printable(name: object) -> str:
    """A file's name or path as one line that is harmless and UTF-8; two names never become one."""
    return harmless(str(name).replace("\\", r"\\"))


def _as_bytes(letter: str) -> str:
    # what os.fsdecode makes of a byte that is no UTF-8
    is_byte = "\udc80" <= letter <= "\udcff"
    content = letter.encode(errors="surrogateescape" if is_byte else "surrogatepass")
    return "".join(f"\\x{byte:02x}" for byte in content)
