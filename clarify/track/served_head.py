"""The model that MLflow serves: features in, labels and probabilities out.

MLflow runs this file by itself, so it knows numpy, pandas, safetensors and MLflow, nothing of ours.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel
from safetensors.numpy import load_file

__all__ = ["ServedHead"]


class ServedHead(PythonModel):
    """A linear head on L2-normalised features, read from safetensors."""

    def load_context(self, context: Any) -> None:
        """Read weights and class names from the model's own files."""
        self.arrays = load_file(context.artifacts["weights"])
        described = json.loads(Path(context.artifacts["description"]).read_text(encoding="utf-8"))
        self.class_names: list[str] = described["class_names"]

    # Of all type hints MLflow takes this one without a warning: it leaves the check to the schema.
    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> pd.DataFrame:
        """Return a label and one probability a class for each row of features (N, D)."""
        features = np.asarray(model_input, dtype=np.float64)
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        standard = (unit - self.arrays["mean"]) / self.arrays["scale"]
        logits = standard @ self.arrays["weight"].T + self.arrays["bias"]
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        probabilities = odds / odds.sum(axis=1, keepdims=True)
        found = pd.DataFrame(probabilities, columns=self.class_names)
        found.insert(0, "label", [self.class_names[k] for k in probabilities.argmax(axis=1)])
        return found


set_model(ServedHead())
