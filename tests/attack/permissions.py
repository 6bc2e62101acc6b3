"""Files and folders that may not be read, tried by a process for which permissions count."""

import os
import shutil
import sys
from collections.abc import Iterator

from gtzan_lightning.inference.tag_table import read_csv
from tests.attack.processes import run
from tests.attack.work import GTZAN, Tried, Work

LIMIT = 180.0


def permissions(work: Work) -> Iterator[Tried]:
    """A song and a folder that are closed: both are named, the others are tagged."""
    folder = work.folder("permissions")
    copies = sorted(one.clean for one in work.hostile if one.clean)[:4]
    for number, file in enumerate(copies):
        genre = folder / "songs" / ("open" if number < 3 else "closed")
        genre.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, genre / f"{number}{file.suffix}")
    shut = folder / "songs" / "open" / "shut.wav"
    shutil.copy(copies[0], shut)
    shut.chmod(0)
    (folder / "songs" / "closed").chmod(0)
    out = folder / "table.csv"
    command = [*GTZAN, "tag", str(folder / "songs"), "--run", work.checkpoint, "--out", str(out)]
    ended = run([*_bound(), *command], LIMIT)
    yield Tried("tag", ended.noise() or ("" if ended.status == 0 else ended.said.strip()[-200:]))
    rows = {row["path"]: row for row in read_csv(out)} if out.exists() else {}
    tagged = sum(bool(row["genre"]) for row in rows.values())
    yield Tried("songs beside them", "" if tagged == 3 else f"{tagged} of 3 tagged")
    said = rows.get(str(shut), {}).get("error", "nothing said of it")
    yield Tried("a song that is closed", "" if "permission" in said else said)
    is_named = str(folder / "songs" / "closed") in ended.said + "".join(rows)
    yield Tried("a folder that is closed", "" if is_named else "nothing said of it")
    pack = [sys.executable, "-m", "tests.attack.packs", "pack", str(folder / "songs")]
    packed = run([*_bound(), *pack, str(folder / "packed"), str(folder / "packed.json")], LIMIT)
    lines = packed.said.strip().splitlines()
    is_line = packed.status == 0 or (packed.status == 2 and "not readable" in lines[-1])
    yield Tried("packing them", packed.noise() or ("" if is_line else "\n".join(lines)[-200:]))


def _bound() -> list[str]:
    """Before a command: root without its right to open what is closed."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
