"""Clips of songs: random starts in training, a fixed grid elsewhere; one rule for short songs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Required, TypedDict, TypeVar

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from gtzan_lightning.data.augment import WaveAugmentation
from gtzan_lightning.data.corpus import Corpus
from gtzan_lightning.errors import UserError

Clip = tuple[int, int, int]  # row of the song, start in steps (samples or frames), seed
Song = TypeVar("Song", np.ndarray, torch.Tensor)


class Batch(TypedDict, total=False):
    """Clips; ``clip`` where the loader fetched them, ``picture`` and ``target`` on the device."""

    clip: torch.Tensor  # (clip, sample) int16 or float32, or (clip, bin, frame) uint8
    picture: torch.Tensor  # (clip, channel, bin, frame)
    target: torch.Tensor  # (clip, genre), soft after mixup
    genre: Required[torch.Tensor]  # (clip,)
    song: Required[torch.Tensor]  # (clip,) row in the corpus
    start: Required[torch.Tensor]  # (clip,) in steps


def grid_starts(length: int, steps: int) -> list[int]:
    """Starts of round(length / steps) clips (at least one), spread evenly from start to end."""
    count = max(1, round(length / steps))
    return [int(s) for s in np.linspace(0, max(0, length - steps), count).round()]


def cut(song: Song, start: int, steps: int) -> Song:
    """(..., song step) -> (..., clip step); a song shorter than a clip is repeated."""
    length = song.shape[-1]
    if length >= steps:
        return song[..., start : start + steps]
    at = torch.arange(steps) if isinstance(song, torch.Tensor) else np.arange(steps)
    return song[..., repeated(start + at, length)]


def repeated(at: Song, length: "Song | int") -> Song:
    """Steps of a clip -> steps of its song: silence after its end would be a feature of its own."""
    return at % length


@dataclass(eq=False)
class Clips(Dataset):
    """Clips of a packed corpus, fetched a whole batch at a time; or only which they are."""

    corpus: Corpus
    steps: int
    genre_numbers: torch.Tensor
    augment: WaveAugmentation | None
    fetched: bool = True

    def __getitems__(self, clips: list[Clip]) -> Batch:
        rows = torch.tensor([row for row, _, _ in clips])
        start = torch.tensor([start for _, start, _ in clips])
        which: Batch = {"genre": self.genre_numbers[rows], "song": rows, "start": start}
        if not self.fetched:
            return which
        cuts = self._cuts(rows.numpy(), start.numpy())
        if self.augment is None:
            batch = np.empty((len(cuts), *cuts[0].shape), cuts[0].dtype)
            for place, wave in zip(batch, cuts, strict=True):  # faster than np.stack
                place[:] = wave
        else:
            batch = self.augment(cuts, [seed for _, _, seed in clips])
        return {"clip": torch.from_numpy(batch), **which}

    def _cuts(self, rows: np.ndarray, start: np.ndarray) -> list[np.ndarray]:
        lengths = self.corpus.lengths[rows]
        is_short = lengths < self.steps
        whole = np.where(is_short, 0, start), np.where(is_short, lengths, start + self.steps)
        cuts = self.corpus.parts(rows, *whole)
        for clip in np.flatnonzero(is_short):
            cuts[clip] = cut(cuts[clip], start[clip], self.steps)
        return cuts


class ResidentSongs:
    """A packed corpus in a device's memory, from which the clips of a batch are cut at once."""

    def __init__(self, corpus: Corpus, steps: int, device: torch.device) -> None:
        """Raises UserError for a corpus that leaves the GPU less memory than it takes."""
        first = np.cumsum(corpus.lengths) - corpus.lengths
        step = corpus.empty(1)
        size = int(corpus.lengths.sum()) * step.nbytes
        if device.type == "cuda" and size > torch.cuda.mem_get_info()[0] / 2:
            raise UserError(
                f"data.resident: the corpus has {size / 1e9:.1f} GB, more than half of what the "
                "GPU has free: leave it out"
            )
        self.steps, self.device = steps, device
        shape = (int(corpus.lengths.sum()), *step.shape[:-1])
        self.array = torch.from_numpy(step).new_empty(shape, device=device)  # time first
        for song, (begin, length) in enumerate(zip(first, corpus.lengths, strict=True)):
            recording = torch.from_numpy(np.array(corpus.recording(song)))
            self.array[begin : begin + length] = recording.to(device).movedim(-1, 0)
        self.places = torch.from_numpy(np.stack([first, corpus.lengths])).to(device)

    def cut(self, song: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        """(clip,) rows and starts -> (clip, ..., step), as ``Clips`` cuts them."""
        first, length = self.places[:, song][..., None]
        at = repeated(start[:, None] + torch.arange(self.steps, device=self.device), length)
        return self.array[at.add_(first)].movedim(1, -1)


def drawn_clips(
    rows: np.ndarray, spare: np.ndarray, clips_per_song: int, random: np.random.Generator
) -> list[Clip]:
    """Every song ``clips_per_song`` times, in random order, at random starts.

    Args:
        rows: of the songs.
        spare: (song,) the latest start, in steps.
    """
    songs = np.concatenate([random.permutation(len(rows)) for _ in range(clips_per_song)])
    starts = random.integers(0, spare[songs] + 1)
    return [(int(rows[n]), int(start), 0) for n, start in zip(songs, starts, strict=True)]


@dataclass(eq=False)
class TrainBatches(Sampler[list[Clip]]):
    """Batches of an epoch: ``drawn_clips``, or the fixed ones in an order of its own.

    The clips are a function of (seed, epoch) alone, so a resumed run sees the same ones; each of
    several processes takes every n-th clip of the same global batch. An incomplete last batch is
    dropped, unless it is the only one.
    """

    rows: np.ndarray  # of the songs
    spare: np.ndarray  # (song,) the latest start, in steps
    clips_per_song: int
    batch_size: int  # of each process
    seed: int
    epoch: Callable[[], int]
    shard: tuple[int, int]  # rank, processes
    fixed: list[Clip] | None  # in place of random ones

    def __post_init__(self) -> None:
        fixed, (self.rank, world) = self.fixed, self.shard
        self.total = len(self.rows) * self.clips_per_song if fixed is None else len(fixed)
        self.size = min(self.batch_size * world, self.total)

    def __len__(self) -> int:
        return self.total // self.size

    def __iter__(self) -> Iterator[list[Clip]]:
        random = np.random.default_rng([self.seed, self.epoch()])
        if self.fixed is not None:
            clips = [self.fixed[n] for n in random.permutation(self.total)]
        else:
            clips = drawn_clips(self.rows, self.spare, self.clips_per_song, random)
        seeds = random.integers(0, 2**32, self.total)
        clips = [(row, start, int(s)) for (row, start, _), s in zip(clips, seeds, strict=True)]
        for n in range(len(self)):
            yield clips[n * self.size : (n + 1) * self.size][self.rank :: self.shard[1]]
