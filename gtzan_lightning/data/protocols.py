"""Protocols: which songs train, choose and test a model.

Membership is a function of song ids and the protocol's own numbers, never of what happens to be on
disk: a song that is missing, broken or added moves no other. Where every song that can exist is
known (GTZAN's 1,000, the synthetic corpus) shares are exact within each genre; in any other folder
a song's part is drawn from its id alone, so shares hold on average. The same recording under two
ids (GTZAN has 53 such pairs) is kept on one side by every protocol that draws songs. What is on two
sides all the same is counted and said (``Leak``).
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain

from gtzan_lightning.data.artists import artist_groups, artists, gtzan_facts, joined, recordings
from gtzan_lightning.data.catalogue import gtzan_ids
from gtzan_lightning.data.leaks import Leak, leaks
from gtzan_lightning.errors import UserError
from gtzan_lightning.files import digest
from gtzan_lightning.recipe.settings import DataSettings

PARTS = ("train", "valid", "test")
CLIPS = 10  # of a song of 30 s, in which the leaky protocol's leak is counted
VERSION = 2  # of the membership: in 1 an artist could be on two sides, and 39 recordings
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
    leaks: dict[str, Leak] = field(default_factory=dict, repr=False)  # of valid and of test

    def part(self, song: str, clip: int) -> str:
        """The part of a song's clip; only the leaky protocol looks at the clip's number."""
        return self.by_clip(song, clip) if self.by_clip else self.members.get(song, "")

    def songs(self, part: str) -> list[str]:
        """Ids of the songs of a part that are here (leaky: of all songs)."""
        return sorted(i for i, p in self.members.items() if p == part or self.by_clip)

    def part_of_clips(self) -> dict[str, set[str]]:
        """Part -> songs that have a clip in it."""
        if self.by_clip is None:
            return {part: set(self.songs(part)) for part in PARTS}
        of_song = {song: {self.by_clip(song, n) for n in range(CLIPS)} for song in self.members}
        return {part: {song for song, own in of_song.items() if part in own} for part in PARTS}

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
    data: DataSettings,
    genre_of: dict[str, str],
    universe: list[str] | None,
    corpus: str,
    artist_of: dict[str, str] | None = None,
) -> Split:
    """The protocol ``data.split`` on the songs of a corpus.

    Args:
        genre_of: genre of every song that is here, by id.
        universe: every id that the corpus could hold, or None where that is unknown.
        corpus: the corpus' name, for messages.
        artist_of: artist of every song, by id, where it is known; GTZAN's are known anyway.

    Raises:
        UserError: the protocol is a list of GTZAN songs and the corpus is another one, or its
            train or valid part would be empty.
    """
    data = concrete(data, genre_of, universe)
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
    return replace(split, leaks=leaks(split.part_of_clips(), universe == gtzan_ids(), artist_of))


def concrete(
    data: DataSettings, genre_of: dict[str, str], universe: list[str] | None
) -> DataSettings:
    """The settings with ``auto`` replaced by the protocol that it means for these songs."""
    if data.split != "auto":
        return data
    choice = "stratified"
    if universe == gtzan_ids():
        here = {(part, genre_of[i]) for part, i in gtzan_facts("filtered") if i in genre_of}
        whole = len(here) == len(PARTS) * len(set(genre_of.values()))
        choice = "filtered" if whole else "artist"
    return data.model_copy(update={"split": choice})


def draw(seed: int, *words: object) -> float:
    """A number in [0, 1) that depends on nothing but the seed and the words."""
    text = ":".join(map(str, (seed, *words)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / 2**56


def _stratified(data: DataSettings, ids: list[str], closed: bool) -> Split:
    shares = _three_shares(data)
    label = f"stratified {_percents(data)} seed {data.split_seed} v{VERSION}"
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
    label = f"kfold {data.folds} seed {data.split_seed} v{VERSION}"
    return Split(label, _together(parts))


def _filtered(data: DataSettings, ids: list[str], closed: bool) -> Split:
    return Split("filtered", {song: part for part, song in gtzan_facts("filtered")})


def _first20(data: DataSettings, ids: list[str], closed: bool) -> Split:
    """bar_tov: songs 00 to 19 of every genre are the test part, whatever is in training too."""
    later = [i for i in ids if int(i[-5:]) >= 20]
    place = _places(later, data.split_seed, closed)
    parts = dict.fromkeys(ids, "test")
    parts |= {i: "valid" if x < data.valid_fraction - 1e-9 else "train" for i, x in place.items()}
    first: dict[str, str] = {}
    for song in sorted(later):
        parts[song] = parts[first.setdefault(recordings().get(song, song), song)]
    return Split(f"first20 v{VERSION}", parts)


def _artist(data: DataSettings, ids: list[str], closed: bool) -> Split:
    """Folds by artist."""
    return Split(
        f"artist {_folds_label(data)}", _deal_folds(data, {i: artists().get(i, i) for i in ids})
    )


def _artist_groups(data: DataSettings, ids: list[str], closed: bool) -> Split:
    """Folds by Foleis and Tavares' groups alone, which are finer than artists."""
    pairs, first = list(recordings().items()), dict[str, str]()
    pairs += [(song, first.setdefault(group, song)) for song, group in artist_groups().items()]
    return Split(f"artist_groups {_folds_label(data)}", _deal_folds(data, joined(ids, pairs)))


