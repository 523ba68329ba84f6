"""Timestamps → tensors: the twelve calendar features of D5.4, cyclical ones as sine and cosine (ENC-4).

Eight cyclical features (second, minute, hour, day of month, day of week, month, day of year, week of
year) give sixteen numbers, four linear ones (year, hours from UTC, years since 2000, years since 2020)
give four: 31 December lies next to 1 January. Local time is used where the source names a zone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FEATURES = 20


def timestamp_features(
    seconds_N: NDArray[np.float64], offsets_N: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Features (N, 20) of seconds since 1970 UTC and hours from UTC; zeros where missing."""
    missing = ~np.isfinite(seconds_N)
    hours = np.where(np.isfinite(offsets_N), offsets_N, 0.0)
    local = np.where(missing, 0.0, seconds_N) + hours * 3600.0
    # Whole seconds: years like 9999 lie beyond what nanoseconds can count.
    whole = np.floor(np.clip(local, -6e10, 2.5e11)).astype(np.int64)
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
    columns = [f(2 * np.pi * turn) for turn in turns for f in (np.sin, np.cos)] + linear
    features = np.clip(np.stack(columns, axis=1), -20, 20).astype(np.float32)
    features[missing] = 0.0
    return features
