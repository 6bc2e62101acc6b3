"""Judge songs, a protocol, a feature table or a run before anyone trains."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from gtzan_lightning.commands.early import first_word
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import Parser, track_of, write_output
from gtzan_lightning.recipe.protocol_names import PROTOCOLS
from gtzan_lightning.recipe.settings import TrackSettings

if TYPE_CHECKING:
    from gtzan_lightning.audit.findings import Finding
    from gtzan_lightning.audit.songs import Subject


def main(argv: list[str]) -> int:
    """Print the findings, the worst first. Returns 1 where something leaks."""
    parser = Parser(
        "audit",
        "Judge songs, a protocol, a feature table or a run: what is in two parts, which songs "
        "are one recording, what is broken, which flaws or columns tell the genre.",
        epilog="Exit status: 1 where something leaks, else 0; 2 for bad input.",
    )
    parser.add_argument(
        "what", metavar="WHAT",
        help="a folder of songs (GTZAN or GENRE/*.wav), a packed corpus, a CSV feature table, a "
        "CSV protocol (song,part and perhaps genre, artist, title), a protocol's name, or a run id",
    )  # fmt: skip
    parser.add_argument(
        "--protocol", metavar="NAME|FILE",
        help=f"parts of the songs: {', '.join(PROTOCOLS)}, or a CSV file song,part",
    )  # fmt: skip
    parser.add_argument(
        "--html", metavar="FILE", help="also write a page with pictures and players"
    )
    parser.add_track("uri", "folder", "experiment")
    args = vars(parser.parse_all(argv))
    first_word(f"reading {args['what']}")
    from gtzan_lightning.audit.judge import judge
    from gtzan_lightning.audit.read import with_parts

    subject = _read(args["what"], track_of(args))
    if args["protocol"]:
        subject = with_parts(subject, args["protocol"])
    findings = judge(subject)
    summary = _summary(subject, findings)
    print("\n".join([*map(str, findings), summary]))
    if args["html"]:
        from gtzan_lightning.audit.page import html

        write_output(Path(args["html"]), html(subject, findings, summary))
        print(f"written: {args['html']}")
    return int(any(finding.severity == "leak" for finding in findings))


def _read(what: str, track: TrackSettings) -> "Subject":
    """A file, a folder or a protocol; a word that is none of them is a run."""
    from gtzan_lightning.audit.read import read

    if Path(what).exists() or what in PROTOCOLS:
        return read(what)
    from gtzan_lightning.tracking.reading import read_songs

    try:
        with tempfile.TemporaryDirectory() as folder:
            return read(str(read_songs(what, track, folder)))
    except UserError as error:
        raise UserError(
            f"{what}: no such folder, file or protocol ({', '.join(PROTOCOLS)}); {error}"
        ) from None


def _summary(subject: "Subject", findings: "list[Finding]") -> str:
    """Such as ``gtzan: 50 songs, train 40, test 10: 1 leak, 2 warnings``."""
    songs = len(subject.genre_of)
    parts = Counter(song.part for song in subject.songs if song.part)
    counts = Counter(finding.severity for finding in findings)
    said = [f"{counts[s]} {s}{'s' * (counts[s] > 1)}" for s in ("leak", "fault", "warning", "note")
            if counts[s]]  # fmt: skip
    words = [f"{songs} songs", *(f"{part} {n}" for part, n in parts.items())]
    words += [] if subject.sounds else ["no sound to hear"]
    words += [] if parts else ["no protocol: parts were not judged"]
    return f"{subject.name}: {', '.join(words)}: {', '.join(said) or 'nothing wrong'}"
