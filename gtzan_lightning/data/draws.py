"""How songs are drawn: places, folds and hands that depend on ids and a seed alone."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate, chain

from gtzan_lightning.data.artists import recordings
from gtzan_lightning.recipe.settings import DataSettings


def draw(seed: int, *words: object) -> float:
    """A number in [0, 1) that depends on nothing but the seed and the words."""
    text = ":".join(map(str, (seed, *words)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / 2**56


def deal_folds(data: DataSettings, group_of: dict[str, str]) -> dict[str, str]:
    """Folds by group, each genre dealt out evenly; valid is cut from train by group too."""
    groups: dict[str, list[str]] = {}
    for song, group in group_of.items():
        groups.setdefault(group, []).append(song)
    fold = deal(groups, [1 / data.folds] * data.folds, data.split_seed)
    others = {g: songs for g, songs in groups.items() if fold[g] != data.fold}
    shares = [1 - data.valid_fraction, data.valid_fraction]
    inner = deal(others, shares, data.split_seed + 1)
    part = {g: ("train", "valid")[inner[g]] if g in inner else "test" for g in groups}
    return {song: part[g] for g, songs in groups.items() for song in songs}


def places(ids: Iterable[str], seed: int, closed: bool) -> dict[str, float]:
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


def together(parts: dict[str, str]) -> dict[str, str]:
    """Give all songs of a recording the part of the first, also across genres."""
    return {i: parts.get(recordings().get(i, i), part) for i, part in parts.items()}


def deal(groups: dict[str, list[str]], shares: list[float], seed: int) -> dict[str, int]:
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


def some(ids: Iterable[str], genre_of: dict[str, str], number: int, seed: int) -> set[str]:
    """So many of the songs: of every genre the same number, as far as its songs go."""
    genres: dict[str, list[str]] = {}
    for song in sorted(ids, key=lambda song: draw(seed, "some", song)):
        genres.setdefault(genre_of[song], []).append(song)
    ranked = [(rank, song) for songs in genres.values() for rank, song in enumerate(songs)]
    ranked.sort(key=lambda entry: (entry[0], draw(seed, "some", entry[1])))
    return {song for _, song in ranked[:number]}
