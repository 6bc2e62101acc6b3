"""What a rule says: a sentence, how bad it is, and examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["leak", "fault", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("leak", "fault", "warning", "note")
SHOWN = 3  # examples in a line of the terminal


@dataclass(frozen=True)
class Example:
    """Songs that a finding is about.

    Attributes:
        songs: one id, or the two of a pair.
        text: what is found there.
        starts: seconds at which the same sound begins in each of the songs.
    """

    songs: tuple[str, ...]
    text: str = ""
    starts: tuple[float, ...] = ()

    def __str__(self) -> str:
        return " = ".join(self.songs) + (f" ({self.text})" if self.text else "")


@dataclass(frozen=True)
class Finding:
    """One line of a report. ``leak`` means that scores measure something else than music."""

    rule: str
    severity: Severity
    sentence: str
    examples: tuple[Example, ...] = ()
    count: int = 0  # of songs, pairs or columns; there may be fewer examples

    def __str__(self) -> str:
        line = f"{self.severity.upper():8} {self.rule}: {self.sentence}"
        if not self.examples:
            return line
        more = ", ..." if self.count > SHOWN else ""
        return f"{line}; such as {', '.join(map(str, self.examples[:SHOWN]))}{more}"


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """Leaks, faults, warnings, notes; within each as the rules gave them."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
