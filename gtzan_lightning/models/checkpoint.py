"""What a checkpoint holds; written and read here alone."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter
from torch import Tensor

from gtzan_lightning.data.features import MOST_PIXELS, PictureSpec
from gtzan_lightning.errors import UserError, in_a_line
from gtzan_lightning.models.tensors import check_tensors, read_tensors, write_tensors
from gtzan_lightning.recipe.bounded import check_plain
from gtzan_lightning.recipe.recipes import Recipe, stored_recipe
from gtzan_lightning.recipe.section import Shape
from gtzan_lightning.version import __version__

KEY = "gtzan_lightning"  # under which a checkpoint describes itself
FORMAT = 2
STATE = {"loops", "callbacks", "optimizer_states", "lr_schedulers"}  # Lightning's, of a training
Words = Annotated[str, Field(max_length=1000)]


def _distinct(genres: list[str]) -> list[str]:
    if len(set(genres)) < len(genres):
        raise ValueError("a genre is named twice")
    return genres


def _held(shape: Shape) -> Shape:
    if min(shape) < 1 or math.prod(shape) > MOST_PIXELS:
        raise ValueError(f"a picture has 1 to {MOST_PIXELS:,} pixels")
    return shape


@dataclass(frozen=True)
class Contents:
    """What a checkpoint says of its weights: enough to use them without the run's corpus."""

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    recipe: Recipe
    # in the order of the logits
    genres: Annotated[list[Words], Field(min_length=1, max_length=1000), AfterValidator(_distinct)]
    corpus_kind: Literal["waveform", "picture"]  # what the corpus keeps of a song
    picture: dict[str, Any]  # of PictureSpec.to_dict
    shape: Annotated[Shape, AfterValidator(_held)]  # of one picture
    corpus: Words
    songs_fingerprint: Words
    protocol: Words
    split_fingerprint: Words
    # of the logits; see results.calibration
    temperature: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    format: int = FORMAT
    version: Words = __version__

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
        UserError: missing, truncated, made by something else, of another format, with settings
            that this version does not have, or with weights that are no numbers.
    """
    checkpoint = _read(path)
    plain = checkpoint.get(KEY) if isinstance(checkpoint, dict) else None
    if not isinstance(plain, dict):
        raise UserError(f"checkpoint {path} was not made by gtzan_lightning")
    check_plain(plain, f"checkpoint {path}")
    version = str(plain.get("version", "of an unknown version"))
    if plain.get("format") != FORMAT:
        raise UserError(
            f"checkpoint {path} was made by gtzan_lightning {version} (format "
            f"{plain.get('format')}), this is {__version__} (format {FORMAT}): install that "
            "version, or train again"
        )
    try:
        contents, state = _contents(plain), _state(checkpoint["state_dict"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # ValidationError is one
        raise of_another_version(version, error) from None
    check_tensors(state, path.stat().st_size, f"checkpoint {path}")
    # a checkpoint that is shipped has half precision
    halves = (torch.float16, torch.bfloat16)
    whole = {name: t.float() if t.dtype in halves else t for name, t in state.items()}
    return Checkpoint(contents, whole)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise UserError(f"there is no checkpoint at {path}")
    try:
        return read_tensors(path)
    except Exception as error:  # zip, pickle and torch each have their own errors for bad bytes
        reason = in_a_line(error)
        raise UserError(
            f"checkpoint {path} can't be read, it is truncated, changed or not one of ours "
            f"({reason}): train again, or take another checkpoint"
        ) from None


def _contents(plain: dict[str, Any]) -> Contents:
    recipe = stored_recipe(plain["recipe"])
    contents = _adapter().validate_python({**plain, "recipe": recipe})
    spec = PictureSpec.from_dict(contents.picture)
    _held((1, spec.rows, spec.frames(recipe.data.clip_seconds)))
    return contents


def check_resumable(path: Path, contents: Contents) -> None:
    """Whether a training of these contents can be resumed from a checkpoint.

    Raises:
        UserError: as ``read_checkpoint``; of another recipe or songs, or of weights alone.
    """
    remedy = f"remove {path} to begin the run again from its first epoch"
    try:
        own = read_checkpoint(path).contents
    except UserError as error:
        raise UserError(f"{error}; or {remedy}") from None
    if _trained(own) != _trained(contents):
        raise UserError(f"checkpoint {path} is of another recipe or other songs: {remedy}")
    if not set(torch.load(path, map_location="cpu", weights_only=True, mmap=True)) >= STATE:
        raise UserError(f"checkpoint {path} has weights alone, of no training: {remedy}")


def _trained(contents: Contents) -> dict[str, Any]:
    """What the weights depend on; not where they are recorded, nor what made the file."""
    recipe = contents.recipe.model_dump(mode="json", exclude={"track": True, "fit": {"open_test"}})
    of_file = {"recipe", "temperature", "version", "format"}
    return {k: v for k, v in vars(contents).items() if k not in of_file} | {"recipe": recipe}


@cache
def _adapter() -> TypeAdapter[Contents]:
    return TypeAdapter(Contents)


def _state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if not all(isinstance(n, str) and isinstance(t, Tensor) for n, t in tensors.items()):
        raise TypeError("its state_dict holds other things than tensors")
    return {name: tensor.detach() for name, tensor in tensors.items()}


def keep_temperature(path: Path, temperature: float) -> None:
    """Write a temperature, which is known after the training only, into a checkpoint."""
    checkpoint = _read(path)
    checkpoint[KEY]["temperature"] = temperature
    write_tensors(path, checkpoint)


def of_another_version(version: str, error: Exception) -> UserError:
    """For settings or layers of a checkpoint that this version can't make anything of."""
    return UserError(
        f"this checkpoint was made by gtzan_lightning {version}, whose settings or layers are not "
        f"those of {__version__} ({' '.join(str(error).split())[:150]}): install that version, or "
        "train again"
    )
