"""Figures of answers against known libraries; what is a failure, and what only looks like one (PRED-2, D11)."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, log_softmax
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from featrix_core.predictor.failures import failure_modes, judge_answers

Floats = NDArray[np.float64]
ROWS = 2_000


def _answer(p_N: Floats) -> Floats:
    answer: Floats = np.log(np.column_stack([1 - p_N, p_N]).clip(1e-12))
    return answer


def _modes(p_N: Floats, y_N: NDArray[np.int64]) -> list[str]:
    return failure_modes(judge_answers(_answer(p_N), y_N))


@pytest.fixture(scope="module")
def signal() -> Floats:
    return np.random.default_rng(3).normal(size=ROWS)


def _draw(p_N: Floats) -> NDArray[np.int64]:
    return (np.random.default_rng(4).random(len(p_N)) < p_N).astype(np.int64)


def test_figures_are_scikit_learn_s(signal: Floats) -> None:
    p = np.round(expit(signal), 1).clip(0.05, 0.95)  # ties
    y = _draw(expit(2 * signal))
    figures = judge_answers(_answer(p), y)
    assert figures["auc"] == pytest.approx(roc_auc_score(y, p))
    assert figures["log_loss"] == pytest.approx(log_loss(y, p))
    assert figures["accuracy"] == pytest.approx(accuracy_score(y, p > 0.5))
    logits = np.column_stack([signal, signal[::-1], np.zeros(ROWS)])
    three = np.random.default_rng(5).permutation(np.arange(ROWS) % 3)
    three = np.where(np.arange(ROWS) % 2 == 0, logits.argmax(axis=1), three)
    answer = log_softmax(logits, axis=1)
    wanted = roc_auc_score(three, np.exp(answer), multi_class="ovr")
    assert judge_answers(answer, three)["auc"] == pytest.approx(wanted)
    numbers = signal + np.random.default_rng(6).normal(size=ROWS)
    found = judge_answers(signal[:, None], numbers)
    assert found["rank_correlation"] == pytest.approx(spearmanr(signal, numbers).statistic)
    json.dumps([figures, found], allow_nan=False)


def test_weights_act_like_repeated_rows(signal: Floats) -> None:
    p, y = expit(signal), _draw(expit(signal))
    twice = np.arange(ROWS) % 4 == 0
    rows = np.concatenate([np.arange(ROWS), np.flatnonzero(twice)])
    weighed = judge_answers(_answer(p), y, np.where(twice, 2.0, 1.0))
    repeated = judge_answers(_answer(p[rows]), y[rows])
    for name in ("std", "accuracy", "log_loss", "top_share", "top_probability", "share_log_loss"):
        assert weighed[name] == pytest.approx(repeated[name]), name
    even = judge_answers(_answer(p), y, np.zeros(ROWS))
    assert even == judge_answers(_answer(p), y)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01])
def test_honest_answers_show_nothing(share: float, signal: Floats) -> None:
    """Also where one class has 99 % of the rows, and nearly all predictions with it."""
    p = expit(1.5 * signal + np.log(share / (1 - share)) - 1.5 * (share < 0.5))
    y = _draw(p)
    assert _modes(p, y) == []


def test_most_rows_of_one_class_are_no_bias(signal: Floats) -> None:
    p = expit(signal - 4.0)
    figures = judge_answers(_answer(p), _draw(p))
    assert figures["top_share"] > 0.99 and figures["top_true_share"] > 0.9
    assert failure_modes(figures) == []


def test_weak_but_honest_answers_are_not_underconfident_nor_poor(signal: Floats) -> None:
    p = expit(0.5 * signal)
    figures = judge_answers(_answer(p), _draw(p))
    assert 0.55 < figures["auc"] < 0.65 and figures["unsure_share"] > 0.5
    assert failure_modes(figures) == []


def test_every_mode_by_its_symptom(signal: Floats) -> None:
    p = expit(3 * signal)
    y = _draw(p)
    nudge = np.tanh(signal) / 2
    noise = np.random.default_rng(8).normal(size=ROWS)
    assert _modes(0.5 + 0.001 * nudge, y)[0] == "DEAD_NETWORK"
    assert _modes(0.5 + 0.02 * nudge, y)[0] == "CONSTANT_PROBABILITY"
    assert _modes(0.9 + 0.1 * nudge, y) == ["SINGLE_CLASS_BIAS"]
    assert _modes(expit(noise), y) == ["RANDOM_PREDICTIONS"]
    assert _modes(0.5 + 0.15 * nudge, y) == ["UNDERCONFIDENT"]
    assert _modes(expit(0.6 * signal + 2.5 * noise), y) == ["POOR_DISCRIMINATION"]


def test_a_rare_class_has_a_smaller_spread_and_is_still_not_constant(signal: Floats) -> None:
    p = expit(signal - 5.0)
    figures = judge_answers(_answer(p), _draw(p))
    assert np.std(p) < 0.03 and figures["std"] > 0.03


def test_numbers_have_three_modes(signal: Floats) -> None:
    noise = np.random.default_rng(9).normal(size=ROWS)
    y = signal + noise

    def modes(answer: Floats) -> list[str]:
        return failure_modes(judge_answers(answer[:, None], y))

    assert modes(signal) == []
    assert modes(0.01 * signal) == ["CONSTANT_PROBABILITY"]
    assert modes(0.001 * signal) == ["DEAD_NETWORK"]
    assert modes(np.zeros(ROWS)) == ["DEAD_NETWORK", "RANDOM_PREDICTIONS"]
    assert modes(np.random.default_rng(10).normal(size=ROWS)) == ["RANDOM_PREDICTIONS"]


@pytest.mark.parametrize(("rows", "classes"), [(0, 2), (5, 2), (19, 2), (20, 1), (200, 1)], ids=str)
def test_little_to_judge_by_is_not_judged(rows: int, classes: int) -> None:
    y = np.arange(rows) % classes
    assert judge_answers(np.log(np.full((rows, 2), 0.5)), y) == {}
    assert failure_modes({}) == []


def test_few_rows_are_not_called_random() -> None:
    """Six positive rows: an AUC of 0.5 is within reach of a good predictor's."""
    p = np.linspace(0.1, 0.9, 60)
    y = (np.arange(60) % 10 == 5).astype(np.int64)
    assert judge_answers(_answer(p), y)["auc"] < 0.55
    assert "RANDOM_PREDICTIONS" not in _modes(p, y)


def test_answers_that_are_no_numbers_are_left_to_the_loop() -> None:
    answer = np.full((40, 2), np.nan)
    assert judge_answers(answer, np.arange(40) % 2) == {}
