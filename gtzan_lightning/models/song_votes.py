"""Votes of clips for songs in torch; ``results.predictions.vote`` is the same of a table."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional import classification as tm

from gtzan_lightning.models.vote import headline
from gtzan_lightning.results.predictions import VOTES


class SongVotes(Metric):
    """Votes of clips for songs, as sums: right on any number of batches and processes.

    ``compute`` gives accuracy, macro F1 and macro AUROC of the songs that were seen (headline
    vote), the accuracies of the other two votes, and the mean negative log-probability.
    """

    full_state_update = False
    log_mean: Tensor  # (song, genre) sums of the clips' log-probabilities,
    mean: Tensor  # of their probabilities,
    hard: Tensor  # and the number of clips that are of a genre
    clips: Tensor  # (song,)
    genre: Tensor  # (song,)

    def __init__(self, songs: int, genres: int) -> None:
        super().__init__()
        self.genres = genres
        for name in VOTES:
            self.add_state(name, torch.zeros(songs, genres), dist_reduce_fx="sum")
        self.add_state("clips", torch.zeros(songs), dist_reduce_fx="sum")
        self.add_state("genre", torch.zeros(songs, dtype=torch.long), dist_reduce_fx="max")

    def update(self, log_probs: Tensor, song: Tensor, genre: Tensor) -> None:
        """log_probs (clip, genre); song (clip,) rows; genre (clip,)."""
        log_probs = log_probs.detach().to(self.log_mean.dtype)
        hard = torch.nn.functional.one_hot(log_probs.argmax(1), self.genres).to(log_probs)
        self.log_mean.index_add_(0, song, log_probs)
        self.mean.index_add_(0, song, log_probs.exp())
        self.hard.index_add_(0, song, hard)
        self.clips.index_add_(0, song, torch.ones_like(song, dtype=self.clips.dtype))
        self.genre[song] = genre

    def votes(self) -> dict[str, Tensor]:
        """What each vote gives the genres of the songs that were seen (song, genre)."""
        seen = self.clips > 0
        log_mean = headline(self.log_mean[seen], self.clips[seen, None])
        tie = 0.5 * log_mean.exp()  # below one clip
        return {"log_mean": log_mean, "mean": self.mean[seen], "hard": self.hard[seen] + tie}

    def compute(self) -> dict[str, Tensor]:
        """Scores of the songs that were seen."""
        votes, genre = self.votes(), self.genre[self.clips > 0]
        scores = clip_scores(votes["log_mean"], genre, self.genres)
        scores["loss"] = torch.nn.functional.nll_loss(votes["log_mean"], genre)
        for name in ("mean", "hard"):
            scores[f"accuracy_{name}"] = (votes[name].argmax(1) == genre).float().mean()
        return scores


def clip_scores(log_probs: Tensor, genre: Tensor, genres: int) -> dict[str, Tensor]:
    """Accuracy, macro F1 and macro AUROC with torchmetrics; (row, genre), (row,)."""
    per_genre = {
        "accuracy": tm.multiclass_accuracy(log_probs, genre, genres, average="micro"),
        "f1": tm.multiclass_f1_score(log_probs, genre, genres, average=None),
        "auroc": tm.multiclass_auroc(log_probs.softmax(1), genre, genres, average=None),
    }
    return macro(per_genre, torch.bincount(genre, minlength=genres))


def macro(scores: dict[str, Tensor], support: Tensor) -> dict[str, Tensor]:
    """Average F1 and AUROC (genre,) over the genres that are there: support (genre,) above 0."""
    present = support > 0
    averaged = {name: scores[name][present].mean() for name in ("f1", "auroc")}
    return {"accuracy": scores["accuracy"], **averaged}
