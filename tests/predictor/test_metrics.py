"""Figures agree with scikit-learn's; bootstrap intervals behave as intervals should."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from featrix_core.predictor import metrics as m

Floats = NDArray[np.float64]


def held_out(columns: slice, digits: bool = False) -> tuple[NDArray[np.int64], Floats]:
    x, y = (load_digits if digits else load_breast_cancer)(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(
        x[:, columns], y, test_size=0.5, random_state=0, stratify=y
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return y_test, model.fit(x_train, y_train).predict_proba(x_test)


def test_binary_figures_are_those_of_scikit_learn() -> None:
    y, p = held_out(slice(0, 4))
    figures = m.classification_metrics(y, p)
    assert figures["roc_auc"] == pytest.approx(sk.roc_auc_score(y, p[:, 1]))
    assert figures["pr_auc"] == pytest.approx(sk.average_precision_score(y, p[:, 1]))
    assert figures["log_loss"] == pytest.approx(sk.log_loss(y, p))
    assert figures["brier"] == pytest.approx(sk.brier_score_loss(y, p[:, 1]))
    assert figures["accuracy"] == pytest.approx(sk.accuracy_score(y, p[:, 1] > 0.5))
    assert "omitted" not in figures and "notes" not in figures
    assert m.classification_metrics(y, p[:, 1]) == pytest.approx(figures)


def test_multiclass_figures_are_those_of_scikit_learn() -> None:
    y, p = held_out(slice(0, 30), digits=True)
    figures = m.classification_metrics(y, p)
    assert figures["roc_auc"] == pytest.approx(
        sk.roc_auc_score(y, p, multi_class="ovr", average="macro")
    )
    assert figures["log_loss"] == pytest.approx(sk.log_loss(y, p))
    assert "pr_auc" not in figures
    absent = y != 3
    partial = m.classification_metrics(y[absent], p[absent])
    assert "[3]" in partial["notes"]["roc_auc"] and 0.5 < partial["roc_auc"] <= 1.0


def test_one_class_leaves_out_the_areas_and_says_why() -> None:
    figures = m.classification_metrics([1, 1, 1], [0.2, 0.7, 0.9])
    assert set(figures["omitted"]) == {"roc_auc", "pr_auc"}
    assert "class 1" in figures["omitted"]["roc_auc"]
    assert "roc_auc" not in figures and np.isfinite(figures["log_loss"])
    with pytest.raises(ValueError, match="labels"):
        m.classification_metrics([0, 2], [0.2, 0.7])
    with pytest.raises(ValueError, match="0 labels"):
        m.classification_metrics([], np.empty((0, 2)))


def test_calibration_error_by_hand() -> None:
    # Two bins: 0.1 stated, 1 of 4 happened; 0.9 stated, 4 of 4 happened.
    p = np.repeat([0.1, 0.9], 4)
    y = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    assert m.expected_calibration_error(y, p) == pytest.approx((0.15 + 0.1) / 2)
    bins = m.reliability(y, p)
    assert [(b.count, b.observed) for b in bins] == [(4, 0.25), (4, 1.0)]
    assert all(b.low <= b.predicted <= b.high for b in bins)


def test_multiclass_calibration_is_of_the_stated_class() -> None:
    p = np.array([[0.8, 0.1, 0.1]] * 10)
    y = np.array([0] * 5 + [1] * 5)
    assert m.expected_calibration_error(y, p) == pytest.approx(0.3)


def test_regression_figures() -> None:
    x, y = load_diabetes(return_X_y=True)
    pred = RidgeCV().fit(x[:300], y[:300]).predict(x[300:])
    truth = y[300:]
    figures = m.regression_metrics(truth, pred, pred - 80, pred + 80)
    assert figures["r2"] == pytest.approx(sk.r2_score(truth, pred))
    assert figures["rmse"] == pytest.approx(np.sqrt(np.mean((truth - pred) ** 2)))
    assert figures["coverage"] == pytest.approx(np.mean(np.abs(truth - pred) <= 80))
    constant = m.regression_metrics([2.0, 2.0], [1.0, 3.0])
    assert "r2" not in constant and "not vary" in constant["omitted"]["r2"]


def test_curves_are_finite_and_keep_their_ends() -> None:
    y, p = held_out(slice(0, 2))
    points = m.roc_points(y, p[:, 1], max_points=25)
    assert len(points["fpr"]) <= 25
    assert (points["fpr"][0], points["tpr"][0]) == (0.0, 0.0)
    assert (points["fpr"][-1], points["tpr"][-1]) == (1.0, 1.0)
    assert np.isfinite(points["threshold"]).all()
    assert m.confusion([0, 2, 2], [0, 2, 1], 3) == [[1, 0, 0], [0, 0, 0], [0, 1, 1]]


SKLEARN = {
    "roc_auc": lambda y, p, w: sk.roc_auc_score(y, p, sample_weight=w),
    "pr_auc": lambda y, p, w: sk.average_precision_score(y, p, sample_weight=w),
    "log_loss": lambda y, p, w: sk.log_loss(y, p, sample_weight=w),
    "accuracy": lambda y, p, w: sk.accuracy_score(y, p > 0.5, sample_weight=w),
    "brier": lambda y, p, w: sk.brier_score_loss(y, p, sample_weight=w),
    "rmse": lambda y, p, w: sk.root_mean_squared_error(y, p, sample_weight=w),
    "mae": lambda y, p, w: sk.mean_absolute_error(y, p, sample_weight=w),
    "r2": lambda y, p, w: sk.r2_score(y, p, sample_weight=w),
}


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 8), st.integers(0, 3)), min_size=4, max_size=40
    ),
    name=st.sampled_from(sorted(SKLEARN)),
)
def test_resampled_statistics_are_the_metrics_themselves(
    rows: list[tuple[int, int, int]], name: m.MetricName
) -> None:
    """Any weights, many ties: the vectorised statistic equals scikit-learn's weighted metric."""
    y, score, weight = (np.array(part) for part in zip(*rows, strict=True))
    p = 0.04 + score / 9.0
    drawn = weight > 0
    if len(np.unique(y[drawn])) < 2:
        return
    value = m._statistic(name, y, p)(weight[None, :].astype(float))[0]
    expected = SKLEARN[name](y[drawn], p[drawn], weight[drawn])
    assert value == pytest.approx(expected, abs=1e-9)


