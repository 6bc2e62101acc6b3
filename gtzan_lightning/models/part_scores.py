"""Loss and scores of one part in one epoch, over all batches and processes."""

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassF1Score,
    MulticlassStatScores,
)

from gtzan_lightning.models.song_votes import SongVotes, macro


class PartScores(nn.Module):
    """Remembers an epoch's clips and scores them at its end.

    A score for each step would stop a GPU to read it.

    Args:
        songs: number of songs of the corpus, whose rows batches name.
        genres: number of genres.
    """

    def __init__(self, songs: int, genres: int) -> None:
        super().__init__()
        self.clip = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(genres, average="micro"),
                "f1": MulticlassF1Score(genres, average=None),
                "auroc": MulticlassAUROC(genres, average=None),
                "counts": MulticlassStatScores(genres, average=None),
            }
        )
        self.song = SongVotes(songs, genres)
        # not Lightning's sync_dist: a progress bar, which the first process alone has, reads a
        # score before the others get there, and all wait for ever
        self.loss = MeanMetric()
        self.batches: list[dict[str, Tensor]] = []  # of the epoch

    def add(self, logits: Tensor, loss: Tensor, batch: dict[str, Tensor]) -> None:
        """Remember a batch: logits (clip, genre), loss (clip,)."""
        which = {name: batch[name] for name in ("song", "start", "genre")}
        # a blend of two songs has no one genre: scores are of the clips that were not mixed
        pure = batch["target"].amax(1) == 1
        log_probs = logits.detach().float().log_softmax(1)
        self.batches.append({**which, "log_probs": log_probs, "loss": loss, "pure": pure})

    def rows(self) -> dict[str, Tensor]:
        """The epoch's clips in this process."""
        return {name: torch.cat([b[name] for b in self.batches]) for name in self.batches[0]}

    def update(self) -> Tensor:
        """Add the epoch's clips to the scores; returns their mean loss over all processes."""
        rows = self.rows()
        pure = rows["pure"]
        if pure.any():
            log_probs, song, genre = (rows[name][pure] for name in ("log_probs", "song", "genre"))
            self.clip.update(log_probs.exp(), genre)
            self.song.update(log_probs, song, genre)
        self.loss.update(rows["loss"].mean(), len(rows["loss"]))
        return self.loss.compute()

    def compute(self) -> dict[str, Tensor]:
        """Scores of clips and of songs over all processes, by names such as ``song_accuracy``."""
        clips = self.clip.compute()
        levels = {"clip": macro(clips, clips["counts"][:, -1]), "song": self.song.compute()}
        return {f"{level}_{name}": v for level in levels for name, v in levels[level].items()}

    def reset(self) -> None:
        """Forget everything but the clips, which ``rows`` still gives."""
        for metric in (self.clip, self.song, self.loss):
            metric.reset()
