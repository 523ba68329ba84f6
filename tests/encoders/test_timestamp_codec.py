"""Moments: the turn of the year is no border, local time counts, everything is finite."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from featrix_core.encoders.repeats import repeated
from featrix_core.encoders.timestamp_codec import CYCLICAL, FEATURES, timestamp_features


def _features(*moments: str, hours: float = 0.0) -> np.ndarray:
    seconds = pd.DatetimeIndex(moments).as_unit("s").astype("int64").to_numpy(np.float64)
    return timestamp_features(seconds, np.full(len(seconds), hours))


def test_new_years_eve_lies_next_to_new_years_day() -> None:
    firsts = [f"2023-{month:02d}-01 12:00" for month in range(2, 13)]
    features = _features("2023-12-31 12:00", "2024-01-01 12:00", *firsts)
    away = np.linalg.norm(features[1:] - features[0], axis=1)
    assert away[0] < away[1:].min()


def test_midnight_is_no_border() -> None:
    evening, night, noon = _features(
        "2024-05-14 23:59:59", "2024-05-15 00:00:00", "2024-05-15 12:00"
    )
    assert np.linalg.norm(evening - night) < 0.5 * np.linalg.norm(noon - night)


def test_local_time_is_used() -> None:
    utc = _features("2024-05-14 10:00")
    berlin = _features("2024-05-14 08:00", hours=2.0)
    np.testing.assert_allclose(utc[:, :CYCLICAL], berlin[:, :CYCLICAL], atol=1e-6)
    assert not np.allclose(utc[:, CYCLICAL:], berlin[:, CYCLICAL:])


def test_missing_moments_are_zero() -> None:
    features = timestamp_features(np.array([np.nan, 0.0]), np.array([np.nan, np.nan]))
    assert not features[0].any()
    assert features[1].any()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(), min_size=0, max_size=10),
    st.floats(min_value=-14, max_value=14),
)
def test_any_second_gives_finite_features(seconds: list[float], hours: float) -> None:
    features = timestamp_features(np.array(seconds, np.float64), np.full(len(seconds), hours))
    assert features.shape == (len(seconds), FEATURES)
    assert np.isfinite(features).all()
    assert np.abs(features[:, :CYCLICAL]).max(initial=0.0) <= 1.0 + 1e-6


def test_days_that_recur_have_the_features_of_single_ones() -> None:
    days = np.random.default_rng(0).integers(0, 900, 4_000) * 86_400.0
    days[::7] = np.nan
    assert repeated(days) is not None
    whole = timestamp_features(days, np.zeros(4_000))
    parts = [days[k : k + 500] for k in range(0, 4_000, 500)]
    assert all(repeated(part) is None for part in parts)
    single = np.concatenate([timestamp_features(part, np.zeros(500)) for part in parts])
    np.testing.assert_array_equal(whole, single)


def test_years_that_lost_their_century_keep_their_calendar_and_their_order() -> None:
    given_, meant = _features("0014-11-19 17:40"), _features("2014-11-19 17:40")
    # 400 years have as many days as weeks have: the calendar of year 14 is that of 2014.
    np.testing.assert_allclose(given_[:, :CYCLICAL], meant[:, :CYCLICAL], atol=1e-5)
    early, later, last = _features("0014-11-19", "0015-02-03", "9999-12-31")
    assert early[-1] < later[-1] < last[-1]
    assert max(abs(early).max(), abs(last).max()) < 30.0
