"""Coverage on real rows that nothing was fitted on."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import RidgeCV

from featrix_core.predictor.intervals import ConformalInterval, fit_intervals

Floats = NDArray[np.float64]


def parts(seed: int) -> tuple[NDArray[np.int64], ...]:
    order = np.random.default_rng(seed).permutation(442)
    return order[:180], order[180:310], order[310:]


def test_coverage_on_held_out_rows_is_at_least_nominal_on_average() -> None:
    x, y = load_diabetes(return_X_y=True)
    covered = []
    for seed in range(30):
        fit, held, test = parts(seed)
        model = RidgeCV().fit(x[fit], y[fit])
        state = fit_intervals(y[held], model.predict(x[held]))
        low, high, _ = state.apply(model.predict(x[test]))
        covered.append(np.mean((y[test] >= low) & (y[test] <= high)))
    assert 0.885 <= np.mean(covered) <= 0.93


def test_a_scale_gives_wide_and_narrow_intervals_with_the_same_coverage() -> None:
    x, y = load_diabetes(return_X_y=True)
    covered, widths = [], []
    for seed in range(8):
        fit, held, test = parts(seed)
        forest = RandomForestRegressor(40, min_samples_leaf=5, random_state=0).fit(x[fit], y[fit])

        def predict(rows: Floats, forest: RandomForestRegressor = forest) -> tuple[Floats, Floats]:
            each = np.stack([tree.predict(rows) for tree in forest.estimators_])
            return each.mean(axis=0), each.std(axis=0)

        state = fit_intervals(y[held], *predict(x[held]), minimum=25.0, maximum=346.0)
        low, high, std = state.apply(*predict(x[test]))
        covered.append(np.mean((y[test] >= low) & (y[test] <= high)))
        widths.append(np.ptp(high - low))
        assert low.min() >= 25.0 and high.max() <= 346.0 and (std > 0).all()
    assert 0.86 <= np.mean(covered) <= 0.95
    assert min(widths) > 10.0


def test_the_quantile_has_its_finite_sample_correction() -> None:
    residuals = np.arange(1.0, 20.0)  # 19 rows: ceil(20 * 0.9) = the 18th smallest
    state = fit_intervals(residuals, np.zeros(19))
    assert state.quantile == pytest.approx(18.0) and state.guaranteed
    few = fit_intervals(residuals[:8], np.zeros(8))
    assert few.quantile == pytest.approx(8.0) and not few.guaranteed
    for n_rows in range(1, 14):  # MAPIE refuses 9 rows, which the quantile alone would do with
        state = fit_intervals(residuals[:n_rows], np.zeros(n_rows))
        assert state.guaranteed == (n_rows > 9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=10, max_size=80), st.sampled_from([0.5, 0.8, 0.9]))
def test_the_rows_themselves_are_covered(residuals: list[float], level: float) -> None:
    y = np.array(residuals)
    state = fit_intervals(y, np.zeros(len(y)), level=level)
    low, high, _ = state.apply(np.zeros(len(y)))
    assert np.mean((y >= low - 1e-6) & (y <= high + 1e-6)) >= level


def test_state_survives_json_and_a_zero_scale_is_no_certainty() -> None:
    rng = np.random.default_rng(0)
    scale = rng.uniform(0.5, 2.0, 200)
    state = fit_intervals(rng.normal(size=200) * scale, np.zeros(200), scale)
    again = ConformalInterval.from_dict(json.loads(json.dumps(state.to_dict())))
    assert again == state
    low, high, std = again.apply([1.0], [0.0])
    assert high[0] > 1.0 > low[0] and std[0] > 0


def test_misuse_is_refused() -> None:
    state = fit_intervals(np.arange(30.0), np.zeros(30))
    with pytest.raises(ValueError, match="scale"):
        state.apply([1.0], [1.0])
    with pytest.raises(ValueError, match="finite"):
        fit_intervals([1.0, np.nan], [0.0, 0.0])
    with pytest.raises(ValueError, match="targets"):
        fit_intervals([1.0, 2.0], [0.0])
