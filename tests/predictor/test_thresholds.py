"""The threshold is best for F1 or cost on its rows, and chance does not move it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import cross_val_predict

from featrix_core.errors import FeatrixUserError
from featrix_core.predictor.thresholds import choose_threshold


def cancers() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    x, y = load_breast_cancer(return_X_y=True)
    model = LogisticRegression(max_iter=2000)
    return 1 - y, cross_val_predict(model, x[:, 8:10], 1 - y, cv=5, method="predict_proba")[:, 1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=2, max_size=40))
def test_no_other_cut_has_a_higher_f1(rows: list[tuple[int, int]]) -> None:
    y = np.array([label for label, _ in rows])
    p = np.array([score / 20 for _, score in rows])
    if y.min() == y.max():
        return
    chosen = choose_threshold(y, p)
    best = max(f1_score(y, p >= cut, zero_division=0) for cut in np.unique(p))
    assert chosen.value == pytest.approx(best)
    assert f1_score(y, p >= chosen.threshold, zero_division=0) == pytest.approx(best)
    assert 0.0 <= chosen.threshold <= 1.0


def test_costs_move_the_cut_and_lower_the_cost() -> None:
    y, p = cancers()
    missing_is_dear = choose_threshold(y, p, cost_false_positive=50, cost_false_negative=500)
    alarm_is_dear = choose_threshold(y, p, cost_false_positive=500, cost_false_negative=50)
    assert missing_is_dear.threshold < 0.5 < alarm_is_dear.threshold
    called = p >= 0.5
    at_half = np.mean(50 * (called & (y == 0)) + 500 * (~called & (y == 1)))
    assert missing_is_dear.value < at_half
    assert missing_is_dear.criterion == "cost" and "50 : 500" in missing_is_dear.reason


def test_badly_calibrated_probabilities_are_cut_where_the_rows_say() -> None:
    y, p = cancers()
    squeezed = 0.4 + 0.1 * p  # never reaches the 0.5 that equal costs ask for
    chosen = choose_threshold(y, squeezed, cost_false_positive=1, cost_false_negative=1)
    assert 0.4 < chosen.threshold < 0.5 and "clearly cheaper" in chosen.reason
    assert chosen.value < y.mean()


def test_few_rows_leave_the_cut_of_theory() -> None:
    chosen = choose_threshold([0, 1, 0, 1], [0.1, 0.15, 0.3, 0.9], 1, 1)
    assert chosen.threshold == 0.5


def test_one_class_keeps_a_half() -> None:
    chosen = choose_threshold([0, 0], [0.1, 0.2])
    assert (chosen.threshold, chosen.criterion) == (0.5, "default")


@pytest.mark.parametrize("costs", [(-1.0, 1.0), (float("nan"), 1.0), (0.0, 0.0)])
def test_impossible_costs_are_refused(costs: tuple[float, float]) -> None:
    with pytest.raises(FeatrixUserError, match="cost_false_positive"):
        choose_threshold([0, 1], [0.1, 0.9], *costs)
