"""Drafts -> files: so many of a seed, the good ones with odd names."""

import os
import random
from collections.abc import Callable, Iterator
from itertools import chain, cycle, islice
from pathlib import Path

from gtzan_lightning.data.catalogue import GENRES
from tests.hostile.lies import lies
from tests.hostile.songs import FORMATS, song
from tests.hostile.strange import bombs, numbers, others, places
from tests.hostile.words import CUT, DAMAGED, Draft, Hostile

RAW = ("wav", "au", "aiff")  # formats that state how many bytes there are
NAMES = [  # what a file system allows; {} is a number
    b"new\nline {}", b"return\r{}", b"separator\xe2\x80\xa8{}", b"paragraph\xe2\x80\xa9{}",
    b"next\xc2\x85line {}", b"feed\x0b\x0c{}", b"not utf-8 \xe9\xff {}", b"cut \xe2\x80 {}",
    b"-{}", b"--out={}", b"=cmd|' C calc'!A{}", b"@SUM({})", b"+{}", b"\x1b[31mred {}\x1b[0m",
    b"\x1b]0;title {}\x07", b"[bold red]{}", b"[red]{}[red]", b"quote\"'`{}", b"comma,;{}",
    b"tab\t{}",
    b"$(touch {})", b"; rm -rf {}", b"%s%n{}", b"{{}}{}", b"back\\slash {}", b"*?[{}]", b" {} ",
    b"x..{}", b"~{}", b"#{}", b"\x01\x02{}", b"\x7f{}", "å{}".encode(), "a\u030a{}".encode(),
    "\u202emp3 {}".encode(), "\ufeff{}".encode(), "\U0001f3b5 {}".encode(), b"CON{}", b"<b>{}<b>",
    b"&amp;{}", b"{}.wav", b"http:{}", b"null {}", b"nan {}", b"LONG {}",
]  # fmt: skip


def make_hostile(folder: Path, count: int, seed: int = 0) -> list[Hostile]:
    """Write ``count`` files (and the clean copies) into an empty folder.

    A fifth is good songs. Half of the others, at most, is of kinds that exist once, drawn without
    repetition; the others are songs that are cut off or have flipped bits.
    """
    rng = random.Random(seed)
    good = count // 5
    single = [*lies(), *numbers(), *others(rng), *places()]
    rng.shuffle(single)
    # a bomb takes seconds to write: a small set has one
    drafts = [*islice(bombs(), max(1, count // 100)), *single][: (count - good) // 2]
    drafts += islice(_damaged(rng), count - good - len(drafts))
    # packing wants three good songs of each genre
    genres = GENRES[: max(1, min(len(GENRES), good // 3))]
    made = [_good(folder, genres[n % len(genres)], n, rng) for n in range(good)]
    made += [_write(folder, genres[n % len(genres)], n, one) for n, one in enumerate(drafts)]
    return made


def _good(folder: Path, genre: str, number: int, rng: random.Random) -> Hostile:
    form = FORMATS[number % len(FORMATS)]
    content = song(rng, number, form)
    clean = folder / "clean" / genre / f"{number:05}.{form[0]}"
    # the lists of names and formats have lengths without a common factor
    name = NAMES[number % len(NAMES)].replace(b"{}", b"%d" % number)
    if name.startswith(b"LONG"):
        name = name.ljust(254 - len(form[0]), b"g")  # with its ending 255 bytes
    path = folder / "hostile" / genre / f"{os.fsdecode(name)}.{form[0]}"
    for place in (clean, path):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return Hostile(path, f"good: {form[1]} {form[2]}, {name[:24]!r}", "good", "", clean)


def _write(folder: Path, genre: str, number: int, draft: Draft) -> Hostile:
    path = folder / "hostile" / genre / f"x{number:05}.{draft.suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    is_plain = isinstance(draft.content, bytes)
    if isinstance(draft.content, bytes):
        path.write_bytes(draft.content)
    else:
        draft.content(path)
    return Hostile(
        path, draft.kind, draft.truth, draft.reasons, is_folder=path.is_dir(), can_upload=is_plain
    )


def _damaged(rng: random.Random) -> Iterator[Draft]:
    """Without end: songs cut off at random points, and songs with flipped bits."""
    songs = [(form, song(rng, 10_000 + n, form)) for n, form in enumerate(FORMATS)]
    makers: list[Callable[..., Draft]] = [_cut_off, _flipped]
    for (form, content), make in zip(cycle(chain(songs, songs[::-1])), cycle(makers), strict=False):
        yield make(rng, form, content)


def _cut_off(rng: random.Random, form: tuple[str, str, str], content: bytes) -> Draft:
    at = rng.choice((rng.randrange(1, 64), rng.randrange(64, 9 * len(content) // 10)))
    kind = f"{form[1]} {form[2]} cut after {at} of {len(content)} bytes"
    reasons = f"{CUT}|{DAMAGED}|text"
    if at < 12:
        return Draft(kind, form[0], content[:at], "broken", f"{reasons}|not a sound")
    return Draft(kind, form[0], content[:at], "cut" if form[0] in RAW else "either", reasons)


def _flipped(rng: random.Random, form: tuple[str, str, str], content: bytes) -> Draft:
    changed, count = bytearray(content), rng.choice((1, 4, 64, 512))
    reach = rng.choice((64, len(content)))  # of the header, or anywhere
    for _ in range(count):
        changed[rng.randrange(reach)] ^= 1 << rng.randrange(8)
    return Draft(f"{form[1]} {form[2]} with {count} bits flipped", form[0], bytes(changed))
