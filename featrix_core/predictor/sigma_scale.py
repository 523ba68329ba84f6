"""Figures of ordinary rows read as sigma (PRED-6).

The quantiles of ordinary rows' figures are matched to those of a normal distribution: by construction about 2.3 %
of such rows lie above 2 sigma and 0.13 % above 3; beyond 3 sigma the scale goes on linearly up to 10, from there
with the logarithm, at most to 99: no row is told a figure that says more of the scale than of the row.

Where nearly all rows share one figure, the quantiles say nothing of how wide a step is, and the few rows that differ
do: the step below 3 sigma is at least a seventh of their usual distance beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Floats = NDArray[np.float64]

LEVELS = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, 3.0])
LINEAR_TO = 10.0
"""Sigma up to which the scale is linear."""
MOST = 99.0
"""The largest sigma that a row is told."""


@dataclass(frozen=True)
class SigmaScale:
    """`knots_6`: the figures at -2, -1 … 3 sigma, strictly rising."""

    knots_6: Floats

    @classmethod
    def fit(cls, figures_N: Floats) -> SigmaScale:
        """From figures of ordinary rows that the measure was not fitted on."""
        knots = np.quantile(figures_N, norm.cdf(LEVELS))
        # Few rows do not reach a true 3 sigma quantile: at least as wide as the step before.
        knots[5] = max(knots[5], 2.0 * knots[4] - knots[3])
        beyond = figures_N[figures_N > knots[5]]
        if beyond.size:
            # The median: one absurd row must not stretch the scale for all others.
            least = (float(np.median(beyond)) - knots[5]) / (LINEAR_TO - LEVELS[5])
            knots[5] = max(knots[5], knots[4] + least)
        # Strictly rising, also where all rows are the same.
        knots = np.maximum.accumulate(knots) + np.arange(6) * max(1e-9, 1e-9 * abs(knots[5]))
        return cls(knots)

    def apply(self, figures_N: Floats) -> Floats:
        """Sigma `(N,)`; at least -2, at most 99."""
        sigma = np.interp(figures_N, self.knots_6, LEVELS)
        beyond = (figures_N - self.knots_6[5]) / (self.knots_6[5] - self.knots_6[4])
        linear = sigma + np.maximum(beyond, 0.0)
        far = LINEAR_TO + np.log1p(np.maximum(linear - LINEAR_TO, 0.0))
        total: Floats = np.minimum(np.minimum(linear, far), MOST)
        return total
