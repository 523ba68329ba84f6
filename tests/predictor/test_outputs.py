"""What is fitted on held-out rows: calibration, threshold, intervals; stored and read back (PRED-2 … 5)."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import cross_val_predict

from featrix_core.input_data_set import as_table
from featrix_core.predictor.outputs import Outputs, fit_outputs
from featrix_core.predictor.response import ClassScores, NumberScores
from featrix_core.predictor.target_coding import TargetCoding
from featrix_core.tables.targets import detect_target

NO_COSTS = (None, None)


@pytest.fixture(scope="module")
def classes(german_credit: object) -> tuple[TargetCoding, np.ndarray, np.ndarray]:
    """Coding, out-of-fold log-probabilities of a logistic regression, labels."""
    frame = pd.read_csv(str(german_credit))
    table = as_table(frame)
    coding = TargetCoding.fit(table, detect_target(table, "class"))
    labels = coding.labels(table)
    inputs = pd.get_dummies(frame.drop(columns=["class"])).to_numpy(np.float64)
    inputs = (inputs - inputs.mean(axis=0)) / (inputs.std(axis=0) + 1e-9)
    model = LogisticRegression(C=0.1)
    answers = cross_val_predict(model, inputs, labels, method="predict_log_proba")
    return coding, answers.astype(np.float32), labels


@pytest.fixture(scope="module")
def numbers() -> tuple[TargetCoding, np.ndarray, np.ndarray]:
    """Coding, out-of-fold standardised answers of least squares, labels."""
    frame = load_diabetes(as_frame=True).frame
    table = as_table(frame)
    coding = TargetCoding.fit(table, detect_target(table, "target"))
    labels = coding.labels(table)
    inputs = frame.drop(columns=["target"]).to_numpy()
    answers = cross_val_predict(LinearRegression(), inputs, coding.tensor(labels).numpy())
    return coding, answers.astype(np.float32)[:, None], labels


def test_classes(classes: tuple[TargetCoding, np.ndarray, np.ndarray]) -> None:
    coding, answers, labels = classes
    outputs = fit_outputs(coding, answers, np.zeros(len(labels), np.float32), labels, NO_COSTS, 1)
    scores = outputs.scores(answers, np.zeros(len(labels), np.float32), coding)
    assert isinstance(scores, ClassScores)
    np.testing.assert_allclose(outputs.probabilities(answers).sum(axis=1), 1.0)
    assert outputs.threshold is not None and outputs.threshold.criterion == "f1"
    assert outputs.interval is None
    np.testing.assert_array_equal(outputs.explained_class(answers), 1)
    np.testing.assert_allclose(
        outputs.explained(answers, coding, 1), outputs.probabilities(answers)[:, 1]
    )


def test_the_note_tells_how_the_threshold_was_set(
    classes: tuple[TargetCoding, np.ndarray, np.ndarray],
) -> None:
    """On a table in which one loan in ten is a bad one."""
    coding, answers, labels = classes
    good, bad = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    tenth = np.concatenate([good[:630], bad[:70]])
    info = {"class_distribution": coding.distribution(labels[tenth]), "trained_date": ""}
    aims = {NO_COSTS: "for F1 ", (1.0, 5.0): "for the given costs "}
    for costs, aim in aims.items():
        spread = np.zeros(len(tenth), np.float32)
        outputs = fit_outputs(coding, answers[tenth], spread, labels[tenth], costs, 1)
        assert outputs.threshold is not None
        assert outputs.metadata(coding, info).note == (
            "Only 10.0% of the training rows are 'bad'. The decision threshold "
            f"{outputs.threshold.threshold:.2f} was set {aim}on held-out rows."
        )
    held = fit_outputs(coding, answers[good], np.zeros(700, np.float32), labels[good], NO_COSTS, 1)
    note = held.metadata(coding, info).note
    assert note is not None
    assert note.endswith("threshold is 0.50: the held-out rows hold one class only.")


def test_costs_move_the_threshold(classes: tuple[TargetCoding, np.ndarray, np.ndarray]) -> None:
    coding, answers, labels = classes
    spread = np.zeros(len(labels), np.float32)
    shares, cuts = [], []
    for costs in ((10.0, 1.0), (1.0, 1.0), (1.0, 10.0)):
        outputs = fit_outputs(coding, answers, spread, labels, costs, 1)
        assert outputs.threshold is not None and outputs.threshold.criterion == "cost"
        cuts.append(outputs.threshold.threshold)
        shares.append(float((outputs.probabilities(answers)[:, 1] >= cuts[-1]).mean()))
    assert cuts == sorted(cuts, reverse=True)
    assert cuts[0] > 0.8 > cuts[1] > 0.2 > cuts[2]
    assert shares == sorted(shares)


def test_more_than_two_classes_have_no_threshold() -> None:
    rng = np.random.default_rng(0)
    table = as_table(pd.DataFrame({"y": rng.choice(["a", "b", "c"], 300)}))
    coding = TargetCoding.fit(table, detect_target(table, "y"))
    labels = coding.labels(table)
    logits = rng.normal(size=(300, 3)) + 2 * np.eye(3)[labels.astype(int)]
    answers = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
    outputs = fit_outputs(coding, answers, np.zeros(300, np.float32), labels, NO_COSTS, 1)
    assert outputs.threshold is None
    probabilities = outputs.probabilities(answers)
    np.testing.assert_array_equal(outputs.explained_class(answers), probabilities.argmax(axis=1))


def test_intervals_are_ordered_and_cover(
    numbers: tuple[TargetCoding, np.ndarray, np.ndarray],
) -> None:
    coding, answers, labels = numbers
    spread = np.random.default_rng(0).uniform(0.5, 2.0, len(labels)).astype(np.float32)
    outputs = fit_outputs(coding, answers, spread, labels, NO_COSTS, 1)
    scores = outputs.scores(answers, spread, coding)
    assert isinstance(scores, NumberScores)
    assert (scores.low_N <= scores.prediction_N).all()
    assert (scores.prediction_N <= scores.high_N).all()
    assert (scores.low_N >= 0).all()
    covered = (scores.low_N <= labels) & (labels <= scores.high_N)
    assert 0.85 < covered.mean() < 0.95
    assert outputs.threshold is None and outputs.calibration is None
    np.testing.assert_array_equal(outputs.explained(answers, coding, 0), scores.prediction_N)


@pytest.mark.parametrize("grows", [True, False])
def test_intervals_are_as_wide_as_errors_are(grows: bool) -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=2_000)
    # Errors are a share of the number, as those of prices, or of one size at small and large ones.
    true = np.exp(2.0 * hidden)
    y = (
        true * np.exp(0.3 * rng.normal(size=2_000))
        if grows
        else true + 5.0 + rng.normal(size=2_000)
    )
    table = as_table(pd.DataFrame({"y": y}))
    coding = TargetCoding.fit(table, detect_target(table, "y", "scalar"))
    assert coding.transform != "identity"
    answers = coding.tensor(true if grows else true + 5.0).numpy()[:, None]
    spread = np.ones(2_000, np.float32)
    half = slice(0, 1_000), slice(1_000, 2_000)
    outputs = fit_outputs(coding, answers[half[0]], spread[half[0]], y[half[0]], NO_COSTS, 1)
    assert outputs.interval is not None
    assert (outputs.interval.transform != "identity") == grows
    scores = outputs.scores(answers[half[1]], spread[half[1]], coding)
    assert isinstance(scores, NumberScores)
    inside = (scores.low_N <= y[half[1]]) & (y[half[1]] <= scores.high_N)
    large = true[half[1]] > np.median(true)
    for part in (large, ~large):
        assert abs(inside[part].mean() - 0.9) < 0.05
    ratio = np.median(scores.std_N[large]) / np.median(scores.std_N[~large])
    assert ratio > 5 if grows else ratio < 2


def test_numbers_never_leave_their_ends() -> None:
    rng = np.random.default_rng(0)
    y = rng.beta(2.0, 2.0, 500)
    table = as_table(pd.DataFrame({"y": y}))
    coding = TargetCoding.fit(table, detect_target(table, "y", "scalar"))
    assert (coding.minimum, coding.maximum) == (0.0, 1.0)
    answers = (coding.tensor(y).numpy() + rng.normal(0.0, 1.0, 500)).astype(np.float32)[:, None]
    spread = np.ones(500, np.float32)
    scores = fit_outputs(coding, answers, spread, y, NO_COSTS, 1).scores(answers, spread, coding)
    assert isinstance(scores, NumberScores)
    for each in (scores.low_N, scores.prediction_N, scores.high_N):
        assert each.min() >= 0.0 and each.max() <= 1.0
    assert scores.prediction_N.max() == 1.0 and scores.prediction_N.min() == 0.0


def test_what_is_explained_is_cut_like_the_prediction(
    numbers: tuple[TargetCoding, np.ndarray, np.ndarray],
) -> None:
    coding, answers, labels = numbers
    spread = np.ones(len(labels), np.float32)
    outputs = fit_outputs(coding, answers, spread, labels, NO_COSTS, 1)
    low = answers - 3.0
    assert (outputs.values(low, coding) < 0).any()
    explained = outputs.explained(low, coding)
    assert explained.min() == 0.0 < explained.max()
    scores = outputs.scores(low, spread, coding)
    assert isinstance(scores, NumberScores)
    np.testing.assert_array_equal(explained, scores.prediction_N)


def test_scale_follows_the_spread(numbers: tuple[TargetCoding, np.ndarray, np.ndarray]) -> None:
    coding, answers, labels = numbers
    spread = np.full(len(labels), 0.2, np.float32)
    outputs = fit_outputs(coding, answers, spread, labels, NO_COSTS, 1)
    scale = outputs.scale(np.array([0.0, 0.2, 0.4, 1e9], np.float32))
    np.testing.assert_allclose(scale[:3], [0.5, 1.0, 1.5], rtol=1e-5)
    assert scale[3] == 5.5


def test_the_bias_of_a_transform_is_taken_out() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=500)
    y = np.exp(2.0 * hidden + rng.normal(size=500))
    table = as_table(pd.DataFrame({"y": y}))
    coding = TargetCoding.fit(table, detect_target(table, "y", "scalar"))
    assert coding.transform != "identity"
    learned = coding.tensor(y).numpy()
    fit = LinearRegression().fit(hidden[:, None], learned)
    answers = fit.predict(hidden[:, None]).astype(np.float32)[:, None]
    outputs = fit_outputs(coding, answers, np.ones(500, np.float32), y, NO_COSTS, 1)
    plain = coding.numbers(answers[:, 0])
    assert 1.0 < outputs.ratio <= 2.0
    assert abs(outputs.values(answers, coding).mean() / y.mean() - 1) < abs(
        plain.mean() / y.mean() - 1
    )


def test_stored_and_read_back(
    classes: tuple[TargetCoding, np.ndarray, np.ndarray],
    numbers: tuple[TargetCoding, np.ndarray, np.ndarray],
) -> None:
    for coding, answers, labels in (classes, numbers):
        spread = np.linspace(0.1, 1.0, len(labels), dtype=np.float32)
        outputs = fit_outputs(coding, answers, spread, labels, NO_COSTS, 1)
        stored = json.loads(json.dumps(outputs.to_dict()))
        again = Outputs.from_dict(stored)
        assert json.dumps(again.to_dict()) == json.dumps(outputs.to_dict())
        for part in vars(outputs.scores(answers, spread, coding)):
            np.testing.assert_array_equal(
                getattr(again.scores(answers, spread, coding), part),
                getattr(outputs.scores(answers, spread, coding), part),
            )
