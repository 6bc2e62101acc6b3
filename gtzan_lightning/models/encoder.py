"""Any audio encoder that transformers loads without code of others: AST, CLAP's audio tower,
wav2vec2, HuBERT, WavLM. The only file that imports transformers (an extra: encoders)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel
from transformers.utils import logging

from gtzan_lightning.errors import UserError, in_a_line
from gtzan_lightning.models.layers import Trunked
from gtzan_lightning.recipe.pretrained_settings import EncoderSettings
from gtzan_lightning.recipe.section import Shape


class Encoder(Trunked):
    """An encoder under a new last layer. (clip, 1, 1, sample) -> (clip, genre)

    Its own feature extractor makes its input of the waveform, on the processor. Its map is the mean
    of its last states over all steps, (clip, number, 1, 1).

    Attributes:
        sample_rate: of the waveforms that it expects.

    Raises:
        UserError: it can't be had, is no audio encoder, or asks for code of others.
    """

    new_layer = "out"
    encoder: Any  # transformers' models have no class in common

    def __init__(self, settings: EncoderSettings, genres: int, shape: Shape) -> None:
        super().__init__()
        hub = settings.hub
        if not hub:
            raise UserError("model.hub: give a folder, or a name of the Hugging Face hub")
        logging.disable_progress_bar()
        self.extractor: Any = _had(hub, AutoFeatureExtractor.from_pretrained)
        if settings.pretrained:
            model: Any = _had(hub, AutoModel.from_pretrained)
        else:
            model = AutoModel.from_config(_had(hub, AutoConfig.from_pretrained))
        self.encoder = getattr(model, "audio_model", model)  # of CLAP
        self.sample_rate = getattr(self.extractor, "sampling_rate", None)
        if self.sample_rate is None:
            raise UserError(
                f"model.hub {hub} is no audio encoder: its extractor has no sample rate"
            )
        self.dropout = nn.Dropout(settings.dropout)
        self.encoder.eval()
        with torch.inference_mode():
            width = self.trunk(torch.zeros(1, *shape)).shape[1]
        self.out = nn.Linear(width, genres)

    def trunk(self, picture: Tensor) -> Tensor:  # (clip, 1, 1, sample) -> (clip, number, 1, 1)
        waves = [wave.numpy() for wave in picture[:, 0, 0].detach().float().cpu()]
        made = self.extractor(waves, sampling_rate=self.sample_rate, return_tensors="pt")
        states = self.encoder(**{name: t.to(picture.device) for name, t in made.items()})[0]
        steps = states.flatten(2).mean(2) if states.ndim == 4 else states.mean(1)
        return steps[..., None, None]

    def head(self, maps: Tensor) -> Tensor:  # (clip, number, 1, 1) -> (clip, genre)
        return self.out(self.dropout(maps.flatten(1)))

    def stages(self) -> list[list[nn.Module]]:
        """What comes before its layers, then each layer."""
        lists = [m for m in self.encoder.modules() if isinstance(m, nn.ModuleList)]
        layers = max(lists, key=lambda one: sum(p.numel() for p in one.parameters()))
        inside = set(layers.modules())
        others = [m for m in self.encoder.modules() if not inside & set(m.modules())]
        return [others, *([layer] for layer in layers)]


def _had(hub: str, load: Callable[..., Any]) -> Any:
    try:
        return load(hub, trust_remote_code=False)
    except Exception as error:  # transformers, the hub's client and files fail in their own ways
        reason = in_a_line(error)
        if "trust_remote_code" in str(error):
            reason = "it asks to run code of its own, which is never done"
        raise UserError(
            f"model.hub {hub} can't be loaded ({reason}): go online once, or give a folder that "
            "save_pretrained wrote"
        ) from None
