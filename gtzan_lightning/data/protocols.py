"""Protocols: which songs train, choose and test a model.

Membership is a function of song ids and the protocol's own numbers, never of what happens to be on
disk: a song that is missing, broken or added moves no other. Where every song that can exist is
known (GTZAN's 1,000, the synthetic corpus) shares are exact within each genre; in any other folder
a song's part is drawn from its id alone, so shares hold on average. The same recording under two
ids (GTZAN has 53 such pairs) is kept on one side by every protocol that draws songs. What is on two
sides all the same is counted and said (``Leak``).
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gtzan_lightning.data.artists import artist_groups, artists, gtzan_facts, joined, recordings
from gtzan_lightning.data.catalogue import gtzan_ids
from gtzan_lightning.data.draws import deal_folds, draw, places, some, together
from gtzan_lightning.data.leaks import Leak, leaks
from gtzan_lightning.errors import UserError
from gtzan_lightning.files import digest
from gtzan_lightning.recipe.settings import DataSettings

PARTS = ("train", "valid", "test")
CONTROLS = {
    "shuffled_genres": "CONTROL: genres are shuffled over songs, a score above chance is a leak",
    "training_songs": "CONTROL: the training songs are tested, the score is what was memorised",
}
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
    tested: str = "test"  # the part whose songs are tested: of a control, the training part
    is_open: bool = False  # what is tested may be measured while models are chosen
    leaks: dict[str, Leak] = field(default_factory=dict, repr=False)  # of valid and of test

    def part(self, song: str, clip: int) -> str:
        """The part of a song's clip; only the leaky protocol looks at the clip's number."""
        own = self.members.get(song, "")
        return self.by_clip(song, clip) if self.by_clip and own else own

    def has(self, part: str, song: str, clip: int) -> bool:
        """Whether a part has a song's clip; a control tests what it trains on."""
        return self.part(song, clip) == (self.tested if part == "test" else part)

    def songs(self, part: str) -> list[str]:
        """Ids of the songs of a part that are here (leaky: of all songs)."""
        own = self.tested if part == "test" else part
        return sorted(i for i, p in self.members.items() if p == own or (p and self.by_clip))

    def part_of_clips(self) -> dict[str, set[str]]:
        """Part -> songs that have a clip in it."""
        if self.by_clip is None:
            return {part: set(self.songs(part)) for part in PARTS}
        used = [song for song, part in self.members.items() if part]
        of_song = {song: {self.by_clip(song, n) for n in range(CLIPS)} for song in used}
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
            own = self.tested if part == "test" else part
            here, all_ = len(self.songs(part)), self.promised.get(own)
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
    split = _varied(data, replace(whole, members=members, promised=promised), genre_of)
    for part in ("train", "valid"):
        if not split.songs(part):
            raise UserError(
                f"data.split {split.label}: the {part} part has no song of {corpus!r} here "
                f"({split.counts()}); add songs or choose another protocol"
            )
    return replace(split, leaks=leaks(split.part_of_clips(), universe == gtzan_ids(), artist_of))


def _varied(data: DataSettings, split: Split, genre_of: dict[str, str]) -> Split:
    """The split with fewer training songs, or as a control."""
    training = split.songs("train")
    number = data.train_songs or max(1, round(data.train_share * len(training)))
    if data.train_songs or data.train_share < 1:
        if len(training) < number:
            raise UserError(
                f"data.train_songs {number}: data.split {split.label} has "
                f"{len(training)} training songs here"
            )
        kept = some(training, genre_of, number, data.split_seed)
        cut = "train" if split.by_clip is None else "all"
        members = {i: "" if p == cut and i not in kept else p for i, p in split.members.items()}
        drawn = f" of seed {data.split_seed}" * (data.split_seed != 0)
        split = replace(split, members=members, label=f"{split.label}, train {len(kept)}{drawn}")
    if data.control:
        label = f"{split.label}, CONTROL {data.control}"
        split = replace(split, label=label, warning=CONTROLS[data.control])
    if data.control == "training_songs":
        split = replace(split, tested="train", is_open=True)
    return split


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


