"""Names of the protocols, a line on each, and which have folds; data/protocols.py makes them."""

from typing import Literal

Protocol = Literal[
    "auto", "filtered", "filtered_folds", "filtered_final", "artist", "stratified", "kfold",
    "first20", "artist_groups", "clips",
]  # fmt: skip
PROTOCOLS: dict[Protocol, str] = {
    "auto": "GTZAN: filtered, or artist if songs of its lists are missing; other songs: stratified",
    "filtered": "GTZAN's published lists: no artist is on two sides, no repeated or distorted song",
    "filtered_folds": "folds by artist of what filtered trains and validates on, to choose models",
    "filtered_final": "filtered, trained on nearly all of its valid part too: a model to be used",
    "artist": "folds of GTZAN's artists: no artist is on two sides",
    "stratified": "random songs as in the sources, the same shares of every genre: artists leak",
    "kfold": "random folds of songs; one fold is tested: artists leak",
    "first20": "songs 00 to 19 of each of GTZAN's genres are tested, as bar_tov did: artists leak",
    "artist_groups": "folds of published groups that are finer than artists: some artists leak",
    "clips": "LEAKY: clips of one song are on both sides, to measure what the leak is worth",
}


OF_FOLDS = ("filtered_folds", "artist", "kfold", "artist_groups")
