"""Checkpoints to give away: half the size, and nothing of the machine that trained them."""

from dataclasses import replace
from pathlib import Path

from gtzan_lightning.errors import UserError
from gtzan_lightning.models.checkpoint import Checkpoint
from gtzan_lightning.models.tensors import write_tensors
from gtzan_lightning.recipe.recipes import Recipe
from gtzan_lightning.recipe.settings import DataSettings, TrackSettings

FILE = Path(__file__).parent / "ready.ckpt"  # the one that comes with the package


def write_shareable(checkpoint: Checkpoint, out: Path) -> None:
    """Write the network of a checkpoint in half precision, without folders and files of its run.

    Raises:
        UserError: ``out`` can't be written.
    """
    halves = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in checkpoint.state_dict.items()
        if name.startswith("network.")
    }
    content: dict[str, object] = {"state_dict": halves}
    recipe = _placeless(checkpoint.contents.recipe)
    replace(checkpoint.contents, recipe=recipe).write(content)
    try:
        write_tensors(out, content)
    except OSError as error:
        raise UserError(f"{out} can't be written: {error.strerror}") from None


def _placeless(recipe: Recipe) -> Recipe:
    data, track = DataSettings(), TrackSettings()
    own = recipe.data.model_copy(update={"root": data.root, "packed": data.packed})
    weights = {"weights": None} if hasattr(recipe.model, "weights") else {}
    model = recipe.model.model_copy(update=weights)
    return recipe.model_copy(update={"data": own, "track": track, "model": model})
