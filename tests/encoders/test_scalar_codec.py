"""Numbers keep their order and their place, and no number whatever gives a tensor that is not finite."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes

from featrix_core.encoders.repeats import repeated
from featrix_core.encoders.scalar_codec import (
    BINS,
    DISCRETE_SIZES,
    SMOOTH,
    ScalarState,
    fit_scalar,
    position,
    transform_scalar,
)

DIABETES = load_diabetes(as_frame=True, scaled=False).frame
STATES = {name: fit_scalar(DIABETES[name].to_numpy(np.float64)) for name in DIABETES}
COLUMNS = sorted(STATES)
ANY = st.floats(allow_nan=True, allow_infinity=True, width=64)
TAME = st.floats(min_value=-1e12, max_value=1e12)


@pytest.mark.parametrize("name", COLUMNS)
def test_knots_lie_at_whole_positions(name: str) -> None:
    state = STATES[name]
    assert np.all(np.diff(state.edges) > 0)
    assert len(state.edges) - 1 <= BINS
    np.testing.assert_array_equal(position(state, state.edges), np.arange(len(state.edges)))


@settings(max_examples=80, deadline=None)
@given(name=st.sampled_from(COLUMNS), values=st.lists(TAME, min_size=2, max_size=30))
def test_position_is_monotone_and_in_range(name: str, values: list[float]) -> None:
    state = STATES[name]
    place = position(state, np.sort(np.array(values)))
    assert np.all(np.diff(place) >= 0)
    assert place.min() >= 0
    assert place.max() <= len(state.edges) - 1


@settings(max_examples=80, deadline=None)
@given(values=st.lists(TAME, min_size=1, max_size=120))
@example(values=[3.0])
@example(values=[1e12])
@example(values=[float(k) for k in range(BINS)])
@example(values=[float(k) for k in range(BINS + 1)])
@example(values=[0.0] * 118 + [1.0, 2.0])
def test_a_fit_puts_values_in_order(values: list[float]) -> None:
    numbers = np.array(values)
    state = fit_scalar(numbers)
    place = position(state, np.unique(numbers))
    assert np.all(np.diff(place) >= 0)
    assert np.all(np.diff(state.edges) > 0)
    _check(state, numbers)


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(COLUMNS), values=st.lists(ANY, min_size=1, max_size=20))
@example(name=COLUMNS[0], values=[1.7e308, -1.7e308, 5e-324, float("inf"), float("nan"), -0.0])
def test_any_number_gives_finite_tensors(name: str, values: list[float]) -> None:
    _check(STATES[name], np.array(values))


@settings(max_examples=100, deadline=None)
@given(values=st.lists(ANY, min_size=1, max_size=60), later=st.lists(ANY, min_size=1, max_size=10))
@example(values=[1.7e308, -1.7e308, 3.0], later=[0.0, 1.7e308])
@example(values=[1e200, -1e200], later=[1.0])
@example(values=[5e-324, 0.0], later=[1.0])
@example(values=[0.0, 2.225073858507203e-309], later=[2.225073858507e-311])
@example(values=[float("nan")], later=[1.0])
def test_a_fit_on_any_numbers_gives_finite_tensors(values: list[float], later: list[float]) -> None:
    state = fit_scalar(np.array(values))
    _check(state, np.array(values))
    _check(state, np.array(later))


def _check(state: ScalarState, numbers: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        cells = transform_scalar(state, numbers)
    assert cells.smooth_NF.shape == (len(numbers), len(SMOOTH))
    assert np.isfinite(cells.smooth_NF).all()
    assert np.isfinite(cells.position_N).all()
    assert np.isfinite(cells.z_N).all()
    assert np.all((cells.discrete_NJ >= 0) & (cells.discrete_NJ < np.array(DISCRETE_SIZES)))
    np.testing.assert_array_equal(cells.missing_N, ~np.isfinite(numbers))
    assert not cells.smooth_NF[cells.missing_N].any()


def test_rank_and_quantile_features_follow_the_ranks() -> None:
    numbers = DIABETES["s5"].to_numpy(np.float64)
    cells = transform_scalar(STATES["s5"], numbers)
    ranks = pd.Series(numbers).rank().to_numpy() / len(numbers)
    rank = (cells.smooth_NF[:, SMOOTH.index("rank")] + 1) / 2
    assert np.abs(rank - ranks).max() < 0.01


def test_numbers_that_recur_are_transformed_like_single_ones() -> None:
    numbers = np.random.default_rng(0).poisson(3.0, 4_000) * 1.5
    numbers[::9] = np.nan
    numbers[5] = np.inf
    state = fit_scalar(numbers)
    assert repeated(numbers) is not None
    whole = transform_scalar(state, numbers)
    for start in range(0, 4_000, 500):
        part = transform_scalar(state, numbers[start : start + 500])
        for name in ("smooth_NF", "position_N", "discrete_NJ", "z_N", "missing_N"):
            np.testing.assert_array_equal(
                getattr(whole, name)[start : start + 500], getattr(part, name)
            )


@settings(max_examples=60, deadline=None)
@given(st.lists(ANY, min_size=1, max_size=40))
def test_repeats_rebuild_the_numbers(values: list[float]) -> None:
    numbers = np.resize(np.array(values), 2_000)
    found = repeated(numbers)
    assert found is not None
    distinct, codes = found
    np.testing.assert_array_equal(distinct[codes], numbers)


def test_numbers_that_hardly_recur_are_left_alone() -> None:
    assert repeated(np.random.default_rng(0).normal(size=5_000)) is None
    assert repeated(np.zeros(0)) is None
    assert repeated(np.zeros(999)) is None


def test_no_rows() -> None:
    cells = transform_scalar(STATES["bmi"], np.zeros(0))
    assert cells.smooth_NF.shape == (0, len(SMOOTH))
    assert cells.discrete_NJ.shape == (0, len(DISCRETE_SIZES))
