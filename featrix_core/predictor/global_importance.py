"""Which columns matter over many rows: mean size of their Shapley values, with an interval (PRED-5).

Legend: B rows · A columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

Floats = NDArray[np.float64]

_DRAWS = 1_000
_LEVEL = 0.95
_CELLS = 20_000_000
_FEWEST = 10


@dataclass(frozen=True)
class ColumnImportance:
    """One column: mean |value| over rows in the output's unit, its 95 % bootstrap interval over rows, its share of
    all columns' means.

    direction: rank correlation of the column's number with its values, in -1 … 1: above 0, larger numbers push the
    output up. None where the column is no number, has fewer than 10 numbers or does not vary.
    """

    name: str
    mean: float
    low: float
    high: float
    share: float
    direction: float | None


@dataclass(frozen=True)
class GlobalImportance:
    """Columns, the most important first; from how many rows."""

    columns: tuple[ColumnImportance, ...]
    n_rows: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"n_rows": self.n_rows, "columns": [asdict(column) for column in self.columns]}


def global_importance(
    values_BA: NDArray[np.floating[Any]],
    names: Sequence[str],
    seed: int = 42,
    numbers_BA: NDArray[np.floating[Any]] | None = None,
) -> GlobalImportance:
    """Sum up the importance of many rows, for example of a sample of the training rows.

    Args:
        values_BA: signed contributions (`explained_rows`).
        numbers_BA: the same cells as numbers for the direction, NaN where a cell or a column is none.

    Raises:
        ValueError: no rows, or shapes that do not fit together.
    """
    values = np.asarray(values_BA, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(names) or not len(values):
        raise ValueError(f"values of shape {values.shape} for {len(names)} columns")
    if numbers_BA is not None and numbers_BA.shape != values.shape:
        raise ValueError(f"numbers of shape {numbers_BA.shape}, values of {values.shape}")
    size_BA = np.abs(values)
    mean_A = size_BA.mean(axis=0)
    low_A, high_A = _interval(size_BA, seed)
    total = float(mean_A.sum())
    columns = [
        ColumnImportance(
            name=names[k],
            mean=float(mean_A[k]),
            low=float(low_A[k]),
            high=float(high_A[k]),
            share=float(mean_A[k]) / total if total > 0 else 0.0,
            direction=None if numbers_BA is None else _direction(numbers_BA[:, k], values[:, k]),
        )
        for k in np.argsort(-mean_A, kind="stable").tolist()
    ]
    return GlobalImportance(tuple(columns), len(values))


def _interval(size_BA: Floats, seed: int) -> tuple[Floats, Floats]:
    """Bootstrap percentiles of the mean (A,), rows drawn with replacement."""
    rows = len(size_BA)
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS // rows)  # draws at once: their counts are one matrix
    means = [
        rng.multinomial(rows, np.full(rows, 1.0 / rows), size=min(step, _DRAWS - start)) @ size_BA
        for start in range(0, _DRAWS, step)
    ]
    tail = (1.0 - _LEVEL) / 2.0
    low_A, high_A = np.quantile(np.concatenate(means) / rows, [tail, 1.0 - tail], axis=0)
    return low_A, high_A


def _direction(numbers_B: NDArray[np.floating[Any]], values_B: Floats) -> float | None:
    there = np.isfinite(numbers_B)
    numbers, values = numbers_B[there], values_B[there]
    if len(numbers) < _FEWEST or np.ptp(numbers) == 0.0 or np.ptp(values) == 0.0:
        return None
    return float(spearmanr(numbers, values).statistic)
