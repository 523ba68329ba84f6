"""Scales on which a number is learned and on which its errors are alike, and the ends it never leaves (PRED-4).

Legend: N rows.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats: TypeAlias = NDArray[np.float64]
Scale: TypeAlias = Literal["identity", "sqrt", "log1p", "asinh"]

_SKEWED, _VERY_SKEWED = 1.0, 3.0
_HEAVY_TAILED = 10.0
"""Excess kurtosis; a normal distribution has 0, Student's with five degrees of freedom 6."""
_QUARTERS_OF_NORMAL = 1.349
_SMALL = 0.1
"""Quantile of positive numbers."""
_LEAST_UNIT = 1e-9
"""Share of the largest number; the largest divided by less might be infinite."""
_MOST_EXPONENT = 700.0
"""exp of more is infinite."""
_PILE, _FEWEST_IN_A_PILE, _ABOVE_USUAL = 0.01, 10, 5.0


def choose_scale(y_N: Floats) -> tuple[Scale, float]:
    """The scale for finite numbers, and its unit (1 unless it is `asinh`).

    Without negative values: their square root where they are skewed (above 1), log(1 + y) where even the root is very
    much so (above 3). With negative values and heavy tails (excess kurtosis above 10): asinh(y / unit), which is
    nearly straight within the unit, two robust standard deviations, and logarithmic beyond.
    """
    if len(y_N) < 2 or np.ptp(y_N) == 0:
        return "identity", 1.0
    if y_N.min() >= 0:
        if float(stats.skew(y_N)) <= _SKEWED:
            return "identity", 1.0
        return ("log1p" if float(stats.skew(np.sqrt(y_N))) > _VERY_SKEWED else "sqrt"), 1.0
    if float(stats.kurtosis(y_N)) <= _HEAVY_TAILED:
        return "identity", 1.0
    return "asinh", 2.0 * _spread(y_N)


def error_scales(y_N: Floats) -> list[tuple[Scale, float]]:
    """Scales, with their units, on which errors may be alike: errors of one size at all numbers, errors that grow
    with them, and (nothing negative) by their root. The second: asinh of a small unit, nearly a logarithm."""
    if len(y_N) < 2 or np.ptp(y_N) == 0:
        return [("identity", 1.0)]
    if y_N.min() < 0:
        return [("identity", 1.0), ("asinh", 2.0 * _spread(y_N))]
    small = float(np.quantile(y_N[y_N > 0], _SMALL))
    return [("identity", 1.0), ("sqrt", 1.0), ("asinh", max(small, _LEAST_UNIT * float(y_N.max())))]


def _spread(y_N: Floats) -> float:
    """A standard deviation that tails do not move; of values that do not vary in the middle, their mean size."""
    quarters = float(np.subtract(*np.quantile(y_N, [0.75, 0.25])))
    sizes = np.abs(y_N)
    usual = quarters / _QUARTERS_OF_NORMAL or float(sizes.mean())
    return max(usual, _LEAST_UNIT * float(sizes.max()))


def forward(scale: Scale, y_N: Floats, unit: float = 1.0) -> Floats:
    """Numbers in the target's unit on the scale; roots and logarithms of negative ones are those of zero."""
    if scale == "sqrt":
        return np.sqrt(np.maximum(y_N, 0.0))
    if scale == "log1p":
        return np.log1p(np.maximum(y_N, 0.0))
    return np.arcsinh(y_N / unit) if scale == "asinh" else y_N


def inverse(scale: Scale, z_N: Floats, unit: float = 1.0) -> Floats:
    """Back in the target's unit; always finite, and never falling where `z_N` rises."""
    if scale == "sqrt":
        return np.square(np.maximum(z_N, 0.0))
    if scale == "log1p":
        return np.expm1(np.clip(z_N, 0.0, _MOST_EXPONENT))
    if scale == "asinh":
        return np.sinh(np.clip(z_N, -_MOST_EXPONENT, _MOST_EXPONENT)) * unit
    return z_N


def ends(y_N: Floats) -> tuple[float | None, float | None]:
    """(least, most) that the target never leaves, as far as finite values tell; None: open.

    Zero where nothing is negative. One where also nothing is above it, and a hundred where the largest is between 99
    and 100: shares. Any end at which values pile up, as they do where somebody cut them off: a hundredth of the rows,
    ten at least, and five times as many as an ordinary value has.
    """
    if len(y_N) == 0:
        return None, None
    values, counts = np.unique(y_N, return_counts=True)
    low, high = float(values[0]), float(values[-1])
    enough = max(_PILE * len(y_N), _FEWEST_IN_A_PILE, _ABOVE_USUAL * float(np.median(counts)))
    several = len(values) > 2
    least = low if several and counts[0] >= enough else 0.0 if low >= 0.0 else None
    most = high if several and counts[-1] >= enough else None
    if most is None and low >= 0.0 and (high <= 1.0 or 99.0 < high <= 100.0):
        most = 1.0 if high <= 1.0 else 100.0
    return least, most