def _stratified(data: DataSettings, ids: list[str], closed: bool) -> Split:
    shares = _three_shares(data)
    label = f"stratified {_percents(data)} seed {data.split_seed} v{VERSION}"
    place = places(ids, data.split_seed, closed)
    edges = (shares[0], shares[0] + shares[1])
    parts = {i: PARTS[sum(x >= e - 1e-9 for e in edges)] for i, x in place.items()}
    return Split(label, together(parts))


def _kfold(data: DataSettings, ids: list[str], closed: bool) -> Split:
    place = places(ids, data.split_seed, closed)
    fold = {i: int(x * data.folds + 1e-9) for i, x in place.items()}
    others = [i for i, f in fold.items() if f != data.fold]
    parts = dict.fromkeys(fold, "test")
    again = places(others, data.split_seed + 1, closed)
    parts |= {i: "valid" if x < data.valid_fraction - 1e-9 else "train" for i, x in again.items()}
    return Split(f"kfold {_folds_label(data)}", together(parts))


def _filtered(data: DataSettings, ids: list[str], closed: bool) -> Split:
    return Split("filtered", {song: part for part, song in gtzan_facts("filtered")})


def _filtered_folds(data: DataSettings, ids: list[str], closed: bool) -> Split:
    """Folds by artist of the songs that ``filtered`` trains and validates on."""
    own = [song for part, song in gtzan_facts("filtered") if part != "test"]
    parts = deal_folds(data, {i: artists().get(i, i) for i in own})
    return Split(f"filtered_folds {_folds_label(data)}", parts, is_open=True)


def _filtered_final(data: DataSettings, ids: list[str], closed: bool) -> Split:
    """``filtered``, trained on its valid part too, but for at most a song of each genre.

    Those are of artists who have no other song among them; they show that a training went well.
    """
    parts = {song: "test" if part == "test" else "train" for part, song in gtzan_facts("filtered")}
    own = [song for song, part in parts.items() if part == "train"]
    songs = Counter(artists().get(song, song) for song in own)
    alone = [song for song in own if songs[artists().get(song, song)] == 1]
    genre_of = {song: song.split(".")[0] for song in alone}
    kept = some(alone, genre_of, len(set(genre_of.values())), data.split_seed)
    return Split(f"filtered_final seed {data.split_seed}", parts | dict.fromkeys(kept, "valid"))


def _first20(data: DataSettings, ids: list[str], closed: bool) -> Split:
    """bar_tov: songs 00 to 19 of every genre are the test part, whatever is in training too."""
    later = [i for i in ids if int(i[-5:]) >= 20]
    place = places(later, data.split_seed, closed)
    parts = dict.fromkeys(ids, "test")
    parts |= {i: "valid" if x < data.valid_fraction - 1e-9 else "train" for i, x in place.items()}
    first: dict[str, str] = {}
    for song in sorted(later):
        parts[song] = parts[first.setdefault(recordings().get(song, song), song)]
    drawn = f" seed {data.split_seed}" * (data.split_seed != 0)  # of the valid part alone
    return Split(f"first20{drawn}{_valid_label(data)} v{VERSION}", parts)


def _artist(data: DataSettings, ids: list[str], closed: bool) -> Split:
    """Folds by artist."""
    return Split(
        f"artist {_folds_label(data)}", deal_folds(data, {i: artists().get(i, i) for i in ids})
    )


def _artist_groups(data: DataSettings, ids: list[str], closed: bool) -> Split:
    """Folds by Foleis and Tavares' groups alone, which are finer than artists."""
    pairs, first = list(recordings().items()), dict[str, str]()
    pairs += [(song, first.setdefault(group, song)) for song, group in artist_groups().items()]
    return Split(f"artist_groups {_folds_label(data)}", deal_folds(data, joined(ids, pairs)))


def _folds_label(data: DataSettings) -> str:
    return f"{data.folds} seed {data.split_seed}{_valid_label(data)} v{VERSION}"


def _valid_label(data: DataSettings) -> str:
    """The share of the training songs that validates, where it is not the usual one."""
    usual = type(data).model_fields["valid_fraction"].default
    return f" valid {data.valid_fraction:g}" * (data.valid_fraction != usual)


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
    "filtered_folds": Protocol(_filtered_folds, gtzan_only=True),
    "filtered_final": Protocol(_filtered_final, gtzan_only=True),
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
    shares = "/".join(f"{100 * share:g}" for share in data.fractions)
    return shares + _valid_label(data) * (len(data.fractions) == 2)
