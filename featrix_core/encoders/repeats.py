"""Columns whose numbers repeat are worked on once per distinct number (ENC-1, ENC-4)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_SAMPLE = 1_000
_SHARE = 1 / 3


def repeated(
    numbers_N: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.intp]] | None:
    """(values, codes): `values[codes]` are the numbers, NaN among them; None where few come back."""
    sample = numbers_N[:_SAMPLE]
    twice = len(sample) - len(np.unique(sample))
    # Among n draws from V equally frequent numbers, about n² / 2V come back.
    if len(sample) < _SAMPLE or 2.0 * twice * _SHARE * len(numbers_N) <= _SAMPLE**2:
        return None
    codes, values = pd.factorize(numbers_N)
    # A missing number has code -1, and with it the last place.
    return np.append(np.asarray(values, np.float64), np.nan), codes
