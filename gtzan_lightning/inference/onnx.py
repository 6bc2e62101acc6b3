"""A tagger as one ONNX file, which needs neither Python nor this package."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import onnxscript  # noqa: F401  PyTorch's exporter needs it, and says so late
import torch
from torch import Tensor, nn

from gtzan_lightning.data.synthetic import render
from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.version import __version__

SAME = 1e-4  # largest difference of a probability


def to_onnx(tagger: Tagger, out: Path, seconds: float = 30.0) -> float:
    """Write ``waves (song, sample)`` -> ``probabilities (song, genre)``; returns how far it is off.

    The file holds everything that ``Tagger.probabilities`` does, the temperature included.
    Waves are float32 in [-1, 1], mono, at the file's ``sample_rate``, of exactly ``seconds``; any
    number of songs. Its metadata names ``genres`` (comma-separated, in order), ``sample_rate``,
    ``seconds``, ``model`` and ``gtzan_lightning``. Before the file takes its name, ONNX Runtime
    and the tagger predict the same three synthetic songs.

    Raises:
        UserError: ``out`` can't be written, or the two predict different genres.
    """
    rate = tagger.sample_rate
    songs = [render(genre, 0, 0, seconds, rate) for genre in ("jazz", "metal", "pop")]
    waves = np.stack(songs)[:, : round(seconds * rate)].astype(np.float32)
    with warnings.catch_warnings(action="ignore"):  # of the exporter's own libraries
        program: Any = torch.onnx.export(
            _Graph(tagger).eval(), (torch.from_numpy(waves[:2]),), dynamo=True, verbose=False,
            input_names=["waves"], output_names=["probabilities"],
            dynamic_shapes={"waves": {0: torch.export.Dim("song")}},
        )  # fmt: skip
    program.model.metadata_props.update(
        genres=",".join(tagger.genres),
        sample_rate=str(rate),
        seconds=f"{seconds:g}",
        model=tagger.recipe.model.name,
        gtzan_lightning=__version__,
    )
    try:
        with replacing(out) as part:
            program.save(part)
            off = float(np.abs(run_onnx(part, waves) - tagger.probabilities(waves)).max())
            if not off <= SAME:  # nor a NaN
                raise UserError(
                    f"the exported model's probabilities are off by {off:.2g}, more than {SAME:g}: "
                    "nothing was written; please report it with the run's recipe"
                )
    except OSError as error:
        raise UserError(f"--out {out} can't be written: {error.strerror or error}") from None
    return off


def run_onnx(file: Path, waves: np.ndarray) -> np.ndarray:
    """(song, sample) -> (song, genre) by ONNX Runtime on the processor."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return session.run(None, {"waves": waves})[0]


class _Graph(nn.Module):
    """``Tagger.waves_to_probabilities`` as a module that owns its parts."""

    def __init__(self, tagger: Tagger) -> None:
        super().__init__()
        self.tagger, self.parts = tagger, tagger.modules

    def forward(self, waves: Tensor) -> Tensor:  # (song, sample) -> (song, genre)
        return self.tagger.waves_to_probabilities(waves)
