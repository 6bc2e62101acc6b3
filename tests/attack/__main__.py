"""Everything that the package should survive, at scale: ``make attack``.

Keeps the result of each part under the build folder and writes a page of all that are there. The
status is 1 if a part that was run lost anything.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.attack import results
from tests.attack.kills import kills
from tests.attack.packs import packing, verifying
from tests.attack.page import page
from tests.attack.permissions import permissions
from tests.attack.results import Part
from tests.attack.soak import soak
from tests.attack.sound import sound
from tests.attack.tagging import tag, tag_killed, tag_ray
from tests.attack.work import ROOT, Tried, Work

PARTS: dict[Part, Callable[[Work], Iterator[Tried]]] = {
    Part("sound", "each file by itself", "Tagger.load(CKPT).predict_file(FILE)"): sound,
    Part("tag", "tagging", "gtzan tag FOLDER --run CKPT --out FILE"): tag,
    Part("tag_killed", "tagging, killed and resumed", "gtzan tag FOLDER --out FILE"): tag_killed,
    Part("tag_ray", "tagging on Ray", "gtzan tag FOLDER --ray --workers 2 --out FILE"): tag_ray,
    Part("packing", "packing", "prepare(DataSettings(corpus='folder', root=FOLDER))"): packing,
    Part("verifying", "verifying, auditing", "gtzan audit FOLDER"): verifying,
    Part("page", "the page", "gtzan app --run CKPT"): page,
    Part(
        "permissions", "no permission", "gtzan tag FOLDER; without the rights of root", is_told=True
    ): permissions,
    Part(
        "kills", "kill -9, resumed", "gtzan run, tag, sweep, ladder; prepare()", is_told=True
    ): kills,
    Part("soak", "an hour of work", "gtzan app and gtzan tag --watch", is_told=True): soak,
}


def main() -> int:
    """Run the parts that are named, and write the page."""
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    said = f"which parts, none to write the page only ({' '.join(names)})"
    parser.add_argument(
        "--parts", nargs="*", metavar="PART", choices=names, default=names, help=said
    )
    parser.add_argument("--files", type=int, default=1000, help="hostile files (1000)")
    parser.add_argument("--seed", type=int, default=0, help="of files and moments (0)")
    parser.add_argument("--kills", type=int, default=50, help="processes killed (50)")
    parser.add_argument("--soak", type=float, default=3600, help="seconds of the soak (3600)")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "attack",
                        help="folder for songs and results (build/attack)")  # fmt: skip
    parser.add_argument("--out", type=Path, help="also write the page there")
    args = parser.parse_args()
    build = args.build.resolve()
    work = Work(build, args.files, args.seed, args.kills, args.soak)
    build.mkdir(parents=True, exist_ok=True)
    lost = 0
    for part, attack in PARTS.items():
        if part.name in args.parts:
            lost += len(results.keep(work, part.name, attack(work))["lost"])
    if args.out:
        args.out.write_text(results.page(work, PARTS))
    return int(lost > 0)


if __name__ == "__main__":
    raise SystemExit(main())
