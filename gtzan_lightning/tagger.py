"""Checkpoint in, genres out: the network and its features rebuilt from one file."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from gtzan_lightning import __version__
from gtzan_lightning.classifier import CHECKPOINT, CHECKPOINT_FORMAT, build_network
from gtzan_lightning.errors import UserError
from gtzan_lightning.features import Features, PictureSpec, decibels_to_bytes
from gtzan_lightning.models import model_class
from gtzan_lightning.settings import Recipe
from gtzan_lightning.splits import grid_starts


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of this package as plain values and tensors; code in it is never executed.

    Raises:
        UserError: missing, truncated, made by something else, or of another format.
    """
    if not path.is_file():
        raise UserError(f"there is no checkpoint at {path}")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and torch each have their own errors for bad bytes
        reason = " ".join(str(error).split())[:120]
        raise UserError(
            f"checkpoint {path} can't be read, it is truncated or not one of ours ({reason}): "
            "train again, or take another checkpoint"
        ) from None
    about = checkpoint.get(CHECKPOINT) if isinstance(checkpoint, dict) else None
    if about is None:
        raise UserError(f"checkpoint {path} was not made by gtzan_lightning")
    if about["format"] != CHECKPOINT_FORMAT:
        raise UserError(
            f"checkpoint {path} was made by gtzan_lightning {about['version']} (format "
            f"{about['format']}), this is {__version__} (format {CHECKPOINT_FORMAT}): install "
            "that version, or train again"
        )
    return checkpoint


class Tagger:
    """Waveforms -> genre probabilities, with the clips, picture and network of a checkpoint."""

    def __init__(self, checkpoint: dict[str, Any]) -> None:
        about = checkpoint[CHECKPOINT]
        try:
            self._rebuild(about, checkpoint["state_dict"])
        except (ValidationError, KeyError, TypeError, RuntimeError) as error:
            raise UserError(
                f"this checkpoint was made by gtzan_lightning {about['version']}, whose settings "
                f"or layers are not those of {__version__} ({' '.join(str(error).split())[:150]}): "
                "install that version, or train again"
            ) from None

    def _rebuild(self, about: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
        self.recipe = Recipe.model_validate(about["recipe"])
        self.of_pictures = about["corpus_kind"] == "picture"
        self.genres: list[str] = about["genres"]
        self.spec = PictureSpec.from_dict(about["picture"])
        self.features = Features(self.spec)
        self.stored = Features(self.spec.stored()) if self.of_pictures else None
        # the weights are in the checkpoint: nothing is to be fetched
        settings = self.recipe.model
        if hasattr(settings, "pretrained"):
            settings = settings.model_copy(update={"pretrained": False, "weights": None})
        cls = model_class(self.recipe.model.name).network_class
        self.network = build_network(cls, settings, len(self.genres), about["shape"]).eval()
        weights = {
            key.removeprefix("network."): value
            for key, value in state.items()
            if key.startswith("network.")
        }
        self.network.load_state_dict(weights)

    @classmethod
    def load(cls, path: Path) -> "Tagger":
        """Rebuild from a checkpoint file. Raises UserError as ``read_checkpoint`` does."""
        return cls(read_checkpoint(path))

    @torch.inference_mode()
    def probabilities(self, waves: np.ndarray) -> np.ndarray:
        """(song, sample) floats in [-1, 1] at ``spec.sample_rate`` -> (song, genre).

        Each song is cut into the evaluation grid of clips; a song's probabilities are the softmax
        of its clips' mean log-probability, the headline vote.
        """
        waves = torch.from_numpy(np.atleast_2d(np.asarray(waves, dtype=np.float32)))
        seconds = self.recipe.data.clip_seconds
        if self.of_pictures:
            # as the corpus was packed: a song's own loudest moment is 0 dB, a byte for each pixel
            songs = decibels_to_bytes(self.stored.plain(waves))
            steps = self.spec.frames(seconds)
        else:
            songs, steps = waves, max(1, round(seconds * self.spec.sample_rate))
        if songs.shape[-1] < steps:
            songs = songs[..., torch.arange(steps) % songs.shape[-1]]
        votes = []
        for start in grid_starts(songs.shape[-1], steps):
            picture = self.features(songs[..., start : start + steps])
            votes.append(self.network(picture).log_softmax(1))
        return torch.stack(votes).mean(0).softmax(1).numpy()
