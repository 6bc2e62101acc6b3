"""The model that MLflow logs, loads and serves.

Only MLflow runs this file ("models from code"): at its end it tells MLflow which object the model
is. Nothing imports it.
"""

from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from gtzan_lightning.inference.tagger import Tagger


class WaveModel(PythonModel):
    """(song, sample) float32 waveforms -> (song, genre) probabilities, with the temperature."""

    def load_context(self, context: Any) -> None:
        self.tagger = Tagger.load(Path(context.artifacts["checkpoint"]))

    def predict(
        self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> np.ndarray:
        return self.tagger.probabilities(model_input)


set_model(WaveModel())