def test_the_weighted_calibration_error_is_that_of_the_repeated_rows() -> None:
    y, p = held_out(slice(0, 2))
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    value = m._statistic("ece", y, p)(weight[None, :].astype(float))[0]
    repeated = np.repeat(np.arange(len(y)), weight)
    assert value == pytest.approx(m.expected_calibration_error(y[repeated], p[repeated]))


def test_the_difference_is_signed_paired_and_repeatable() -> None:
    y, good = held_out(slice(0, 30))
    _, poor = held_out(slice(8, 10))
    difference, low, high = m.bootstrap_difference("roc_auc", y, good, poor)
    assert difference == pytest.approx(
        sk.roc_auc_score(y, good[:, 1]) - sk.roc_auc_score(y, poor[:, 1])
    )
    assert 0 < low < difference < high
    assert m.bootstrap_difference("roc_auc", y, good, poor) == (difference, low, high)
    assert m.bootstrap_difference("log_loss", y, good, good) == (0.0, 0.0, 0.0)
    area, below, above = m.roc_auc_interval(y, poor)
    assert area == pytest.approx(sk.roc_auc_score(y, poor[:, 1])) and below < area < above


def test_multiclass_area_interval_holds_the_macro_area() -> None:
    y, p = held_out(slice(0, 20), digits=True)
    area, low, high = m.roc_auc_interval(y, p, n=200)
    assert area == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr"))
    assert low < area < high


def test_a_resample_without_a_class_is_left_out() -> None:
    _, low, high = m.roc_auc_interval([0, 0, 0, 1], [0.1, 0.2, 0.6, 0.5])
    assert 0.0 <= low <= high <= 1.0


@pytest.mark.parametrize(("classes", "rows"), [(12, 1), (10, 1), (60, 2)])
def test_an_area_over_many_small_classes_has_an_interval(classes: int, rows: int) -> None:
    """Hardly any resample holds all of them."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(classes), rows)
    p = rng.dirichlet(np.ones(classes), len(y)) + np.eye(classes)[y] / classes
    area, low, high = m.roc_auc_interval(y, p)
    assert area == pytest.approx(np.mean([sk.roc_auc_score(y == k, p[:, k]) for k in set(y)]))
    assert low < area < high
    assert np.isfinite(m.bootstrap_difference("roc_auc", y, p, p[:, ::-1])).all()


def test_resamples_of_one_number_explain_nothing() -> None:
    y = np.array([0.1] * 23 + [5.3])
    said = np.linspace(0.0, 1.0, 24)
    difference, low, high = m.bootstrap_difference("r2", y, said, said[::-1])
    assert -10.0 < low <= difference <= high < 10.0
    heavy = np.r_[np.random.default_rng(0).normal(size=300), 2e6]
    _, low, high = m.bootstrap_difference("r2", heavy, heavy * 0.9, heavy * 0.8 + 1.0)
    assert high - low > 0.1, "rows without the one far number are a sound resample"


def test_ten_thousand_rows_take_under_three_seconds() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 10_000)
    a, b = rng.random(10_000), rng.random(10_000)
    started = time.process_time()
    m.bootstrap_difference("roc_auc", y, a, b)
    assert time.process_time() - started < 3.0


def test_chance_makes_a_calibration_error() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.95, 5_000)
    few, many = m.ece_by_chance(p[:100]), m.ece_by_chance(p)
    assert 0.1 < few < 0.25 and many < 0.035
    drawn = [
        m.expected_calibration_error((rng.random(100) < p[:100]).astype(int), p[:100])
        for _ in range(200)
    ]
    assert 0.9 < float((np.array(drawn) <= few).mean()) <= 1.0
    assert few == m.ece_by_chance(p[:100])
    middle = m.ece_by_chance(p[:100], level=0.5)
    assert 0.4 < float((np.array(drawn) <= middle).mean()) < 0.6
    assert m.ece_by_chance(np.full((50, 3), 1 / 3)) > 0
