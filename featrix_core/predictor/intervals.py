"""Prediction intervals with a coverage guarantee: split conformal, normalised by a scale (PRED-4).

The quantile with its finite-sample correction comes from MAPIE; what is kept is one number per
predictor, so that scoring needs neither MAPIE nor the held-out rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from featrix_core.predictor.number_scales import Scale, forward, inverse
from featrix_core.tables.schema import Frozen

Floats = NDArray[np.float64]


class ConformalInterval(Frozen):
    """`prediction ± quantile · scale`, measured by `transform` and cut off at the target's bounds.

    Where errors grow with the number, as those of prices do, they are alike as roots or logarithms: the interval is
    laid there and its ends are taken back, so that it is narrow at small numbers and wide at large ones.

    `guaranteed` is False where rows were too few for the level: the widest residual serves then.
    `spread` is the root mean square of the scaled residuals: `std = spread · scale`, where there is a transform half
    the way between the two points that are so far from the prediction.
    `scale_floor` keeps a scale near zero from promising certainty.
    """

    level: float
    quantile: float
    spread: float
    scale_floor: float
    n_rows: int
    guaranteed: bool
    minimum: float | None = None
    maximum: float | None = None
    transform: Scale = "identity"
    unit: float = 1.0

    def apply(
        self, pred_N: ArrayLike, scale_N: ArrayLike | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """`(low_N, high_N, std_N)` in the target's unit; `scale_N` only if fitted with one."""
        pred = np.asarray(pred_N, dtype=np.float64)
        scale = self._scale(scale_N, len(pred))
        low, high = self._around(pred, self.quantile * scale)
        bounds = (
            -np.inf if self.minimum is None else self.minimum,
            np.inf if self.maximum is None else self.maximum,
        )
        std = self.spread * scale
        if self.transform != "identity":
            std = np.subtract(*self._around(pred, std)[::-1]) / 2.0
        return np.clip(low, *bounds), np.clip(high, *bounds), std

    def unevenness(self, y_N: Floats, pred_N: Floats, scale_N: Floats) -> float:
        """How much the size of scaled errors follows the prediction: |Spearman's correlation|, 0 … 1. Where it is
        large, intervals of this kind are too wide at one end of the numbers and too narrow at the other."""
        error_N = np.abs(_errors(self.transform, self.unit, y_N, pred_N))
        error_N = error_N / self._scale(scale_N, len(pred_N))
        if np.ptp(error_N) == 0 or np.ptp(pred_N) == 0:
            return 0.0
        return abs(float(stats.spearmanr(error_N, pred_N).statistic))

    def score(self, y_N: Floats, pred_N: Floats, scale_N: Floats) -> float:
        """Mean width, and for a target outside its distance from the interval times 2 / (1 − level): the proper score
        of intervals (Winkler's); small is good."""
        low, high, _ = self.apply(pred_N, scale_N)
        outside = np.maximum(low - y_N, 0.0) + np.maximum(y_N - high, 0.0)
        return float(np.mean(high - low + 2.0 / (1.0 - self.level) * outside))

    def _around(self, pred_N: Floats, half_N: Floats) -> tuple[Floats, Floats]:
        """The points so far below and above, neither of them on the wrong side by rounding."""
        z_N = forward(self.transform, pred_N, self.unit)
        low, high = (inverse(self.transform, z_N + half, self.unit) for half in (-half_N, half_N))
        return np.minimum(low, pred_N), np.maximum(high, pred_N)

    def _scale(self, scale_N: ArrayLike | None, n: int) -> Floats:
        if (scale_N is None) != (self.scale_floor == 0.0):
            raise ValueError("give a scale exactly where the interval was fitted with one")
        if scale_N is None:
            return np.ones(n)
        return np.maximum(np.asarray(scale_N, dtype=np.float64), self.scale_floor)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> ConformalInterval:
        """The inverse of `to_dict`; pydantic's `ValidationError` on anything else."""
        return cls.model_validate(value)


def fit_intervals(
    y_N: ArrayLike,
    pred_N: ArrayLike,
    scale_N: ArrayLike | None = None,
    *,
    level: float = 0.9,
    minimum: float | None = None,
    maximum: float | None = None,
    transform: Scale = "identity",
    unit: float = 1.0,
) -> ConformalInterval:
    """Fit intervals that hold a new row's target with at least `level` probability (PRED-4).

    The guarantee is marginal (over exchangeable rows) and needs predictions and scales that were
    made without the rows' own targets: held-out, or out-of-fold.

    Args:
        y_N: targets. pred_N: predictions for the same rows.
        scale_N: how large an error the predictor expects on each row (any positive unit, such as
            the standard deviation over ensemble members); None for intervals of equal width.
        minimum, maximum: bounds that the target can never leave.
        transform, unit: the scale on which errors are taken, as of `number_scales.forward`.

    Raises:
        ValueError: no rows, lengths differ, or a value that is not finite.
    """
    y, pred = np.asarray(y_N, dtype=np.float64), np.asarray(pred_N, dtype=np.float64)
    scale = np.ones(len(y)) if scale_N is None else np.asarray(scale_N, dtype=np.float64)
    if len(y) == 0 or not len(y) == len(pred) == len(scale):
        raise ValueError(f"{len(y)} targets, {len(pred)} predictions, {len(scale)} scales")
    if not (np.isfinite(y).all() and np.isfinite(pred).all() and np.isfinite(scale).all()):
        raise ValueError("targets, predictions and scales must be finite")
    floor = 0.0
    if scale_N is not None:
        # A twentieth of the usual scale; 1e-12 only where all scales are zero.
        floor = max(0.05 * float(np.median(scale)), 1e-12)
        scale = np.maximum(scale, floor)
    scaled = _errors(transform, unit, y, pred) / scale
    quantile, guaranteed = _quantile(scaled, level)
    return ConformalInterval(
        level=level,
        quantile=quantile,
        spread=float(np.sqrt(np.mean(scaled**2))),
        scale_floor=floor,
        n_rows=len(y),
        guaranteed=guaranteed,
        minimum=minimum,
        maximum=maximum,
        transform=transform,
        unit=unit,
    )


def _errors(transform: Scale, unit: float, y_N: Floats, pred_N: Floats) -> Floats:
    return forward(transform, y_N, unit) - forward(transform, pred_N, unit)


def _quantile(scaled: Floats, level: float) -> tuple[float, bool]:
    """MAPIE's conformal quantile of the absolute residuals; False without enough rows."""
    if len(scaled) * (1.0 - level) < 1.0 - 1e-9:  # MAPIE asks for one row more than the quantile
        return float(np.abs(scaled).max()), False
    from mapie.regression import SplitConformalRegressor
    from sklearn.dummy import DummyRegressor

    # The predictions are made already: in residual space the prediction is zero everywhere.
    no_features = np.zeros((len(scaled), 1))
    zero = DummyRegressor(strategy="constant", constant=0.0).fit(no_features, scaled)
    conformal = SplitConformalRegressor(
        zero, confidence_level=level, conformity_score="absolute", prefit=True
    ).conformalize(no_features, scaled)
    _, bounds = conformal.predict_interval(np.zeros((1, 1)))
    return float(bounds[0, 1, 0]), True
