"""What `mlflow.pyfunc.load_model` calls for a registered predictor: no pickle involved (OPS-4)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


class BundlePredictor:
    """The predictor of a bundle with the one method that MLflow asks for."""

    def __init__(self, path: Path) -> None:
        # Late, because this module must cost nothing to import: it brings torch in.
        from featrix_core.single_predictor import SinglePredictor

        self._predictor = SinglePredictor.load(path)

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row of predictions per row of `frame`, in the same order."""
        predictions: pd.DataFrame = self._predictor.predict_frame(frame)
        return predictions


def _load_pyfunc(path: str) -> BundlePredictor:
    return BundlePredictor(Path(path))
