"""Whether what became of a hostile file is what must become of it: "" or why not."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.hostile.words import Hostile

SECONDS, MEMORY = 5.0, 1e9  # that a file may cost
SUM = 1e-3  # probabilities of five decimals add up to 1 within this


@dataclass(frozen=True)
class Outcome:
    """What a part of the package made of a file.

    Attributes:
        probabilities: of all genres, as they are told; empty where there is a finding.
        finding: what is wrong with the file; empty where there are probabilities.
        remarks: what was done to its sound.
        seconds, memory: what it cost (0: not measured); memory in bytes.
    """

    probabilities: Sequence[float] = ()
    finding: str = ""
    remarks: str = ""
    seconds: float = 0.0
    memory: float = 0.0


def of_row(row: Mapping[str, str], genres: Sequence[str]) -> Outcome:
    """An outcome from a row of ``gtzan tag``'s table.

    A finding that has a genre too is none: ``judge`` refuses it.
    """
    told = [row[genre] for genre in genres]
    probabilities = [float(cell) if cell else math.nan for cell in told] if any(told) else []
    return Outcome(probabilities, row["error"], row["remarks"])


def judge(
    hostile: Hostile, outcome: Outcome | None, clean: Outcome | None = None, strict: bool = False
) -> str:
    """Why the file is lost, or "".

    Args:
        outcome: what became of it; None: nothing was said of it.
        clean: of the plainly named copy of a good song.
        strict: a song that is cut must have a finding; a remark is not enough.
    """
    if outcome is None:
        return "" if hostile.is_folder else "nothing said of it"
    if outcome.seconds > SECONDS:
        return f"took {outcome.seconds:.1f} s"
    if outcome.memory > MEMORY:
        return f"took {outcome.memory / 1e9:.1f} GB"
    if outcome.finding:
        return _judge_finding(hostile, outcome)
    return _judge_row(hostile, outcome, clean, strict)


def _judge_finding(hostile: Hostile, outcome: Outcome) -> str:
    said = outcome.finding
    if outcome.probabilities:
        return f"a finding and a genre: {said}"
    if "Traceback" in said or len(said.splitlines()) != 1 or len(said) > 300:
        return f"no line for users: {said[:80]!r}"
    if hostile.truth == "good":
        return f"a good song is left out: {said}"
    if hostile.truth != "either" and not re.search(hostile.reasons, said, re.I):
        return f"not the true reason: {said}"
    return ""


def _judge_row(hostile: Hostile, outcome: Outcome, clean: Outcome | None, strict: bool) -> str:
    shares = outcome.probabilities
    if not all(math.isfinite(share) and 0 <= share <= 1 for share in shares):
        return "probabilities that are none"
    if not shares or abs(sum(shares) - 1) > SUM:
        return f"probabilities add up to {sum(shares):g}"
    if hostile.truth == "broken":
        return "passes for a song"
    if hostile.truth == "cut" and (strict or not re.search(hostile.reasons, outcome.remarks, re.I)):
        return "passes for a whole song"
    if hostile.truth == "good" and clean is not None and list(shares) != list(clean.probabilities):
        return "other probabilities than those of the clean copy"
    return ""
