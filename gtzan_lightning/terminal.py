"""Sentences as a terminal shows them: broken between words, where it would break within them."""

import re
import shutil
import sys
import textwrap


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
