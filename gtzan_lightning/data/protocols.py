"""Protocols: which songs train, choose and test a model.

Membership is a function of song ids and the protocol's own numbers, never of what happens to be on
disk: a song that is missing, broken or added moves no other. Where every song that can exist is
known (GTZAN's 1,000, the synthetic corpus) shares are exact within each genre; in any other folder
a song's part is drawn from its id alone, so shares hold on average. The same recording under two
ids (GTZAN has 14 such pairs) is kept on one side by ``stratified``, ``kfold`` and ``artist``.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import chain

from gtzan_lightning.data.catalogue import artists, gtzan_ids, read_facts, twins
from gtzan_lightning.errors import UserError
from gtzan_lightning.files import digest
from gtzan_lightning.recipe.settings import DataSettings

PARTS = ("train", "valid", "test")
LEAK_WARNING = (
    "LEAKY PROTOCOL 'clips': clips of one song are on both sides; its scores measure the leak "
    "and must not be compared with others"
)


@dataclass(frozen=True)
class Split:
    """The parts of a protocol among the songs that are here."""

    label: str
    members: dict[str, str] = field(repr=False)  # song id -> train, valid or test; "" is unused
    # songs of each part when the corpus is complete, {} if unknown
    promised: dict[str, int] = field(default_factory=dict)
    warning: str = ""
    by_clip: Callable[[str, int], str] | None = None

    def part(self, song: str, clip: int) -> str:
        """The part of a song's clip; only the leaky protocol looks at the clip's number."""
        return self.by_clip(song, clip) if self.by_clip else self.members.get(song, "")

    def songs(self, part: str) -> list[str]:
        """Ids of the songs of a part that are here (leaky: of all songs)."""
        return sorted(i for i, p in self.members.items() if p == part or self.by_clip)

    @property
    def fingerprint(self) -> str:
        """Of the exact membership: equal where the same songs are in the same parts."""
        lines = "\n".join(f"{i} {p}" for i, p in sorted(self.members.items()))
        return digest(f"{self.label}\n{lines}".encode())

    def counts(self) -> str:
        """Such as ``train 442 of 443, valid 197, test 0 of 290``."""
        words = []
        for part in PARTS:
            here, all_ = len(self.songs(part)), self.promised.get(part)
            words.append(f"{part} {here}" + (f" of {all_}" if all_ not in (None, here) else ""))
        return ", ".join(words)


def make_split(
    data: DataSettings, genre_of: dict[str, str], universe: list[str] | None, corpus: str
) -> Split:
    """The protocol ``data.split`` on the songs of a corpus.

    Args:
        genre_of: genre of every song that is here, by id.
        universe: every id that the corpus could hold, or None where that is unknown.
        corpus: the corpus' name, for messages.

    Raises:
        UserError: the protocol is a list of GTZAN songs and the corpus is another one, or its
            train or valid part would be empty.
    """
    protocol = PROTOCOLS[data.split]
    if protocol.gtzan_only and universe != gtzan_ids():
        raise UserError(
            f"data.split {data.split} is made of GTZAN's songs, but the corpus is {corpus!r}: "
            "use data.split stratified or kfold"
        )
    everyone = universe if universe is not None else sorted(genre_of)
    whole = protocol.assign(data, everyone, universe is not None)
    members = {song: whole.members.get(song, "") for song in genre_of}
    known = universe is not None and not whole.by_clip
    promised = {part: len(whole.songs(part)) for part in PARTS} if known else {}
    split = replace(whole, members=members, promised=promised)
    for part in ("train", "valid"):
        if not split.songs(part):
            raise UserError(
                f"data.split {split.label}: the {part} part has no song of {corpus!r} here "
                f"({split.counts()}); add songs or choose another protocol"
            )
    return split


def draw(seed: int, *words: object) -> float:
    """A number in [0, 1) that depends on nothing but the seed and the words."""
    text = ":".join(map(str, (seed, *words)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / 2**56


def _stratified(data: DataSettings, ids: list[str], closed: bool) -> Split:
    shares = _three_shares(data)
    label = f"stratified {'/'.join(f'{100 * f:g}' for f in data.fractions)} seed {data.split_seed}"
    place = _places(ids, data.split_seed, closed)
    edges = (shares[0], shares[0] + shares[1])
    parts = {i: PARTS[sum(x >= e - 1e-9 for e in edges)] for i, x in place.items()}
    return Split(label, _together(parts))


def _kfold(data: DataSettings, ids: list[str], closed: bool) -> Split:
    place = _places(ids, data.split_seed, closed)
    fold = {i: int(x * data.folds + 1e-9) for i, x in place.items()}
    others = [i for i, f in fold.items() if f != data.fold]
    parts = dict.fromkeys(fold, "test")
    again = _places(others, data.split_seed + 1, closed)
    parts |= {i: "valid" if x < data.valid_fraction - 1e-9 else "train" for i, x in again.items()}
    return Split(f"kfold {data.folds} seed {data.split_seed}", _together(parts))


def _filtered(data: DataSettings, ids: list[str], closed: bool) -> Split:
    return Split("filtered", {song: part for part, song in read_facts("filtered")})


def _first20(data: DataSettings, ids: list[str], closed: bool) -> Split:
    """bar_tov: songs 00 to 19 of every genre are the test part."""
    later = [i for i in ids if int(i[-5:]) >= 20]
    place = _places(later, data.split_seed, closed)
    parts = dict.fromkeys(ids, "test")
    parts |= {i: "valid" if x < data.valid_fraction - 1e-9 else "train" for i, x in place.items()}
    return Split("first20", parts)


def _artist(data: DataSettings, ids: list[str], closed: bool) -> Split:
    """Folds by artist group, each genre dealt out evenly; valid is cut from train by artist too."""
    groups: dict[str, list[str]] = {}
    joined = _artist_groups(ids)
    for song in ids:
        groups.setdefault(joined[song], []).append(song)
    fold = _deal(groups, [1 / data.folds] * data.folds, data.split_seed)
    others = {g: songs for g, songs in groups.items() if fold[g] != data.fold}
    shares = [1 - data.valid_fraction, data.valid_fraction]
    inner = _deal(others, shares, data.split_seed + 1)
    part = {g: ("train", "valid")[inner[g]] if g in inner else "test" for g in groups}
    parts = {song: part[g] for g, songs in groups.items() for song in songs}
    return Split(f"artist {data.folds} seed {data.split_seed}", parts)


def _clips(data: DataSettings, ids: list[str], closed: bool) -> Split:
    shares = _three_shares(data)

    def by_clip(song: str, clip: int) -> str:
        x = draw(data.split_seed, song, clip)
        return PARTS[(x >= shares[0]) + (x >= shares[0] + shares[1])]

    label = f"clips {'/'.join(f'{100 * f:g}' for f in data.fractions)} seed {data.split_seed} LEAKY"
    return Split(label, dict.fromkeys(ids, "all"), warning=LEAK_WARNING, by_clip=by_clip)


@dataclass(frozen=True)
class Protocol:
    """How songs get their parts; recipe/settings.py has a line on each."""

    # settings, ids of all songs, whether no other song can exist
    assign: Callable[[DataSettings, list[str], bool], Split]
    gtzan_only: bool = False


PROTOCOLS = {
    "stratified": Protocol(_stratified),
    "kfold": Protocol(_kfold),
    "filtered": Protocol(_filtered, gtzan_only=True),
    "artist": Protocol(_artist, gtzan_only=True),
    "first20": Protocol(_first20, gtzan_only=True),
    "clips": Protocol(_clips),
}


def _three_shares(data: DataSettings) -> tuple[float, ...]:
    if len(data.fractions) == 3:
        return data.fractions
    train, test = data.fractions
    return train * (1 - data.valid_fraction), train * data.valid_fraction, test


def _places(ids: Iterable[str], seed: int, closed: bool) -> dict[str, float]:
    """A place in [0, 1) for every song: its rank within its genre, or (open) its own draw."""
    if not closed:
        return {i: draw(seed, i) for i in ids}
    genres: dict[str, list[str]] = {}
    for song in ids:
        genres.setdefault(song.split(".")[0], []).append(song)
    ranked = (sorted(songs, key=lambda i: draw(seed, i)) for songs in genres.values())
    return {i: n / len(songs) for songs in ranked for n, i in enumerate(songs)}


def _together(parts: dict[str, str]) -> dict[str, str]:
    """Give the second of two identical recordings the part of the first."""
    return {i: parts.get(twins().get(i, i), part) for i, part in parts.items()}


def _artist_groups(ids: list[str]) -> dict[str, str]:
    """Song id -> group, where songs of one artist or one recording share a group."""
    group = {i: artists().get(i, i) for i in ids}
    for later, first in twins().items():
        old, new = group[later], group[first]
        group = {i: new if g == old else g for i, g in group.items()}
    return group


def _deal(groups: dict[str, list[str]], shares: list[float], seed: int) -> dict[str, int]:
    """Group -> hand: the largest groups first, each to the hand that its genres lack most."""
    genres_of = {g: [song.split(".")[0] for song in songs] for g, songs in groups.items()}
    size = Counter(chain.from_iterable(genres_of.values()))
    have: list[Counter[str]] = [Counter() for _ in shares]
    hand = {}
    for group in sorted(groups, key=lambda g: (-len(groups[g]), draw(seed, g))):
        lacks = [
            sum(share * size[genre] - had[genre] for genre in genres_of[group]) / share
            for share, had in zip(shares, have, strict=True)
        ]
        hand[group] = lacks.index(max(lacks))
        have[hand[group]].update(genres_of[group])
    return hand
