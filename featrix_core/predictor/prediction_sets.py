"""Prediction sets of classes with a coverage guarantee: split conformal, LAC score (PRED-4).

A class is in a row's set when its calibrated probability reaches one cut; the most probable class always
is. The quantile behind the cut comes from MAPIE; what is kept is one small record per predictor, so that
scoring needs neither MAPIE nor the held-out rows.

Calibration is fitted on the same held-out rows. So that this promises nothing too much, the cut is chosen on
`cross_fitted` probabilities: each fifth of the rows is calibrated by a fit on the other four. The guarantee is
exact for rows that took part in nothing; a predictor's out-of-fold rows have stopped its training, and single
members answered them, so that its coverage is about the level.

Shapes: N rows, K >= 2 classes.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from featrix_core.predictor.calibration import Calibration, clean_logits, out_of_fold
from featrix_core.tables.schema import Frozen

Floats = NDArray[np.float64]

_ROUNDING = 1e-9
"""What is this little below a bound still reaches it: figures are sums of rounded terms."""


class PredictionSets(Frozen):
    """Classes whose probability is at least `cut`, and the most probable one.

    `cut` is 0, so that sets hold all classes, where rows were too few for the level (under 10 for 0.9).
    `n_rows` rows chose it; `coverage` and `size` are the share of them whose class is in its set, and
    the mean number of classes.
    """

    level: float = Field(gt=0.0, lt=1.0)
    cut: float = Field(ge=0.0, le=1.0)
    n_rows: int
    coverage: float
    size: float

    def contains(self, probabilities_NK: ArrayLike) -> NDArray[np.bool_]:
        """Which classes are in each row's set, `(N, K)`."""
        return _contained(np.asarray(probabilities_NK, dtype=np.float64), self.cut)

    def names(self, probabilities_NK: ArrayLike, classes: tuple[str, ...]) -> list[list[str]]:
        """The sets as class names, the most probable first; classes of the same probability by number."""
        import pyarrow as pa

        probabilities = np.asarray(probabilities_NK, dtype=np.float64)
        order_NK = np.argsort(-probabilities, axis=1, kind="stable")
        kept_NK = np.take_along_axis(self.contains(probabilities), order_NK, axis=1)
        ends = np.concatenate([[0], np.cumsum(kept_NK.sum(axis=1))]).astype(np.int64)
        chosen = pa.array(classes, pa.string()).take(pa.array(order_NK[kept_NK]))
        named: list[list[str]] = pa.LargeListArray.from_arrays(ends, chosen).to_pylist()
        return named

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> PredictionSets:
        """The inverse of `to_dict`; pydantic's `ValidationError` on anything else."""
        return cls.model_validate(value)


def _contained(probabilities_NK: Floats, cut: float) -> NDArray[np.bool_]:
    contained: NDArray[np.bool_] = probabilities_NK >= cut - _ROUNDING
    if len(contained):
        contained[np.arange(len(contained)), probabilities_NK.argmax(axis=1)] = True
    return contained


def cross_fitted(
    calibration: Calibration,
    labels_N: NDArray[np.int64],
    logits_NK: ArrayLike,
    seed: int,
    weights_N: Floats | None = None,
    groups_N: NDArray[np.int64] | None = None,
) -> Floats:
    """Probabilities `(N, K)` of the rows that `calibration` was fitted on, each without its own label.

    The method is the chosen one; it is fitted anew on four fifths of the rows for the last fifth; groups stay together.
    """
    logits = clean_logits(logits_NK)
    if calibration.method == "none":
        return calibration.apply(logits)
    weights = np.ones(len(logits)) if weights_N is None else weights_N / weights_N.mean()
    method = calibration.method
    return out_of_fold([method], labels_N, logits, weights, seed, groups_N)[method]


def fit_prediction_sets(
    labels_N: ArrayLike, probabilities_NK: ArrayLike, level: float = 0.9
) -> PredictionSets:
    """Fit sets that hold a new row's class with at least `level` probability (PRED-4).

    The guarantee is marginal: over exchangeable rows of all classes together, not for every class. It needs
    probabilities that were made without the rows' own labels: see `cross_fitted`.

    Args:
        labels_N: class numbers 0 … K-1.
        probabilities_NK: rows summing to one.

    Raises:
        ValueError: no rows, lengths differ, labels outside 0 … K-1, or a probability that is not finite.
    """
    labels = np.asarray(labels_N, dtype=np.int64)
    probabilities = np.asarray(probabilities_NK, dtype=np.float64)
    if probabilities.ndim != 2 or len(labels) == 0 or len(labels) != len(probabilities):
        raise ValueError(f"{len(labels)} labels for probabilities of shape {probabilities.shape}")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(f"labels must lie in 0 … {probabilities.shape[1] - 1}")
    if not np.isfinite(probabilities).all():
        raise ValueError("probabilities must be finite")
    cut = _cut(probabilities[np.arange(len(labels)), labels], level)
    contained = _contained(probabilities, cut)
    return PredictionSets(
        level=level,
        cut=cut,
        n_rows=len(labels),
        coverage=float(contained[np.arange(len(labels)), labels].mean()),
        size=float(contained.sum(axis=1).mean()),
    )


def _cut(own_N: Floats, level: float) -> float:
    """MAPIE's conformal quantile as the least probability of a class in a set; 0 without enough rows.

    The LAC score reads nothing but the probability of a row's own class, so MAPIE is given a problem of
    two classes, "its own" and "another", which takes as little memory for a thousand classes as for two.
    """
    if len(own_N) * (1.0 - level) < 1.0 - _ROUNDING:
        return 0.0
    from mapie.classification import SplitConformalClassifier
    from mapie.conformity_scores import LACConformityScore
    from sklearn.base import BaseEstimator, ClassifierMixin

    class AsGiven(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        """Its features are the probabilities."""

        classes_ = np.array([0, 1])
        n_features_in_ = 2

        def fit(self, X: Floats, y: NDArray[np.int64]) -> AsGiven:
            return self

        def predict_proba(self, X: Floats) -> Floats:
            return X

        def predict(self, X: Floats) -> NDArray[np.int64]:
            best: NDArray[np.int64] = X.argmax(axis=1)
            return best

    own = np.clip(own_N, 0.0, 1.0)
    pairs_N2 = np.column_stack([own, 1.0 - own])
    score = LACConformityScore()
    conformal = SplitConformalClassifier(
        AsGiven(), confidence_level=level, conformity_score=score, prefit=True
    )
    with warnings.catch_warnings():
        # No row's own class is "another": MAPIE tells of a class without rows.
        warnings.filterwarnings("ignore", category=UserWarning, module="mapie")
        conformal.conformalize(pairs_N2, np.zeros(len(own), np.int64)).predict_set(pairs_N2[:1])
    return float(np.clip(1.0 - score.quantiles_[0], 0.0, 1.0))
