"""Timestamps → tensors: the twelve calendar features of D5.4, cyclical ones as sine and cosine (ENC-4).

Eight cyclical features (second, minute, hour, day of month, day of week, month, day of year, week of
year) give sixteen numbers, four linear ones (year, hours from UTC, years since 2000, years since 2020)
give four: 31 December lies next to 1 January. Local time is used where the source names a zone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featrix_core.encoders.repeats import repeated
from featrix_core.tables.timestamps import FIRST_SECOND, LAST_SECOND

FEATURES = 20
CYCLICAL = 16
"""The first features: sine and cosine of eight turns; four linear ones follow."""
_USUAL = 20.0


def timestamp_features(
    seconds_N: NDArray[np.float64], offsets_N: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Features (N, 20) of seconds since 1970 UTC and hours from UTC; zeros where missing."""
    plain = not np.nan_to_num(offsets_N).any()
    found = repeated(seconds_N) if plain else None
    if found is None:
        return _features(seconds_N, offsets_N)
    seconds, codes = found
    return _features(seconds, np.zeros(len(seconds)))[codes]


def _features(
    seconds_N: NDArray[np.float64], offsets_N: NDArray[np.float64]
) -> NDArray[np.float32]:
    missing = ~np.isfinite(seconds_N)
    hours = np.where(np.isfinite(offsets_N), offsets_N, 0.0)
    local = np.where(missing, 0.0, seconds_N) + hours * 3600.0
    # Whole seconds: years like 9999, or 0014 for 2014, lie beyond what nanoseconds can count.
    whole = np.floor(np.clip(local, FIRST_SECOND, LAST_SECOND)).astype(np.int64)
    stamp = pd.DatetimeIndex(whole.astype("datetime64[s]"))
    year = stamp.year.to_numpy(np.float64)
    day_of_year = stamp.dayofyear.to_numpy(np.float64)
    days = np.where(stamp.is_leap_year, 366.0, 365.0)
    day_share = (
        stamp.hour.to_numpy(np.float64) * 3600
        + stamp.minute.to_numpy(np.float64) * 60
        + stamp.second.to_numpy(np.float64)
    ) / 86400.0
    turns = [
        stamp.second.to_numpy(np.float64) / 60.0,
        stamp.minute.to_numpy(np.float64) / 60.0,
        stamp.hour.to_numpy(np.float64) / 24.0,
        (stamp.day.to_numpy(np.float64) - 1.0) / stamp.days_in_month.to_numpy(np.float64),
        stamp.dayofweek.to_numpy(np.float64) / 7.0,
        (stamp.month.to_numpy(np.float64) - 1.0) / 12.0,
        (day_of_year - 1.0 + day_share) / days,
        (stamp.isocalendar().week.to_numpy(np.float64) - 1.0) / 53.0,
    ]
    moment = year + (day_of_year - 1.0 + day_share) / days
    linear = [(year - 2000.0) / 20.0, hours / 12.0, (moment - 2000.0) / 10.0, moment - 2020.0]
    features = np.empty((FEATURES, len(whole)), np.float32)
    # Sines of single precision take a fraction of the time and are good to 1e-6.
    angles = np.stack(turns).astype(np.float32) * np.float32(2.0 * np.pi)
    np.sin(angles, out=features[0:CYCLICAL:2])
    np.cos(angles, out=features[1:CYCLICAL:2])
    features[CYCLICAL:] = _tamed(np.stack(linear))
    features[:, missing] = 0.0
    return np.ascontiguousarray(features.T)


def _tamed(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """What lies beyond the usual grows slowly: no year is too loud, and their order stays."""
    beyond = np.maximum(np.abs(numbers) - _USUAL, 0.0)
    tamed: NDArray[np.float64] = np.clip(numbers, -_USUAL, _USUAL) + np.sign(numbers) * np.log1p(
        beyond
    )
    return tamed
