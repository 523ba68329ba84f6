"""Figures of numeric columns, safe for any float64, and of columns of texts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featrix_core.tables.texts import DistinctTexts


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


def text_statistics(texts: DistinctTexts, delimiter: str | None = None) -> dict[str, float]:
    """mean_words, mean_chars and distinct_share of a column of texts; mean_parts of a list column.

    Means are over the cells that hold a value; empty without any.
    """
    cells = texts.n_cells
    if not cells:
        return {}

    def mean(per_value: list[int]) -> float:
        return float(np.asarray(per_value, np.float64) @ texts.counts_V / cells)

    figures = {
        "mean_words": mean([len(value.split()) for value in texts.values]),
        "mean_chars": mean([len(value) for value in texts.values]),
        "distinct_share": len(texts.values) / cells,
    }
    if delimiter is not None:
        figures["mean_parts"] = mean([value.count(delimiter) + 1 for value in texts.values])
    return figures
