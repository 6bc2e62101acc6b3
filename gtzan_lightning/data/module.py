"""The LightningDataModule: protocol -> clips -> batches -> pictures on the device."""

from collections.abc import Callable
from typing import Any

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader

from gtzan_lightning.data.augment import PictureAugmentation, WaveAugmentation
from gtzan_lightning.data.clips import (
    Batch,
    Clip,
    Clips,
    ResidentSongs,
    TrainBatches,
    drawn_clips,
)
from gtzan_lightning.data.corpus import Corpus
from gtzan_lightning.data.features import PictureSpec
from gtzan_lightning.data.packing import prepare
from gtzan_lightning.data.pictures import Features
from gtzan_lightning.data.prepared import Prepared, part_grid, prepare_clips
from gtzan_lightning.data.protocols import Split, concrete
from gtzan_lightning.data.shared_memory import check_shared_memory
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.identity import recipe_key
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.recipe.section import Shape

LEAKY_COLUMN = (
    "LEAKY FEATURE: a column of the table tells the genre without music, such as the number of its "
    "row; the scores measure the leak"
)
QUICK = "QUICK: a trial of minutes (--quick), whose scores say nothing of the model"


class GenreData(lightning.LightningDataModule):
    """Songs, split by a protocol, as batches of clips; pictures are made on the device.

    The test part is closed unless the recipe opens it (``fit.open_test``): all ways to its clips
    pass ``open_part``.

    Attributes:
        has_kept_maps: the network has all it needs of the clips, so no pictures are made.
        evaluated: the part that ``trainer.validate`` evaluates: valid, or train.
        on_opening: called whenever the test part is opened, to record it.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.picture_augmentation = PictureAugmentation(recipe.augment)
        self._corpus: Corpus | None = None
        self._prepared: Prepared | None = None
        self._resident: ResidentSongs | None = None
        self.evaluated = "valid"
        self.has_kept_maps = False
        self.on_opening: Callable[[], None] = lambda: None

    def prepare_data(self) -> None:
        """Decode and pack the songs once (several processes wait for the first)."""
        if self._corpus is None:
            self._corpus = prepare(self.recipe.data)

    def setup(self, stage: str | None = None) -> None:
        """Open the corpus and cut it into parts.

        Raises:
            UserError: an empty part, a clip longer than every song, or too little shared memory.
        """
        if self._prepared is not None:
            return
        self.prepare_data()
        if self.recipe.data.resident and self._wave_augmentation():
            raise UserError(
                "data.resident: shift and noise are made by the loader, which it does without: "
                "turn them off with augment.audio 0"
            )
        genre_of = {song["id"]: song["genre"] for song in self.corpus.songs}
        settings = concrete(self.recipe.data, genre_of, self.corpus.universe)
        # what is recorded names the protocol, not "auto"
        self.recipe = self.recipe.model_copy(update={"data": settings})
        self._prepared = prepare_clips(settings, self.corpus)
        if not settings.resident:
            clip = self.corpus.empty(self.clip_steps).nbytes * (1 + bool(self._wave_augmentation()))
            check_shared_memory(settings.workers, clip * self.recipe.fit.batch_size)

    @property
    def corpus(self) -> Corpus:
        if self._corpus is None:
            raise RuntimeError("GenreData has no songs yet: call prepare_data() or setup() first")
        return self._corpus

    @corpus.setter
    def corpus(self, corpus: Corpus) -> None:
        self._corpus = corpus

    @property
    def prepared(self) -> Prepared:
        """Raises RuntimeError before ``setup``."""
        if self._prepared is None:
            raise RuntimeError("GenreData is not ready: call setup() first")
        return self._prepared

    @property
    def split(self) -> Split:
        return self.prepared.split

    @property
    def spec(self) -> PictureSpec:
        return self.prepared.spec

    @property
    def features(self) -> Features:
        return self.prepared.features

    @property
    def shape(self) -> Shape:
        return self.prepared.shape

    @property
    def clip_steps(self) -> int:
        return self.prepared.clip_steps

    @property
    def seconds_per_step(self) -> float:
        return self.prepared.seconds_per_step

    @property
    def genre_numbers(self) -> torch.Tensor:
        return self.prepared.genre_numbers

    def train_dataloader(self) -> DataLoader:
        """Clips of the training songs, drawn or at least shuffled anew in each epoch."""
        data, fit = self.recipe.data, self.recipe.fit
        rows = self._rows("train")
        spare = np.maximum(self.corpus.lengths[rows] - self.clip_steps, 0)
        fixed = None
        # the leaky protocol owns clips of the grid, not songs
        if self.split.by_clip or data.windows == "pieces":
            fixed = self.grid("train")
        elif data.windows == "once":
            first = np.random.default_rng([self.recipe.seed, 0])
            fixed = drawn_clips(rows, spare, data.clips_per_song, first)
        batches = TrainBatches(
            rows=rows,
            spare=spare,
            clips_per_song=data.clips_per_song,
            batch_size=fit.batch_size,
            seed=self.recipe.seed,
            epoch=lambda: self.trainer.current_epoch if self.trainer else 0,
            shard=self._shard(),
            fixed=fixed,
        )
        return self._loader(batches, self._wave_augmentation())

    def val_dataloader(self) -> DataLoader:
        """The evaluation clips of the valid part, or of what ``evaluated`` names."""
        return self._loader(self._fixed_batches(self.evaluated))

    def test_dataloader(self) -> DataLoader:
        """The evaluation clips of the test part, where it is open."""
        return self._loader(self._fixed_batches("test"))

    def open_part(self, part: str) -> None:
        """The guard before the songs of a part are read to measure or to explain.

        Raises:
            UserError: it is the test part, and the recipe keeps that closed.
        """
        if part != "test" or self.split.is_open:
            return
        if not self.recipe.fit.open_test:
            raise UserError(
                "the test part is closed: choose on the validation part, then open it with "
                "fit.open_test true (--open-test), which is recorded"
            )
        self.on_opening()

    @property
    def measured_parts(self) -> list[str]:
        """The parts that a run ends by measuring: those that are open and have songs here."""
        parts = ["train"] * self.recipe.fit.score_train + ["valid"]
        parts += ["test"] * (self.recipe.fit.open_test or self.split.is_open)
        return [part for part in parts if self.grid(part)]

    def measured_by(self, recipe: Recipe) -> dict[str, str]:
        """What is measured, and on which songs: tags of a run, and an opening of the test part."""
        return {
            "model": recipe.title,
            "recipe": recipe_key(recipe),
            "corpus": self.corpus.name,
            "songs_fingerprint": self.corpus.fingerprint,
            "protocol": self.split.label,
            "seed": str(recipe.seed),
            "fold": str(recipe.data.fold),
        }

    def batches(self, part: str) -> DataLoader:
        """The evaluation clips of a part in order, for models that are not trained by epochs."""
        return self._loader(self._fixed_batches(part), is_fetched=True)

    @property
    def warning(self) -> str:
        """What makes the scores of this run worthless for comparison; empty as a rule."""
        model = self.recipe.model
        leaks = getattr(model, "leaky_id", False) or getattr(model, "leaky_columns", False)
        warnings = [LEAKY_COLUMN if leaks else self.split.warning, QUICK * self.recipe.quick]
        return "; ".join(filter(None, warnings))

    def grid(self, part: str) -> list[Clip]:
        """The evaluation clips of a part: a fixed, even grid over each song, song by song."""
        return part_grid(self.corpus, self.split, self.clip_steps, part)

    def class_weights(self) -> torch.Tensor:
        """(genre,) inverse share of the training songs of each genre; 1 where all are equal."""
        count = torch.bincount(self.genre_numbers[self._rows("train")], minlength=self.genres)
        return count.sum() / (count.clamp_min(1) * (count > 0).sum())

    @property
    def genres(self) -> int:
        return len(self.corpus.genres)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """The clips of a batch become pictures, on the device that they are on."""
        target = torch.nn.functional.one_hot(batch["genre"], self.genres).float()
        if self.has_kept_maps:
            return {**batch, "target": target}
        with torch.no_grad():
            clips = batch.pop("clip") if "clip" in batch else self._cut(batch)
            picture = self.features.to(clips.device)(clips)
            if self.trainer is not None and self.trainer.training:
                picture, target = self.picture_augmentation(picture, target)
        return {**batch, "picture": picture, "target": target}

    def _cut(self, batch: Batch) -> torch.Tensor:
        """The clips of a batch, from the corpus on the batch's device."""
        device = batch["song"].device
        if self._resident is None or self._resident.device != device:
            self._resident = ResidentSongs(self.corpus, self.clip_steps, device)
        return self._resident.cut(batch["song"], batch["start"])

    def _wave_augmentation(self) -> WaveAugmentation | None:
        if self.corpus.is_pictures or not WaveAugmentation.changes(self.recipe.augment):
            return None
        return WaveAugmentation(self.recipe.augment, self.recipe.data.sample_rate)

    def _rows(self, part: str) -> np.ndarray:
        row = {id_: n for n, id_ in enumerate(self.corpus.ids)}
        return np.array([row[id_] for id_ in self.split.songs(part)], dtype=int)

    def _fixed_batches(self, part: str) -> list[list[Clip]]:
        self.open_part(part)
        rank, world = self._shard()
        clips = self.grid(part)
        if len(clips) < world:
            raise UserError(
                f"the {part} part has {len(clips)} clips for {world} processes: take fewer "
                "(fit.devices), or more songs"
            )
        own, size = clips[rank::world], self.recipe.fit.batch_size
        return [own[n : n + size] for n in range(0, len(own), size)]

    def _shard(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size

    def _loader(
        self,
        batches: TrainBatches | list[list[Clip]],
        augment: WaveAugmentation | None = None,
        is_fetched: bool = False,
    ) -> DataLoader:
        fetched = is_fetched or not self.recipe.data.resident
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


def _as_is(batch: Any) -> Any:
    return batch
