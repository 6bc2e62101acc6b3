"""A seeded mutator: hostile sound files, and what must become of each.

``make_hostile(folder, count, seed)`` writes ``folder/hostile/GENRE/NAME``, and beside it a plainly
named copy of every good song, ``folder/clean/GENRE/NUMBER.wav``. Equal seeds give equal files.
"""

from tests.hostile.making import make_hostile
from tests.hostile.words import Draft, Hostile, Truth

__all__ = ["Draft", "Hostile", "Truth", "make_hostile"]
