"""Calibrations are chosen on held-out rows and mend what is wrong with real models."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from featrix_core.predictor.calibration import Calibration, fit_calibration, out_of_fold
from featrix_core.predictor.metrics import expected_calibration_error, log_loss_rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def digits(odd: bool = False) -> tuple[LogisticRegression, Floats, Ints, Floats, Ints]:
    """A model that is trained on few noisy rows, and two halves of rows that it never saw."""
    x, y = load_digits(return_X_y=True)
    y = y % 2 if odd else y
    x = x + np.random.default_rng(0).normal(0.0, 6.0, x.shape)
    x_fit, x_rest, y_fit, y_rest = train_test_split(
        x, y, train_size=0.25, random_state=0, stratify=y
    )
    model = LogisticRegression(C=100.0, max_iter=5000).fit(x_fit / 16, y_fit)
    x_cal, x_test, y_cal, y_test = train_test_split(
        x_rest / 16, y_rest, test_size=0.5, random_state=0, stratify=y_rest
    )
    return model, x_cal, y_cal, x_test, y_test


def test_an_overconfident_multiclass_model_is_mended_on_new_rows() -> None:
    model, x_cal, y_cal, x_test, y_test = digits()
    fitted = fit_calibration(y_cal, model.predict_log_proba(x_cal))
    assert fitted.method == "temperature" and fitted.temperature > 1.0
    before, after = model.predict_proba(x_test), fitted.apply(model.predict_log_proba(x_test))
    assert log_loss_rows(y_test, after).mean() < log_loss_rows(y_test, before).mean()
    assert expected_calibration_error(y_test, after) < expected_calibration_error(y_test, before)
    np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))


def test_an_overconfident_binary_model_is_mended_on_new_rows() -> None:
    model, x_cal, y_cal, x_test, y_test = digits(odd=True)
    fitted = fit_calibration(y_cal, model.predict_log_proba(x_cal))
    assert fitted.method != "none"
    after = fitted.apply(model.predict_log_proba(x_test))
    assert (
        log_loss_rows(y_test, after).mean()
        < log_loss_rows(y_test, model.predict_proba(x_test)).mean()
    )
    report = fitted.report
    assert report is not None
    assert set(report.log_loss) == {"none", "temperature", "platt", "isotonic"}
    assert report.after["log_loss"] == pytest.approx(report.log_loss[fitted.method])
    assert report.after["ece"] < report.before["ece"]
    assert sum(b.count for b in report.reliability_after) == report.n_rows == len(y_cal)


def test_steps_on_many_rows_need_the_isotonic_map() -> None:
    """Three plateaus, as a rule-based score gives them: no sigmoid follows them."""
    rng = np.random.default_rng(0)
    margin = rng.uniform(-4, 4, 6000)
    truth = np.select([margin < -1, margin < 2.5], [0.02, 0.45], 0.98)
    y = (rng.random(6000) < truth).astype(int)
    logits = np.column_stack([np.zeros(6000), margin])
    fitted = fit_calibration(y[:3000], logits[:3000])
    assert fitted.method == "isotonic"
    after = fitted.apply(logits[3000:])
    assert np.abs(after[:, 1] - truth[3000:]).mean() < 0.03
    assert np.all((after > 0) & (after < 1))


def test_good_probabilities_are_left_alone() -> None:
    rng = np.random.default_rng(0)
    p = rng.beta(2, 3, 4000)
    y = (rng.random(4000) < p).astype(int)
    fitted = fit_calibration(y, np.log(np.column_stack([1 - p, p])))
    assert fitted.report is not None
    # Whatever is chosen must leave them where they were.
    assert np.abs(fitted.apply(np.log(np.column_stack([1 - p, p])))[:, 1] - p).max() < 0.06
    assert fitted.method != "isotonic"


@pytest.mark.parametrize("odd", [True, False])
def test_every_method_survives_json(odd: bool) -> None:
    from featrix_core.predictor import calibration as module

    model, x_cal, y_cal, x_test, _ = digits(odd)
    logits = model.predict_log_proba(x_cal)
    for fit in (module._fit_temperature, module._fit_platt, module._fit_isotonic):
        fitted = fit(y_cal, np.maximum(logits, -50.0), np.ones(len(y_cal)))
        again = Calibration.from_dict(json.loads(json.dumps(fitted.to_dict())))
        assert again == fitted
        p = again.apply(model.predict_log_proba(x_test))
        np.testing.assert_allclose(p.sum(axis=1), 1.0)
        np.testing.assert_array_equal(p, fitted.apply(model.predict_log_proba(x_test)))


def test_a_tampered_state_is_refused() -> None:
    state = Calibration(method="none", n_classes=2).to_dict()
    with pytest.raises(ValidationError):
        Calibration.from_dict({**state, "method": "guess"})
    with pytest.raises(ValidationError):
        Calibration.from_dict({**state, "extra": 1})


def test_few_rows_or_a_rare_class_allow_less() -> None:
    fitted = fit_calibration([0, 1, 0], [[0.0, 1.0], [0.5, 0.1], [2.0, 1.0]])
    assert fitted.method == "none" and fitted.report is not None
    assert "too few" in fitted.report.reason
    rng = np.random.default_rng(0)
    y = np.r_[np.zeros(100, dtype=int), np.ones(97, dtype=int), [2, 2, 2]]
    rare = fit_calibration(y, rng.normal(size=(200, 3)) + 3.0 * np.eye(3)[y])
    assert rare.report is not None and set(rare.report.log_loss) == {"none", "temperature"}
    same = fit_calibration(np.ones(50, dtype=int), rng.normal(size=(50, 2)))
    assert same.method == "none"


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        fit_calibration([0, 1], [[0.0, np.nan], [1.0, 0.0]])
    with pytest.raises(ValueError, match="labels"):
        fit_calibration([0, 1, 1], [[0.0, 1.0], [1.0, 0.0]])
    with pytest.raises(ValueError, match="3 columns"):
        Calibration(method="none", n_classes=2).apply(np.zeros((1, 3)))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.floats(-80, 80) | st.just(float("-inf"))),
        min_size=1,
        max_size=60,
    )
)
def test_any_logits_give_probabilities(rows: list[tuple[int, float]]) -> None:
    labels = [label for label, _ in rows]
    logits = np.array([[0.0, margin] for _, margin in rows])
    p = fit_calibration(labels, logits).apply(logits)
    assert np.isfinite(p).all() and (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1.0)


def test_the_same_rows_and_seed_give_the_same_calibration() -> None:
    model, x_cal, y_cal, _, _ = digits()
    logits = model.predict_log_proba(x_cal)
    assert fit_calibration(y_cal, logits, seed=7) == fit_calibration(y_cal, logits, seed=7)


def test_weights_move_the_level_and_zero_leaves_out() -> None:
    """Even odds from the network, three of ten rows positive, positives three times as heavy."""
    labels = (np.arange(600) % 10 < 3).astype(np.int64)
    logits = np.log(np.full((600, 2), 0.5)) + np.random.default_rng(0).normal(0, 0.01, (600, 2))
    weights = np.where(labels == 1, 3.0, 1.0)
    plain = fit_calibration(labels, logits)
    heavy = fit_calibration(labels, logits, weights_N=weights)
    assert plain.apply(logits)[:, 1].mean() == pytest.approx(0.3, abs=0.01)
    assert heavy.apply(logits)[:, 1].mean() == pytest.approx(0.9 / 1.6, abs=0.01)
    same = fit_calibration(labels, logits, weights_N=np.full(600, 7.0))
    np.testing.assert_allclose(same.apply(logits), plain.apply(logits), atol=1e-6)
    without = fit_calibration(labels, logits, weights_N=(np.arange(600) < 400).astype(float))
    np.testing.assert_allclose(
        without.apply(logits), fit_calibration(labels[:400], logits[:400]).apply(logits), atol=1e-9
    )


def test_groups_stay_together() -> None:
    """What holds of a group's rows but of no other group is no gain."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 30)
    labels = rng.integers(0, 2, 40)[groups]
    logits = np.column_stack([np.zeros(1200), rng.normal(size=40)[groups]])
    by_row, by_group = (fit_calibration(labels, logits, groups_N=g) for g in (None, groups))
    assert by_row.report is not None and by_group.report is not None
    assert by_row.report.gain["isotonic"] > by_group.report.gain["isotonic"] + 0.01
    honest = out_of_fold(["platt"], labels, logits, np.ones(1200), 42, groups)["platt"][:, 1]
    mixed = out_of_fold(["platt"], labels, logits, np.ones(1200), 42)["platt"][:, 1]
    assert all(len(np.unique(honest[groups == g])) == 1 for g in range(40))
    assert not all(len(np.unique(mixed[groups == g])) == 1 for g in range(40))


@pytest.mark.parametrize("groups", [np.arange(200) // 100, np.zeros(200, np.int64)])
def test_groups_that_leave_a_fold_without_a_class_are_no_folds(groups: Ints) -> None:
    labels = np.arange(200) // 100  # one class per group
    logits = np.random.default_rng(0).normal(size=(200, 2)) + np.eye(2)[labels]
    assert fit_calibration(labels, logits, groups_N=groups) == fit_calibration(labels, logits)
