"""The list of models with their sizes, as ``experiments/models.py`` prints it."""

import contextlib
from typing import Any

import torch

from gtzan_lightning.errors import UserError
from gtzan_lightning.models import BASELINES, network_class
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS
from gtzan_lightning.recipe.recipes import doc
from gtzan_lightning.recipe.section import ModelSettings, Shape

DEFAULT: Shape = (1, 128, 130)  # the picture of a 3-second clip
# what the source fed its network and how it set it up, where that differs from our default
AS_PUBLISHED: dict[str, dict[str, Any]] = {
    "cnn": {"stride": 2},
    "cnn_lstm": {"axis": "frequency"},
    "bigru": {"as_coded": True},
    "res_bigru": {"as_coded": True},
    "vgg": {"pooling": "flatten"},
    "inception": {"pooling": "flatten"},
    "transfer": {"pooling": "flatten"},
    "crnn": {"frame_pools": (2, 3, 4, 4)},
}


def rows() -> list[dict[str, str]]:
    """A row for each model: name, source, what it is, parameters at its source's input and ours."""
    listed = []
    for name, cls in MODEL_SETTINGS.items():
        row = {"model": name, "source": cls.source, "what": doc(cls)}
        if name not in BASELINES:
            channels, bins, frames = cls.input
            random = {"pretrained": False} if "pretrained" in cls.model_fields else {}
            row["at its source's input"] = row["at the default 128x130x1"] = ""
            # encoders, which have no size of their own, and networks of other pictures alone
            with contextlib.suppress(UserError):
                published = parameters(cls(**AS_PUBLISHED.get(name, {}), **random), cls.input)
                row["at its source's input"] = f"{published:,} ({bins}x{frames}x{channels})"
                row["at the default 128x130x1"] = f"{parameters(cls(**random), DEFAULT):,}"
        listed.append(row)
    return listed


def parameters(settings: ModelSettings, shape: Shape, genres: int = 10) -> int:
    """Number of parameters of a network for pictures of that shape; none of them is made."""
    with torch.device("meta"):
        network = network_class(settings.name)(settings, genres, shape)
    return sum(p.numel() for p in network.parameters())
