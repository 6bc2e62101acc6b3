"""What a checkpoint holds; written and read here alone."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing
from gtzan_lightning.recipe.recipes import Recipe, stored_recipe
from gtzan_lightning.recipe.section import Shape
from gtzan_lightning.version import __version__

KEY = "gtzan_lightning"  # under which a checkpoint describes itself
FORMAT = 2


@dataclass(frozen=True)
class Contents:
    """What a checkpoint says of its weights: enough to use them without the run's corpus."""

    recipe: Recipe
    genres: list[str]  # in the order of the logits
    corpus_kind: str  # waveform or picture: what the corpus keeps of a song
    picture: dict[str, Any]  # of PictureSpec.to_dict
    shape: Shape  # of one picture
    corpus: str
    songs_fingerprint: str
    protocol: str
    split_fingerprint: str
    temperature: float = 1.0  # of the logits; see results.calibration
    format: int = FORMAT
    version: str = __version__

    def write(self, checkpoint: dict[str, Any]) -> None:
        """Into Lightning's checkpoint, as plain values."""
        checkpoint[KEY] = {**vars(self), "recipe": self.recipe.model_dump(mode="json")}


@dataclass(frozen=True)
class Checkpoint:
    """Contents, and weights by their names; those of the network begin with ``network.``."""

    contents: Contents
    state_dict: dict[str, Tensor]

    @property
    def digest(self) -> str:
        """Equal for equal weights and temperatures."""
        digest = hashlib.sha256()
        for name in sorted(self.state_dict):
            digest.update(name.encode())
            digest.update(self.state_dict[name].contiguous().numpy().tobytes())
        if self.contents.temperature != 1:
            digest.update(str(self.contents.temperature).encode())
        return digest.hexdigest()[:8]

    def raw(self) -> "Checkpoint":
        """The same without its temperature."""
        return self.with_temperature(1.0)

    def with_temperature(self, temperature: float) -> "Checkpoint":
        """The same with another temperature."""
        return replace(self, contents=replace(self.contents, temperature=temperature))


def read_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint of this package; code in it is never executed.

    Raises:
        UserError: missing, truncated, made by something else, of another format, or with settings
            that this version does not have.
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
    plain = checkpoint.get(KEY) if isinstance(checkpoint, dict) else None
    if plain is None:
        raise UserError(f"checkpoint {path} was not made by gtzan_lightning")
    if plain["format"] != FORMAT:
        raise UserError(
            f"checkpoint {path} was made by gtzan_lightning {plain['version']} (format "
            f"{plain['format']}), this is {__version__} (format {FORMAT}): install that version, "
            "or train again"
        )
    try:
        recipe = stored_recipe(plain["recipe"])
        # a checkpoint that is shipped has half precision
        state = {
            name: tensor.float() if tensor.dtype == torch.float16 else tensor
            for name, tensor in checkpoint["state_dict"].items()
        }
        return Checkpoint(Contents(**{**plain, "recipe": recipe}), state)
    except (ValidationError, KeyError, TypeError) as error:
        raise of_another_version(plain["version"], error) from None


def keep_temperature(path: Path, temperature: float) -> None:
    """Write a temperature, which is known after the training only, into a checkpoint."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    checkpoint[KEY]["temperature"] = temperature
    with replacing(path) as part:
        torch.save(checkpoint, part)


def of_another_version(version: str, error: Exception) -> UserError:
    """For settings or layers of a checkpoint that this version can't make anything of."""
    return UserError(
        f"this checkpoint was made by gtzan_lightning {version}, whose settings or layers are not "
        f"those of {__version__} ({' '.join(str(error).split())[:150]}): install that version, or "
        "train again"
    )
