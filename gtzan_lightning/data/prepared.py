"""What a recipe makes of a corpus before any batch: its parts, its clips' length, its pictures."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from gtzan_lightning.data.clips import Clip, grid_starts
from gtzan_lightning.data.corpus import Corpus
from gtzan_lightning.data.features import FEATURES, MOST_PIXELS, PictureSpec
from gtzan_lightning.data.pictures import Features
from gtzan_lightning.data.protocols import Split, make_split
from gtzan_lightning.errors import Untrainable, UserError
from gtzan_lightning.recipe.predictions_csv import KEYS
from gtzan_lightning.recipe.section import Shape
from gtzan_lightning.recipe.settings import DataSettings


@dataclass(frozen=True)
class Prepared:
    """All that batches are made with, besides the corpus."""

    split: Split
    spec: PictureSpec
    features: Features
    shape: Shape
    clip_steps: int  # length of a clip in samples, or in frames of packed pictures
    seconds_per_step: float
    genre_numbers: torch.Tensor  # (song,)


def prepare_clips(data: DataSettings, corpus: Corpus) -> Prepared:
    """Parts, clips and pictures of a corpus.

    Raises:
        UserError: a single genre, an empty part, a clip longer than every song, or pictures that
            the corpus can't become.
    """
    _check_genres(corpus)
    genre_of = {song["id"]: song["genre"] for song in corpus.songs}
    split = make_split(data, genre_of, corpus.universe, corpus.name, corpus.artists)
    spec = _spec(data, corpus)
    seconds_per_step = spec.kept.seconds_per_frame if corpus.is_pictures else 1 / data.sample_rate
    steps = _clip_steps(data, corpus, seconds_per_step)
    for part in ("train", "valid"):
        if not part_grid(corpus, split, steps, part):
            raise UserError(f"data.split {split.label}: the {part} part is empty")
    bins, frames = spec.rows, spec.frames(data.clip_seconds)
    if bins * frames > MOST_PIXELS:
        raise Untrainable(
            f"data.clip_seconds {data.clip_seconds:g} makes pictures of {bins} bins x {frames:,} "
            f"frames, more than {MOST_PIXELS:,} numbers: take shorter clips or a longer hop_length"
        )
    features = Features(spec)
    channels, bins, frames = features(torch.from_numpy(corpus.empty(steps))[None]).shape[1:]
    numbers = torch.from_numpy(_genres(data, corpus))
    return Prepared(
        split, spec, features, (channels, bins, frames), steps, seconds_per_step, numbers
    )


def _genres(data: DataSettings, corpus: Corpus) -> np.ndarray:
    """(song,) number of each song's genre; of the control another song's."""
    numbers = corpus.genre_numbers()
    if data.control == "shuffled_genres":
        return np.random.default_rng(data.split_seed).permutation(numbers)
    return numbers


def part_grid(corpus: Corpus, split: Split, steps: int, part: str) -> list[Clip]:
    """The evaluation clips of a part: a fixed, even grid over each song, song by song."""
    return [
        (row, start, 0)
        for row, song in enumerate(corpus.ids)
        for number, start in enumerate(grid_starts(corpus.lengths[row], steps))
        if split.has(part, song, number)
    ]


def _check_genres(corpus: Corpus) -> None:
    """Raises UserError for a single genre, and for one whose name tables of predictions use."""
    if len(corpus.genres) < 2:
        raise UserError(
            f"all songs of {corpus.name} are of genre {', '.join(corpus.genres)}: data.root is the "
            "folder that holds a folder for each genre"
        )
    if taken := [genre for genre in corpus.genres if genre in KEYS]:
        raise UserError(
            f"a genre can't be called {taken[0]}, which is a column of predictions.csv: rename "
            "that folder"
        )


def _spec(data: DataSettings, corpus: Corpus) -> PictureSpec:
    """The pictures that are made; packed pictures are what they are.

    Raises:
        UserError: the settings ask for other pictures than the corpus holds.
    """
    asked = PictureSpec.of(data)
    if not corpus.is_pictures:
        return asked
    holds = corpus.info.get("picture", "mel")
    feature = FEATURES[asked.picture]
    if feature.standard and feature.weights and holds == "mel":
        return replace(asked, made_of=PictureSpec.from_corpus(corpus.info, DataSettings()))
    if holds not in (asked.picture, feature.packed):
        raise UserError(
            f"data.features {asked.picture} can't be made of {holds} pictures: use songs, or "
            f"data.features {holds}"
        )
    if asked.scale != "decibels":
        raise UserError("data.scale linear can't be made of pictures in decibels: use songs")
    spec = PictureSpec.from_corpus(corpus.info, data)
    for name in ("bins", "n_fft", "window", "hop_length", "f_min", "f_max", "sample_rate"):
        kept, wanted = getattr(spec, name), getattr(asked, name)
        if kept != wanted:
            raise UserError(
                f"data.{name} {wanted} asks for other pictures than the corpus holds "
                f"({name} {kept}): give that value"
            )
    return spec


def _clip_steps(data: DataSettings, corpus: Corpus, seconds_per_step: float) -> int:
    steps = max(1, round(data.clip_seconds / seconds_per_step))
    longest = corpus.lengths.max() * seconds_per_step
    too_long = steps > corpus.lengths.max() and data.clip_seconds - longest > 0.01
    if too_long and not data.repeat:
        raise Untrainable(
            f"data.clip_seconds {data.clip_seconds:g} is longer than every song "
            f"(the longest has {longest:.2f} s): choose a shorter clip, or fill it with "
            "data.repeat true"
        )
    return steps