def _folds_label(data: DataSettings) -> str:
    return f"{data.folds} seed {data.split_seed} v{VERSION}"


def _deal_folds(data: DataSettings, group_of: dict[str, str]) -> dict[str, str]:
    """Folds by group, each genre dealt out evenly; valid is cut from train by group too."""
    groups: dict[str, list[str]] = {}
    for song, group in group_of.items():
        groups.setdefault(group, []).append(song)
    fold = _deal(groups, [1 / data.folds] * data.folds, data.split_seed)
    others = {g: songs for g, songs in groups.items() if fold[g] != data.fold}
    shares = [1 - data.valid_fraction, data.valid_fraction]
    inner = _deal(others, shares, data.split_seed + 1)
    part = {g: ("train", "valid")[inner[g]] if g in inner else "test" for g in groups}
    return {song: part[g] for g, songs in groups.items() for song in songs}


def _clips(data: DataSettings, ids: list[str], closed: bool) -> Split:
    shares = _three_shares(data)

    def by_clip(song: str, clip: int) -> str:
        x = draw(data.split_seed, song, clip)
        return PARTS[(x >= shares[0]) + (x >= shares[0] + shares[1])]

    label = f"clips {_percents(data)} seed {data.split_seed} LEAKY"
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
    "artist_groups": Protocol(_artist_groups, gtzan_only=True),
    "first20": Protocol(_first20, gtzan_only=True),
    "clips": Protocol(_clips),
}


def _three_shares(data: DataSettings) -> tuple[float, ...]:
    if len(data.fractions) == 3:
        return data.fractions
    train, test = data.fractions
    return train * (1 - data.valid_fraction), train * data.valid_fraction, test


def _percents(data: DataSettings) -> str:
    return "/".join(f"{100 * share:g}" for share in data.fractions)


def _places(ids: Iterable[str], seed: int, closed: bool) -> dict[str, float]:
    """A place in [0, 1) for every song: its rank within its genre, or (open) its own draw.

    Songs of one recording and genre have one place.
    """
    if not closed:
        return {i: draw(seed, i) for i in ids}
    genres: dict[str, dict[str, list[str]]] = {}
    for song in ids:
        genre = genres.setdefault(song.split(".")[0], {})
        genre.setdefault(recordings().get(song, song), []).append(song)
    places: dict[str, float] = {}
    for genre in genres.values():
        ranked = sorted(genre.values(), key=lambda songs: draw(seed, songs[0]))
        before = accumulate((len(songs) for songs in ranked), initial=0)
        total = sum(map(len, ranked))
        for rank, songs in zip(before, ranked, strict=False):  # the last sum is the total
            places |= dict.fromkeys(songs, rank / total)
    return places


def _together(parts: dict[str, str]) -> dict[str, str]:
    """Give all songs of a recording the part of the first, also across genres."""
    return {i: parts.get(recordings().get(i, i), part) for i, part in parts.items()}


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
