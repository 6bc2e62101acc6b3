"""What a hostile file is, and which words tell the truth about it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# good: a whole song with an odd name; its genres are exactly those of the clean copy.
# broken: a finding that says why. cut: a finding, or a row with a remark that says so; packing
# leaves it out. either: a row within bounds or a finding, for nobody can say which is right.
Truth = Literal["good", "broken", "cut", "either"]
# words of findings, as regular expressions without case
CUT = r"truncat|cut|damaged|there$|are there"
DAMAGED = rf"{CUT}|not a sound|no samples|short|codec|header|silent|format|empty"
RATE = r"rate|Hz|too short|too long|no samples"
CHANNELS = rf"channel|{DAMAGED}"
NUMBERS = r"not numbers|no number|not finite|NaN|infinit"
LONG = r"too long|limit|more than|longer|at most|silent|hour"


@dataclass(frozen=True)
class Draft:
    """A file that is to be written; ``content`` may write it itself, where it is no plain file."""

    kind: str
    suffix: str
    content: bytes | Callable[[Path], None]
    truth: Truth = "either"
    reasons: str = ""


@dataclass(frozen=True)
class Hostile:
    """A file that was written.

    Attributes:
        path: the file.
        clean: its plainly named copy, of good songs.
        is_folder: a search for files goes into it, so that no row is made for it.
        can_upload: a browser could send it.
    """

    path: Path
    kind: str
    truth: Truth
    reasons: str
    clean: Path | None = None
    is_folder: bool = False
    can_upload: bool = True
