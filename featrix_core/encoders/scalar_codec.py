"""Numbers → tensors: seventeen smooth features, a piecewise-linear position, five discrete features (ENC-1, D5.1).

Legend: N rows · F = 17 smooth features · K piecewise-linear bins of this column (at most `BINS`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from featrix_core.encoders.repeats import repeated

BINS = 48
"""Most piecewise-linear bins per column (DESIGN, "What is known about quality")."""
BUCKETS = 16
"""Bins of the decoder and of the binned path: groups of BINS / BUCKETS piecewise-linear bins."""
SMOOTH = (
    "linear",
    "zscore",
    "robust",
    "rank",
    "quantile",
    "minmax",
    "log",
    "clipped_log",
    "yeojohnson",
    "winsor",
    "sigmoid",
    "inverse",
    "sin",
    "cos",
    "square",
    "root",
    "frequency",
)
DISCRETE_SIZES = (BUCKETS, 2, 2, 2, BINS)
"""bucket, is_positive, is_negative, is_outlier, quantile bin."""
_LIMIT = 8.0
_HUGE = 1e100  # beyond it, sums and squares of doubles overflow
_TINY = 1e-290  # below it, one over the distance of two numbers overflows


@dataclass(frozen=True)
class ScalarState:
    """What one column's codec learned; plain arrays, so that it saves as tensors.

    edges: increasing, K + 1 values; value v lies at position k + (v − edge_k) / (edge_{k+1} − edge_k).
    ranks: values at 257 equally spaced quantiles, for rank and quantile features.
    parameters: mean, std, median, iqr, low, high (1 % and 99 %), minimum, maximum, lambda, yj_mean, yj_std.
    frequent / frequent_share: the 64 most frequent values, sorted, and their share of rows.
    """

    edges: NDArray[np.float64]
    ranks: NDArray[np.float64]
    parameters: NDArray[np.float64]
    frequent: NDArray[np.float64]
    frequent_share: NDArray[np.float64]


def _edges(values: NDArray[np.float64], unique: NDArray[np.float64]) -> NDArray[np.float64]:
    """Few distinct values get an edge each; otherwise half the edges follow the rows, half the values."""
    if len(unique) <= BINS:
        gap = float(np.diff(unique).mean()) if len(unique) > 1 else 1.0
        return np.append(unique, unique[-1] + max(gap, 1e-9))
    half = np.linspace(0, 1, BINS // 2 + 1)
    edges = np.unique(np.concatenate([np.quantile(values, half), np.quantile(unique, half)]))
    return edges.astype(np.float64)


def fit_scalar(numbers_N: NDArray[np.float64]) -> ScalarState:
    """Learn a column's transforms from its present values (a column without any counts as constant 0)."""
    values = _held(numbers_N[np.isfinite(numbers_N)])
    if not len(values):
        values = np.zeros(1)
    unique, counts = np.unique(values, return_counts=True)
    low, q25, median, q75, high = np.quantile(values, [0.01, 0.25, 0.5, 0.75, 0.99])
    std = float(values.std()) or 1.0
    mean = float(values.mean())
    clipped = (np.clip(values, low, high) - mean) / std
    power = 1.0
    if len(unique) > 2:
        sample = clipped[:: max(1, len(clipped) // 20_000)]
        if float(np.ptp(sample)) > 1e-9:
            power = float(np.clip(stats.yeojohnson_normmax(sample), -2.0, 4.0))
    transformed = stats.yeojohnson(clipped, power)
    order = np.argsort(-counts, kind="stable")[:64]
    chosen = np.sort(order)
    parameters = np.array(
        [
            mean,
            std,
            median,
            (q75 - q25) or std,
            low,
            high,
            unique[0],
            unique[-1],
            power,
            float(transformed.mean()),
            float(transformed.std()) or 1.0,
        ]
    )
    return ScalarState(
        edges=_edges(values, unique),
        ranks=np.quantile(values, np.linspace(0, 1, 257)),
        parameters=parameters,
        frequent=unique[chosen],
        frequent_share=counts[chosen] / len(values),
    )


def _held(numbers_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers that can be reckoned with: not beyond `_HUGE`, and zero below `_TINY`."""
    return np.where(np.abs(numbers_N) < _TINY, 0.0, np.clip(numbers_N, -_HUGE, _HUGE))


def position(state: ScalarState, numbers_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Place of each number on the column's piecewise-linear scale, in [0, K]."""
    knots = np.arange(len(state.edges), dtype=np.float64)
    return np.interp(numbers_N, state.edges, knots)


def _mid_rank(state: ScalarState, numbers_N: NDArray[np.float64]) -> NDArray[np.float64]:
    left = np.searchsorted(state.ranks, numbers_N, side="left")
    right = np.searchsorted(state.ranks, numbers_N, side="right")
    return (left + right) / (2.0 * len(state.ranks))


@dataclass(frozen=True)
class ScalarCells:
    """One column's tensors-to-be: see `TokenBatch` for the meaning of each."""

    smooth_NF: NDArray[np.float32]
    position_N: NDArray[np.float32]
    discrete_NJ: NDArray[np.int64]
    z_N: NDArray[np.float32]
    missing_N: NDArray[np.bool_]


def transform_scalar(state: ScalarState, numbers_N: NDArray[np.float64]) -> ScalarCells:
    """Apply the fitted transforms; missing numbers become zeros that the encoder replaces."""
    found = repeated(numbers_N)
    if found is None:
        return _transformed(state, numbers_N)
    values, codes = found
    cells = _transformed(state, values)
    return ScalarCells(**{field.name: getattr(cells, field.name)[codes] for field in fields(cells)})


def _transformed(state: ScalarState, numbers_N: NDArray[np.float64]) -> ScalarCells:
    missing = ~np.isfinite(numbers_N)
    mean, std, median, iqr, low, high, minimum, maximum, power, yj_mean, yj_std = state.parameters
    x = np.where(missing, median, _held(numbers_N))
    z = (x - mean) / std
    winsor = (np.clip(x, low, high) - mean) / std
    rank = _mid_rank(state, x)
    span = (maximum - minimum) or 1.0
    unit = np.clip((x - minimum) / span, -0.5, 1.5)
    above = np.maximum(x - minimum, 0.0) / std
    place = np.searchsorted(state.frequent, x)
    place = np.minimum(place, len(state.frequent) - 1)
    frequency = np.where(state.frequent[place] == x, state.frequent_share[place], 0.0)
    smooth = np.stack(  # one transform per row: a pass over memory per transform, not per number
        [
            z,
            np.tanh(z / 3.0) * 3.0,
            (x - median) / iqr,
            rank * 2.0 - 1.0,
            stats.norm.ppf(np.clip(rank, 1e-3, 1 - 1e-3)),
            unit * 2.0 - 1.0,
            np.sign(x) * np.log1p(np.abs(x) / std),
            np.log1p(above),
            (stats.yeojohnson(winsor, power) - yj_mean) / yj_std,
            winsor,
            2.0 / (1.0 + np.exp(-np.clip(z, -30, 30))) - 1.0,
            1.0 / (1.0 + np.abs(z)) * np.sign(z),
            np.sin(2 * np.pi * unit),
            np.cos(2 * np.pi * unit),
            winsor * winsor / 4.0,
            np.sign(z) * np.sqrt(np.abs(z)),
            frequency * 4.0,
        ]
    )
    np.clip(smooth, -_LIMIT, _LIMIT, out=smooth)
    np.copyto(smooth, 0.0, where=np.isnan(smooth) | missing)
    bins = len(state.edges) - 1
    where = position(state, x)
    fine = np.minimum(where.astype(np.int64), bins - 1)
    coarse = fine if bins <= BUCKETS else fine * BUCKETS // bins
    discrete = np.stack(
        [coarse, x > 0, x < 0, np.abs(z) > 2.0, np.minimum(fine, BINS - 1)], axis=1
    ).astype(np.int64)
    return ScalarCells(
        smooth_NF=np.ascontiguousarray(smooth.T, dtype=np.float32),
        position_N=np.where(missing, 0.0, where).astype(np.float32),
        discrete_NJ=discrete,
        z_N=np.where(missing, 0.0, np.clip(z, -10, 10)).astype(np.float32),
        missing_N=missing,
    )
