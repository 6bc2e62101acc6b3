"""What defences cost: decoders in processes of their own, digests, a journal of rows.

Each side does the same work; the other one as plain code would, without any of them.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gtzan_lightning.bench.libraries import draw, read_bare
from gtzan_lightning.bench.rows import Results, Target, compared, interleaved
from gtzan_lightning.data.audio import windowed
from gtzan_lightning.data.clips import Clips
from gtzan_lightning.data.corpus import open_corpus
from gtzan_lightning.data.decoding import decode
from gtzan_lightning.data.packing import prepare
from gtzan_lightning.data.sound_files import write
from gtzan_lightning.data.synthetic import render
from gtzan_lightning.inference.sound import wave_to_sound
from gtzan_lightning.inference.tag_files import tag_files
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.recipe.command_line import READY
from gtzan_lightning.recipe.settings import DataSettings

SONGS = 60
SECONDS = 30.0  # of a synthetic song
BATCH, BATCHES = 64, 40
AT_MOST = Target(0.95, least=True)


def defences(results: Results, data: DataSettings, repeats: int, scratch: Path) -> None:
    """Decoding, first reads of a packed corpus, tagging: with the defences and without."""
    files = _files(data, scratch)
    what = f"{len(files)} songs: "
    turns = interleaved(
        lambda: _in_threads(lambda file: decode(file, data.sample_rate), files),
        lambda: _in_threads(lambda file: read_bare(file, data.sample_rate), files),
        repeats,
    )
    label, other = f"{what}decoding in processes of their own", "soundfile and soxr in threads"
    key = "defences/decoding"
    results.add(compared(key, label, other, turns, len(files), AT_MOST, "songs"))
    _digests(results, data, repeats)
    tagger, outs = Tagger.load(READY), count()
    turns = interleaved(
        lambda: tag_files(tagger, files, scratch / f"{next(outs)}.csv"),
        lambda: _tag_bare(tagger, files),
        repeats,
    )
    label, other = f"{what}tagging with such decoders, journal and table", "without them"
    key = "defences/tagging"
    results.add(compared(key, label, other, turns, len(files), AT_MOST, "songs"))


def _digests(results: Results, data: DataSettings, repeats: int) -> None:
    """Batches of random clips of a corpus that is opened anew: all that is read is checked."""
    corpus = prepare(data)
    steps = round(data.clip_seconds * data.sample_rate)
    rows = [row for row, length in enumerate(corpus.lengths) if length >= steps]
    drawn = draw(corpus, rows, steps, BATCHES)
    genres = torch.from_numpy(corpus.genre_numbers())

    def read(is_checked: bool) -> None:
        opened = open_corpus(corpus.folder)
        if not is_checked:
            bare = replace(opened.recordings, sums=None)
            opened = replace(opened, recordings=bare)
        clips = Clips(opened, steps, genres, None)
        for batch in drawn:
            clips.__getitems__(batch)

    turns = interleaved(partial(read, True), partial(read, False), repeats)
    label = f"opening a packed corpus and its first {BATCHES} batches of {BATCH} clips, checked"
    results.add(compared("defences/digests", label, "unchecked", turns, BATCHES * BATCH, None))


def _files(data: DataSettings, scratch: Path) -> list[Path]:
    """Songs of the corpus, or synthetic ones where it has no files."""
    paths = [song.get("path", "") for song in prepare(data).songs]
    if files := [Path(path) for path in paths if Path(path).is_file()]:
        return files[:: -(-len(files) // SONGS)]
    files = [scratch / f"{number:03}.wav" for number in range(SONGS)]
    for number, file in enumerate(files):
        write(file, render("jazz", number, 0, SECONDS, data.sample_rate), data.sample_rate)
    return files


def _in_threads(read: Callable[[Path], Any], files: list[Path]) -> None:
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        for _ in windowed(pool, read, files, 4 * workers):
            pass


def _tag_bare(tagger: Tagger, files: list[Path]) -> list[np.ndarray]:
    workers, rate = os.cpu_count() or 1, tagger.sample_rate
    with ThreadPoolExecutor(workers) as pool:
        waves = windowed(pool, lambda file: read_bare(file, rate), files, 2 * workers)
        sounds = (wave_to_sound(wave, rate, rate) for wave in waves)
        return [tagger.predict_sound(sound).probabilities for sound in sounds]
