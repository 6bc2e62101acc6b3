"""A frozen trunk's maps of clips, computed once: an epoch then trains the head alone."""

from itertools import chain
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

from gtzan_lightning.data.augment import PictureAugmentation, WaveAugmentation
from gtzan_lightning.data.module import GenreData
from gtzan_lightning.models.kept import Kept, weights_digest
from gtzan_lightning.training.callbacks import say

LARGEST = 4e9  # bytes of all maps; more are computed anew in every epoch


class KeptMaps(Callback):
    """Keeps the maps of a frozen trunk where clips are the same in every epoch.

    They are kept in half precision. The scores of a finished run are computed without them.
    """

    def on_fit_start(self, trainer: lightning.Trainer, module: Any) -> None:
        data: GenreData = trainer.datamodule  # type: ignore[attr-defined]
        reason = _unsteady(data, module)
        if reason:
            say(f"the frozen trunk listens to every clip in every epoch: {reason}")
            return
        kept = _maps(data, module)
        for part in ("train", "valid"):
            for batch in data.batches(part):
                kept.learn(batch | {"clip": batch["clip"].to(module.device)})
        kept.keep()
        module.network.train()
        module.kept, data.has_kept_maps = kept, True

    def on_fit_end(self, trainer: lightning.Trainer, module: Any) -> None:
        module.kept, trainer.datamodule.has_kept_maps = None, False  # type: ignore[attr-defined]


def _maps(data: GenreData, module: Any) -> Kept:
    network = module.network
    weights = weights_digest(nn.ModuleList(chain(*network.stages())))
    key = f"maps {weights} {data.spec} {data.corpus.sounds} {data.clip_steps}"
    return Kept(
        data.recipe.data.packed,
        key,
        lambda clips: network.trunk(data.features.to(clips.device)(clips)),
    )


def _unsteady(data: GenreData, module: Any) -> str:
    """Why maps can't be kept; empty where they can."""
    recipe = data.recipe
    if module.trainer.world_size > 1:
        return "several processes share the clips, each time others"
    if recipe.data.windows != "pieces":
        return "clips are drawn at random (data.windows pieces cuts the same ones)"
    if PictureAugmentation.changes(recipe.augment):
        return "their pictures are augmented (augment.spectrogram 0 leaves them)"
    if WaveAugmentation.changes(recipe.augment) and not data.corpus.is_pictures:
        return "their waveforms are augmented (augment.audio 0 leaves them)"
    one = torch.zeros(1, *data.shape, device=module.device)
    with torch.inference_mode():
        size = 2 * module.network.eval().trunk(one).numel()
    total = size * (len(data.grid("train")) + len(data.grid("valid")))
    return f"their maps would have {total / 1e9:.1f} GB" if total > LARGEST else ""
