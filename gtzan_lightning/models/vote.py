"""The headline vote of clips for a song, alone: torchmetrics takes seconds to import."""

from torch import Tensor


def headline(log_probs: Tensor, clips: Tensor | int) -> Tensor:
    """Sums over so many clips (..., genre) -> a song's log-probabilities."""
    return (log_probs / clips).log_softmax(-1)
