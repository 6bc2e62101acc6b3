"""The LightningDataModule: protocol -> clips -> batches -> pictures on the device."""

from typing import Any

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader

from gtzan_lightning.data.augment import PictureAugmentation, WaveAugmentation
from gtzan_lightning.data.clips import Clip, Clips, ResidentSongs, TrainBatches, grid_starts
from gtzan_lightning.data.corpus import Corpus
from gtzan_lightning.data.features import FEATURES, PictureSpec
from gtzan_lightning.data.packing import prepare
from gtzan_lightning.data.pictures import Features
from gtzan_lightning.data.protocols import Split, make_split
from gtzan_lightning.errors import Untrainable, UserError
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.recipe.section import Shape

LEAKY_COLUMN = (
    "LEAKY FEATURE: the row number of the table tells the genre; the figures measure the leak"
)


class GenreData(lightning.LightningDataModule):
    """Songs, split by a protocol, as batches of clips; pictures are made on the device.

    A batch on the device is ``picture (clip, bin, frame)``, ``target (clip, genre)`` (soft after
    mixup), ``genre (clip,)``, ``song (clip,)`` (row in the corpus) and ``start (clip,)`` in steps.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.corpus: Corpus
        self.split: Split

    def prepare_data(self) -> None:
        """Decode and pack the songs once (several processes wait for the first)."""
        if not hasattr(self, "corpus"):
            self.corpus = prepare(self.recipe.data)

    def setup(self, stage: str | None = None) -> None:
        """Open the corpus and cut it into parts.

        Raises:
            UserError: an empty part, or a clip longer than every song.
        """
        if hasattr(self, "split"):
            return
        self.prepare_data()
        data, corpus = self.recipe.data, self.corpus
        genre_of = {song["id"]: song["genre"] for song in corpus.songs}
        self.split = make_split(data, genre_of, corpus.universe, corpus.name)
        self.spec = PictureSpec.of(data)
        if corpus.is_pictures:
            self.spec = PictureSpec.from_corpus(corpus.info, data)
            self._same_as_asked()
        self.seconds_per_step = (
            self.spec.seconds_per_frame if corpus.is_pictures else 1 / data.sample_rate
        )
        self.clip_steps = max(1, round(data.clip_seconds / self.seconds_per_step))
        longest = corpus.lengths.max() * self.seconds_per_step
        if self.clip_steps > corpus.lengths.max() and data.clip_seconds - longest > 0.01:
            raise Untrainable(
                f"--data.clip_seconds {data.clip_seconds:g} is longer than every song "
                f"(the longest has {longest:.2f} s): choose a shorter clip"
            )
        for part in ("train", "valid"):
            if not self.grid(part):
                raise UserError(f"--data.split {self.split.label}: the {part} part is empty")
        self.features = Features(self.spec)
        one = corpus.array[:1, ..., : self.clip_steps]
        silence = torch.from_numpy(np.zeros((*one.shape[:-1], self.clip_steps), one.dtype))
        self.shape: Shape = tuple(self.features(silence).shape[1:])
        self.picture_augmentation = PictureAugmentation(self.recipe.augment)
        self.resident: ResidentSongs | None = None
        if data.resident and self._wave_augmentation():
            raise UserError(
                "--data.resident: shift and noise are made by the loader, which it does without: "
                "turn them off with --augment.audio 0"
            )
        self.genre_numbers = torch.from_numpy(corpus.genre_numbers())

    def train_dataloader(self) -> DataLoader:
        data, fit = self.recipe.data, self.recipe.fit
        rows = self._rows("train")
        fixed = None
        if self.split.by_clip:  # the leaky protocol owns clips of the grid, not songs
            fixed = self.grid("train")
        batches = TrainBatches(
            rows=rows,
            spare=np.maximum(self.corpus.lengths[rows] - self.clip_steps, 0),
            clips_per_song=data.clips_per_song,
            batch_size=fit.batch_size,
            seed=self.recipe.seed,
            epoch=self._draw_of_epoch,
            shard=self._shard(),
            fixed=fixed,
        )
        return self._loader(batches, self._wave_augmentation())

    def val_dataloader(self) -> DataLoader:
        return self._loader(self._fixed_batches("valid"))

    def test_dataloader(self) -> DataLoader:
        """Only while the trainer tests: nothing else can reach the test part."""
        if self.trainer is None or self.trainer.state.fn != "test":
            raise RuntimeError("the test part is opened by trainer.test alone")
        return self._loader(self._fixed_batches("test"))

    def batches(self, part: str) -> DataLoader:
        """The evaluation clips of a part in order, for models that are not trained by epochs."""
        return self._loader(self._fixed_batches(part), resident=False)

    @property
    def warning(self) -> str:
        """What makes the figures of this run worthless for comparison; empty as a rule."""
        if getattr(self.recipe.model, "leaky_id", False):
            return LEAKY_COLUMN
        return self.split.warning

    def grid(self, part: str) -> list[Clip]:
        """The evaluation clips of a part: a fixed, even grid over each song, song by song."""
        ids = self.corpus.ids
        clips = []
        for row in range(len(ids)):
            for number, start in enumerate(grid_starts(self.corpus.lengths[row], self.clip_steps)):
                if self.split.part(ids[row], number) == part:
                    clips.append((row, start, 0))
        return clips

    def class_weights(self) -> torch.Tensor:
        """(genre,) inverse share of the training songs of each genre; 1 where all are equal."""
        count = torch.bincount(self.genre_numbers[self._rows("train")], minlength=self.genres)
        return count.sum() / (count.clamp_min(1) * (count > 0).sum())

    @property
    def genres(self) -> int:
        return len(self.corpus.genres)

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """The clips of a batch become pictures, on the device that they are on."""
        with torch.no_grad():
            clips = batch.pop("clip") if "clip" in batch else self._cut(batch)
            picture = self.features.to(clips.device)(clips)
            target = torch.nn.functional.one_hot(batch["genre"], self.genres).float()
            if self.trainer is not None and self.trainer.training:
                picture, target = self.picture_augmentation(picture, target)
        return {**batch, "picture": picture, "target": target}

    def _cut(self, batch: dict[str, Any]) -> torch.Tensor:
        """The clips of a batch, from the corpus on the batch's device."""
        device = batch["song"].device
        if self.resident is None or self.resident.device != device:
            self.resident = ResidentSongs(self.corpus, self.clip_steps, device)
        return self.resident.cut(batch["song"], batch["start"])

    def _wave_augmentation(self) -> WaveAugmentation | None:
        a = self.recipe.augment
        if self.corpus.is_pictures or not a.audio or not (a.shift or a.noise):
            return None
        return WaveAugmentation(a, self.recipe.data.sample_rate)

    def _draw_of_epoch(self) -> int:
        """Number of the draw of clips: the epoch's, or always the first."""
        if self.recipe.data.fixed_windows or self.trainer is None:
            return 0
        return self.trainer.current_epoch

    def _same_as_asked(self) -> None:
        """Pictures are what they are: a flag that asks for others is a mistake to name."""
        holds, asked = self.corpus.info.get("picture", "mel"), PictureSpec.of(self.recipe.data)
        if holds not in (asked.picture, FEATURES[asked.picture].packed):
            raise UserError(
                f"--data.features {asked.picture} can't be made of {holds} pictures: use songs, or "
                f"--data.features {holds}"
            )
        if asked.scale != "decibels":
            raise UserError("--data.scale linear can't be made of pictures in decibels: use songs")
        for name in ("bins", "n_fft", "window", "hop_length", "f_min", "f_max", "sample_rate"):
            kept, wanted = getattr(self.spec, name), getattr(asked, name)
            if kept != wanted:
                raise UserError(
                    f"--data.{name} {wanted} asks for other pictures than the corpus holds "
                    f"({name} {kept}): give that value"
                )

    def _rows(self, part: str) -> np.ndarray:
        row = {id_: n for n, id_ in enumerate(self.corpus.ids)}
        return np.array([row[id_] for id_ in self.split.songs(part)], dtype=int)

    def _fixed_batches(self, part: str) -> list[list[Clip]]:
        rank, world = self._shard()
        clips = self.grid(part)
        if len(clips) < world:
            raise UserError(
                f"the {part} part has {len(clips)} clips for {world} processes: take fewer "
                "(--fit.devices), or more songs"
            )
        clips = clips[rank::world]
        size = self.recipe.fit.batch_size
        return [clips[n : n + size] for n in range(0, len(clips), size)]

    def _shard(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size

    def _loader(
        self,
        batches: "TrainBatches | list[list[Clip]]",
        augment: WaveAugmentation | None = None,
        resident: bool | None = None,
    ) -> DataLoader:
        fetched = not (self.recipe.data.resident if resident is None else resident)
        clips = Clips(self.corpus, self.clip_steps, self.genre_numbers, augment, fetched)
        workers = self.recipe.data.workers
        return DataLoader(
            clips,
            batch_sampler=batches,
            collate_fn=_as_is,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            # an iterator draws a number; a resumed epoch makes its own before the epoch is seeded
            generator=torch.Generator(),
        )


def _as_is(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return batch
