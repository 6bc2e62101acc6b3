"""The set as a folder of genres through packing, verifying and ``gtzan audit``."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.attack.processes import Ended, run
from tests.attack.work import GTZAN, Tried, Work
from tests.hostile.judge import Outcome, judge

START = 60.0  # seconds that libraries may take
# what is wrong with a file already when it is opened
OPENED = ("empty", "text", "json", "zip", "FIFO", "socket", "dangling link", "link to itself")
MUSIC = [0.1] * 10  # stands for a song: packing predicts nothing


def packing(work: Work) -> Iterator[Tried]:
    """Every file a song or a named finding; good songs have the same sound as their copies."""
    folder = work.folder("packing")
    ended, hostile = _child(work, "pack", "hostile", folder / "hostile")
    yield Tried("the command", _trouble(ended))
    _, clean = _child(work, "pack", "clean", folder / "clean")
    for one in work.hostile:
        said = hostile.get(str(one.path))
        outcome = _outcome(said)
        lost = judge(one, outcome, strict=True)
        if not lost and one.clean and said != clean.get(str(one.clean)):
            lost = "another sound than that of the clean copy"
        yield Tried(one.kind, lost)


def verifying(work: Work) -> Iterator[Tried]:
    """What ``gtzan data`` does with a copy that is there, and ``gtzan audit``: neither stops."""
    ended, said = _child(work, "verify", "hostile", work.folder("verifying"))
    yield Tried("verify", _trouble(ended))
    for one in work.hostile:
        told = said.get(str(one.path))
        if one.clean:
            yield Tried(f"verify: {one.kind}", f"left out: {told}" if told else "")
        elif one.kind in OPENED:
            yield Tried(f"verify: {one.kind}", judge(one, _outcome(told)))
    audit = run([*GTZAN, "audit", str(work.songs / "hostile")], START + work.count)
    lost = audit.noise() or ("" if audit.status in (0, 1) else audit.said.strip()[-200:])
    yield Tried("gtzan audit", lost)


def _outcome(said: str | None) -> Outcome | None:
    """A digest of a sound, or a finding."""
    if said is None:
        return None
    return Outcome(MUSIC) if said.startswith("sha256:") else Outcome(finding=said)


def _trouble(ended: Ended) -> str:
    lines = ended.said.strip().splitlines()
    last = lines[-1][:200] if lines else ""
    return ended.noise() or ("" if ended.status == 0 else f"status {ended.status}: {last}")


def _child(work: Work, what: str, songs: str, folder: Path) -> tuple[Ended, dict[str, str]]:
    """Path -> digest of the sound, or what is wrong, as another process finds it."""
    work.hostile  # noqa: B018 (they are made)
    out = folder.with_suffix(".json")
    command = [sys.executable, "-m", "tests.attack.packs", what, str(work.songs / songs)]
    ended = run([*command, str(folder), str(out)], START + work.count)
    return ended, json.loads(out.read_text()) if out.exists() else {}


def child(what: str, root: str, folder: str, out: str) -> None:
    """Pack or verify the songs of a folder of genres, and write what was found."""
    from gtzan_lightning.data.corpora import CORPORA, Catalogue
    from gtzan_lightning.data.packing import prepare, verify
    from gtzan_lightning.recipe.settings import DataSettings

    data = DataSettings(
        corpus="folder", root=root, packed=folder, sample_rate=8000, min_seconds=0.1,
        clip_seconds=0.5,
    )  # fmt: skip
    said: dict[str, str] = {}
    if what == "pack":
        corpus = prepare(data)
        said = {song["path"]: f"sha256:{song['digest']}" for song in corpus.songs}
        problems = corpus.problems
    else:
        songs = CORPORA["folder"](data)
        assert isinstance(songs, Catalogue)
        _, problems = verify(songs)
    for problem in problems:
        path = Path(root) / problem.name  # a song's id is GENRE/FILE, an extra file's its path
        said[str(path)] = f"{problem.what}: {problem.detail}"
    Path(out).write_text(json.dumps(said))


if __name__ == "__main__":
    from gtzan_lightning.recipe.command_line import guarded

    guarded(lambda argv: child(*argv))
