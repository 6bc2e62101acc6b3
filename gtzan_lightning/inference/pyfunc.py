"""The model that MLflow logs, loads and serves.

Only MLflow runs this file ("models from code"): at its end it tells MLflow which object the model
is. Nothing imports it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from gtzan_lightning.inference.tagger import Tagger


class WaveModel(PythonModel):
    """(song, sample) float32 waveforms -> a table with the probability of each genre.

    A row for each song, a column for each genre; with the temperature.
    """

    def load_context(self, context: Any) -> None:
        self.tagger = Tagger.load(Path(context.artifacts["checkpoint"]))

    def predict(
        self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """See the class.

        Raises:
            MlflowException: the waveforms are shorter than the shortest that the model takes, or
                the network gives no number for one; a server answers it with status 400.
        """
        seconds, rate = self.tagger.least_seconds, self.tagger.sample_rate
        least, samples = round(seconds * rate), np.shape(model_input)[-1]
        if samples < least:
            raise MlflowException.invalid_parameter_value(
                f"waveforms of {samples} samples are too short: this model takes {seconds:g} s, "
                f"{least} samples at {rate} Hz, and more"
            )
        made = self.tagger.probabilities(model_input)
        bad = np.flatnonzero(~np.isfinite(made).all(1))
        if len(bad):
            raise MlflowException.invalid_parameter_value(
                f"the network gives no number for {len(bad)} of {len(made)} waveforms, such as "
                f"that of row {bad[0]}: give floats in [-1, 1], none of them NaN or infinite"
            )
        return pd.DataFrame(made, columns=self.tagger.genres)


set_model(WaveModel())
