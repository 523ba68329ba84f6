"""Sets of classes cover rows that nothing was fitted on, at the level that they promise (PRED-4)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from featrix_core import SinglePredictor, SinglePredictorMLP
from featrix_core.input_data_set import as_table
from featrix_core.predictor.calibration import fit_calibration
from featrix_core.predictor.outputs import Outputs, fit_outputs
from featrix_core.predictor.prediction_sets import (
    PredictionSets,
    cross_fitted,
    fit_prediction_sets,
)
from featrix_core.predictor.target_coding import TargetCoding
from featrix_core.tables.targets import detect_target

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def _drawn(n_rows: int, n_classes: int, seed: int) -> tuple[Floats, Ints]:
    """Logits that are half as sure as they should be, bent, and labels drawn from the truth."""
    rng = np.random.default_rng(seed)
    truth = log_softmax(rng.normal(size=(n_rows, n_classes)) * 1.5, axis=1)
    labels = (truth + rng.gumbel(size=truth.shape)).argmax(axis=1)
    return np.sign(truth + 1.0) * np.abs(truth + 1.0) ** 1.5 * 0.5, labels


def _covered(outputs: Outputs, answers: Floats, labels: Ints) -> float:
    assert outputs.sets is not None
    contained = outputs.sets.contains(outputs.probabilities(answers.astype(np.float32)))
    return float(contained[np.arange(len(labels)), labels].mean())


def _fitted(coding: TargetCoding, answers: Floats, labels: Ints) -> Outputs:
    said = log_softmax(answers, axis=1).astype(np.float32)
    spread = np.zeros(len(said), np.float32)
    return fit_outputs(coding, said, spread, labels.astype(np.float64), (None, None), 1)


def _coding(n_classes: int) -> TargetCoding:
    table = as_table(pd.DataFrame({"y": [f"class {k % n_classes}" for k in range(4 * n_classes)]}))
    return TargetCoding.fit(table, detect_target(table, "y", "multiclass"))


@pytest.mark.parametrize(("n_rows", "n_classes"), [(60, 2), (1200, 2), (100, 4), (1000, 12)])
def test_simulated_rows_are_covered(n_rows: int, n_classes: int) -> None:
    """Calibration and cut come from the same rows, and new rows are covered all the same."""
    coding = _coding(n_classes)
    logits, labels = _drawn(4000, n_classes, 999)
    covered = []
    for seed in range(16):
        outputs = _fitted(coding, *_drawn(n_rows, n_classes, seed))
        covered.append(_covered(outputs, log_softmax(logits, axis=1), labels))
    # One fit on n rows is off by sqrt(.09 / n); what is left after 16, three times over.
    room = 3 * np.sqrt(0.09 / n_rows / 16 + 0.09 / 4000)
    assert 0.9 - room <= np.mean(covered) <= 0.9 + 1 / n_rows + room


def test_halves_of_german_credit(german_credit: Path) -> None:
    """Fitted on out-of-fold answers of one half, measured on the other."""
    frame = pd.read_csv(german_credit)
    table = as_table(frame)
    coding = TargetCoding.fit(table, detect_target(table, "class"))
    labels = coding.labels(table).astype(np.int64)
    inputs = pd.get_dummies(frame.drop(columns=["class"])).to_numpy(np.float64)
    inputs = (inputs - inputs.mean(axis=0)) / (inputs.std(axis=0) + 1e-9)
    covered, sizes = [], []
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(len(labels))
        for a, b in ((order[:500], order[500:]), (order[500:], order[:500])):
            model = LogisticRegression(C=0.02)
            said = cross_val_predict(model, inputs[a], labels[a], method="predict_log_proba")
            outputs = _fitted(coding, said, labels[a])
            model.fit(inputs[a], labels[a])
            covered.append(_covered(outputs, model.predict_log_proba(inputs[b]), labels[b]))
            assert outputs.sets is not None
            sizes.append(outputs.sets.size)
            assert outputs.sets.n_rows == 500 and 0.9 <= outputs.sets.coverage <= 0.92
    # A single pair of halves is off by sqrt(.09 / 500 + .09 / 500) = .019.
    assert 0.885 <= np.mean(covered) <= 0.925
    assert max(abs(np.array(covered) - 0.9)) < 4 * 0.019
    assert 1.1 < np.mean(sizes) < 1.7


@pytest.mark.parametrize(("n_rows", "method"), [(200, "platt"), (4000, "isotonic")])
def test_cross_fitted_rows_do_not_vouch_for_themselves(n_rows: int, method: str) -> None:
    """They are the out-of-fold probabilities that the calibration was chosen by."""
    rng = np.random.default_rng(2)
    margin = 3.0 * rng.normal(size=n_rows)
    steep = 6.0 * np.tanh(margin) if method == "isotonic" else 0.3 * margin
    labels = (rng.random(n_rows) < 1 / (1 + np.exp(-steep - 1.0))).astype(np.int64)
    logits = np.column_stack([np.zeros(n_rows), margin])
    calibration = fit_calibration(labels, logits, seed=1)
    assert calibration.method == method and calibration.report is not None
    honest = cross_fitted(calibration, labels, logits, 1)
    own = np.arange(n_rows), labels
    after = calibration.report.after["log_loss"]
    assert -np.log(honest[own]).mean() == pytest.approx(after)
    assert -np.log(calibration.apply(logits)[own]).mean() < after


def test_the_cut_has_its_finite_sample_correction() -> None:
    own = np.arange(1, 20) / 20.0
    state = fit_prediction_sets(np.zeros(19, np.int64), np.column_stack([own, 1 - own]))
    assert state.cut == pytest.approx(0.1)  # ceil(20 * 0.9) = 18 of 19 reach it
    assert state.n_rows == 19 and state.level == 0.9


@pytest.mark.parametrize("n_rows", range(1, 14))
def test_too_few_rows_make_sets_of_all_classes(n_rows: int) -> None:
    own = np.linspace(0.5, 0.9, n_rows)
    probabilities = np.column_stack([own, 1 - own])
    state = fit_prediction_sets(np.zeros(n_rows, np.int64), probabilities)
    assert (state.cut == 0.0) == (n_rows < 10)
    assert state.contains(probabilities).all() == (n_rows < 10)


def test_names_are_ordered_and_no_set_is_empty() -> None:
    state = PredictionSets(level=0.9, cut=0.45, n_rows=100, coverage=0.9, size=1.2)
    probabilities = np.array([[0.2, 0.3, 0.5], [0.45, 0.05, 0.5], [0.3, 0.3, 0.4], [0.5, 0.5, 0.0]])
    names = state.names(probabilities, ("a", "b", "c"))
    assert names == [["c"], ["c", "a"], ["c"], ["a", "b"]]
    assert state.names(np.empty((0, 3)), ("a", "b", "c")) == []


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(2, 6), st.integers(0, 1000))
def test_the_rows_themselves_are_covered(n_rows: int, n_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(n_classes, 0.3), n_rows)
    labels = rng.integers(0, n_classes, n_rows)
    state = fit_prediction_sets(labels, probabilities)
    contained = state.contains(probabilities)
    assert contained[np.arange(n_rows), labels].mean() >= 0.9
    assert contained.any(axis=1).all()
    names = state.names(probabilities, tuple("abcdef"[:n_classes]))
    assert [len(each) for each in names] == contained.sum(axis=1).tolist()
    assert PredictionSets.from_dict(json.loads(json.dumps(state.to_dict()))) == state


def test_rows_that_weigh_nothing_choose_no_cut() -> None:
    logits, labels = _drawn(200, 3, 1)
    said = log_softmax(logits, axis=1).astype(np.float32)
    weights = np.repeat([0.0, 1.0], 100)
    none = np.zeros(200, np.float32)
    outputs = fit_outputs(
        _coding(3), said, none, labels.astype(np.float64), (None, None), 1, weights
    )
    assert outputs.sets is not None and outputs.sets.n_rows == 100


def test_misuse_is_refused() -> None:
    half = np.full((3, 2), 0.5)
    with pytest.raises(ValueError, match="labels for"):
        fit_prediction_sets([0, 1], half)
    with pytest.raises(ValueError, match="labels for"):
        fit_prediction_sets([], np.empty((0, 2)))
    with pytest.raises(ValueError, match="0 … 1"):
        fit_prediction_sets([0, 1, 2], half)
    with pytest.raises(ValueError, match="finite"):
        fit_prediction_sets([0, 1, 0], half * np.nan)


def test_a_loaded_predictor_answers_with_the_same_sets(
    credit_predictor: SinglePredictorMLP, credit: pd.DataFrame, tmp_path: Path
) -> None:
    credit_predictor.save(tmp_path / "predictor")
    loaded = SinglePredictor.load(tmp_path / "predictor")
    wanted = credit_predictor.predict(credit.iloc[:4], explain=False)
    assert loaded.predict(credit.iloc[:4], explain=False) == wanted
    assert wanted[0]["metadata"]["prediction_set_level"] == 0.9
    assert all(set(row["prediction_set"]) <= {"good", "bad"} for row in wanted)
    loaded.calibrate()
    assert loaded.predict(credit.iloc[:4], explain=False) == wanted
