"""Fetch GTZAN, or verify the copy that is there: ``python experiments/data.py``."""

from pathlib import Path
from typing import TYPE_CHECKING

from gtzan_lightning.recipe.command_line import Parser
from gtzan_lightning.recipe.settings import DataSettings

if TYPE_CHECKING:
    from gtzan_lightning.data.catalogue import Problem

SHOWN = 5  # names of songs in a line


def main(argv: list[str]) -> int:
    """Fetch, verify, say what is known of GTZAN. Returns 1 where songs are missing or broken."""
    parser = Parser(
        "data",
        "Fetch GTZAN (1,000 songs, 1.2 GB) into a folder where the other commands find it, and "
        "verify it. An interrupted download is resumed; a copy that is there is only verified.",
        epilog="Exit status: 1 where a song but jazz.00054 is missing or can't be read; 2 where "
        "GTZAN can't be had.",
    )
    root = DataSettings.model_fields["root"].default
    parser.add_argument("--data.root", default=root, help=f"folder of the songs ({root})")
    parser.add_argument(
        "--from", choices=["hub", "kaggle"], default="hub",
        help="hub: marsyas/gtzan on the Hugging Face hub, without an account; kaggle: the copy of "
        "andradaolteanu, with an account and the extra kaggle (hub)",
    )  # fmt: skip
    args = vars(parser.parse_all(argv))
    from gtzan_lightning.data.catalogue import find_gtzan, gtzan_ids
    from gtzan_lightning.data.corpora import CORPORA, Catalogue
    from gtzan_lightning.data.packing import verify

    root = Path(args["data.root"])
    if base := find_gtzan(root):
        print(f"GTZAN is in {base} already: nothing is downloaded")
    else:
        from gtzan_lightning.data.download import fetch

        print(fetch(root, args["from"]))
    songs = CORPORA["gtzan"](DataSettings(corpus="gtzan", root=str(root)))
    assert isinstance(songs, Catalogue)
    readable, problems = verify(songs)
    print(f"verified: {readable:,} of {len(gtzan_ids()):,} songs can be opened")
    print("\n".join(_lines(problems)))
    return int(any(p.left_out and p.name != "jazz.00054" for p in problems if p.what != "extra"))


def _lines(problems: "list[Problem]") -> list[str]:
    """What is wrong with the copy, then what is wrong with every copy."""
    from gtzan_lightning.data.catalogue import filtered_songs, gtzan_ids
    from gtzan_lightning.data.download import LICENCE

    kinds = dict.fromkeys(problem.what for problem in problems if problem.left_out)
    lines = []
    for kind in kinds:
        of_kind = [problem for problem in problems if problem.what == kind]
        names = [f"{p.name} ({p.detail})" if p.detail else p.name for p in of_kind]
        more = f", and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
        lines.append(f"  {kind}: {', '.join(names[:SHOWN])}{more}")
    known = sum(problem.what == "known fault" for problem in problems)
    left_out = len(gtzan_ids()) - len(filtered_songs())
    return [
        *lines,
        f"known faults: {known} of these songs repeat another or are damaged, and some genres are "
        f"wrong; the fault-filtered lists leave {left_out} songs out (--data.split filtered)",
        f"licence: {LICENCE}",
    ]
