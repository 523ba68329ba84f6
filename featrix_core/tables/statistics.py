"""Figures of a numeric column, safe for any float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def numeric_statistics(numbers: NDArray[np.float64]) -> dict[str, float]:
    """mean, std, min, max, median, q01, q25, q75, q99, skew, zero_share, integer; no NaN inside.

    NaN are left out; without any number the result is empty. Units are the column's own; std is
    the population's.
    """
    values = numbers[~np.isnan(numbers)]
    if values.size == 0:
        return {}
    # Moments are taken on a scale of at most 1, so that squares of huge numbers do not overflow.
    scale = float(np.abs(values).max()) or 1.0
    scaled = values / scale
    mean, std = float(scaled.mean()), float(scaled.std())
    skew = float((((scaled - mean) / std) ** 3).mean()) if std > 1e-12 else 0.0
    q01, q25, median, q75, q99 = (
        float(q) * scale for q in np.quantile(scaled, [0.01, 0.25, 0.5, 0.75, 0.99])
    )
    return {
        "mean": mean * scale,
        "std": std * scale,
        "min": float(values.min()),
        "max": float(values.max()),
        "median": median,
        "q01": q01,
        "q25": q25,
        "q75": q75,
        "q99": q99,
        "skew": skew,
        "zero_share": float((values == 0.0).mean()),
        "integer": float(np.all(values == np.floor(values))),
    }
