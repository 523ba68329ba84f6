"""The six failure modes of a predictor, judged on its answers to validation rows (PRED-2, D11, D18).

The sources give limits for two even classes. What a mode means decides elsewhere: a spread of probabilities is
compared with the one that the class's share allows, and where a symptom is also what an honest answer looks like
on such a table, the log loss has to say that it is none.

| mode | two classes and more | numbers |
| --- | --- | --- |
| DEAD_NETWORK | spread of probabilities under 0.005 | standard deviation under 0.005 of the target's |
| CONSTANT_PROBABILITY | spread under 0.03, or range under 0.05 | under 0.03 of the target's |
| SINGLE_CLASS_BIAS | over 95 % of rows get one class, and its mean probability is well over its share | – |
| RANDOM_PREDICTIONS | AUC under 0.55, 0.65 over 1.5 standard errors off | rank correlation under 0.1, likewise |
| UNDERCONFIDENT | over 70 % of rows at most 0.6 sure (1.2 / classes), and sharper answers score clearly better | – |
| POOR_DISCRIMINATION | AUC under 0.65, accuracy under 0.6, spread over 0.1, worse than the shares alone | – |

Legend: V rows · O outputs · K classes · C classes that are judged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]

DEAD_NETWORK = "DEAD_NETWORK"
CONSTANT_PROBABILITY = "CONSTANT_PROBABILITY"
SINGLE_CLASS_BIAS = "SINGLE_CLASS_BIAS"
RANDOM_PREDICTIONS = "RANDOM_PREDICTIONS"
UNDERCONFIDENT = "UNDERCONFIDENT"
POOR_DISCRIMINATION = "POOR_DISCRIMINATION"
MODES = (
    DEAD_NETWORK,
    CONSTANT_PROBABILITY,
    SINGLE_CLASS_BIAS,
    RANDOM_PREDICTIONS,
    UNDERCONFIDENT,
    POOR_DISCRIMINATION,
)

FEWEST_ROWS = 20
"""Validation rows that anything is said about."""
DEAD_STD, CONSTANT_STD, CONSTANT_RANGE, VARIED_STD = 0.005, 0.03, 0.05, 0.1
SINGLE_SHARE, BIAS, BIAS_ERRORS = 0.95, 0.05, 3.0
RANDOM_AUC, POOR_AUC, AUC_ERRORS = 0.55, 0.65, 1.5
POOR_SURENESS = 1.2
"""Times the even share: 0.6 of two classes. Limit of unsure answers, and of a poor accuracy."""
UNSURE_SHARE, SHARPER, SHARPER_GAIN, SHARPER_ERRORS = 0.7, 1.5, 0.01, 2.0
_MOST_CLASSES = 50  # more are not ranked: the most frequent ones tell enough


def judge_answers(
    answer_VO: NDArray[np.floating[Any]],
    target_V: NDArray[np.generic],
    weight_V: Floats | None = None,
) -> dict[str, float]:
    """Figures of answers (log-probabilities, or numbers in column 0) that `failure_modes` reads; finite.

    Shares and losses follow the rows' weights, ranks do not. Nothing under 20 rows, of one class alone, and of
    answers that are no numbers.
    """
    rows = len(target_V)
    if rows < FEWEST_ROWS or not np.isfinite(answer_VO).all() or len(np.unique(target_V)) < 2:
        return {}
    answer = answer_VO.astype(np.float64)
    if not np.issubdtype(target_V.dtype, np.integer):
        return _judge_numbers(answer[:, 0], target_V.astype(np.float64))
    weight = np.full(rows, 1.0 / rows)
    if weight_V is not None and weight_V.any():
        weight = weight_V / weight_V.sum()
    return _judge_classes(answer, target_V.astype(np.int64), weight)


def _judge_numbers(answer_V: Floats, target_V: Floats) -> dict[str, float]:
    ranks = np.column_stack([rankdata(answer_V), rankdata(target_V)])
    ranks -= ranks.mean(axis=0)
    spread = np.sqrt(np.square(ranks).sum(axis=0).prod())
    return {
        "std": float(answer_V.std() / target_V.std()),
        "rank_correlation": float(ranks.prod(axis=1).sum() / spread) if spread else 0.0,
        "rank_error": float(1.0 / np.sqrt(len(target_V) - 1)),
    }


def _judge_classes(
    answer_VK: Floats, target_V: NDArray[np.int64], weight_V: Floats
) -> dict[str, float]:
    rows, classes = answer_VK.shape
    p_VK = np.exp(answer_VK)
    share_K = np.bincount(target_V, weight_V, minlength=classes)
    counts_K = np.bincount(target_V, minlength=classes)
    called_V = answer_VK.argmax(axis=1)
    called_K = np.bincount(called_V, weight_V, minlength=classes)
    top = int(called_K.argmax())
    # An even class can have a spread of 0.5 at most, another one less.
    there = (share_K > 0.0) & (share_K < 1.0)
    widest_C = 2.0 * np.sqrt(share_K * (1.0 - share_K))[there]
    middle_K = weight_V @ p_VK
    std_C = np.sqrt(weight_V @ np.square(p_VK[:, there] - middle_K[there])) / widest_C
    auc, auc_error = _area(answer_VK, target_V, counts_K)
    loss_V = _true_class_loss(answer_VK, target_V)
    gain_V = weight_V * (loss_V - _true_class_loss(_sharpened(answer_VK), target_V))
    gain, spread = float(gain_V.sum()), float(gain_V.std())
    log_loss = float(weight_V @ loss_V)
    present = share_K[share_K > 0.0]
    return {
        "classes": float(classes),
        "std": float(std_C.max(initial=0.0)),
        "range": float((np.ptp(p_VK[:, there], axis=0) / widest_C).max(initial=0.0)),
        "auc": auc,
        "auc_error": auc_error,
        "accuracy": float(weight_V @ (called_V == target_V)),
        "top_class": float(top),
        "top_share": float(called_K[top]),
        "top_probability": float(middle_K[top]),
        "top_true_share": float(share_K[top]),
        "top_error": float(
            np.sqrt(share_K[top] * (1.0 - share_K[top]) * np.square(weight_V).sum())
        ),
        "unsure_share": float(weight_V @ (p_VK.max(axis=1) <= POOR_SURENESS / classes)),
        "log_loss": log_loss,
        "share_log_loss": float(-(present * np.log(present)).sum()),
        "sharper_gain": gain / max(log_loss, 1e-9),
        "sharper_errors": float(gain / max(spread * np.sqrt(rows), 1e-12)),
    }


def _true_class_loss(log_p_VK: Floats, target_V: NDArray[np.int64]) -> Floats:
    loss: Floats = -np.take_along_axis(log_p_VK, target_V[:, None], axis=1)[:, 0]
    return loss


def _sharpened(log_p_VK: Floats) -> Floats:
    scaled = SHARPER * log_p_VK
    sharpened: Floats = scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)
    return sharpened


def _area(
    answer_VK: Floats, target_V: NDArray[np.int64], counts_K: NDArray[np.int64]
) -> tuple[float, float]:
    """Area under the ROC curve, mean over classes, and its standard error were it 0.5."""
    classes, rows = len(counts_K), len(target_V)
    judged = np.flatnonzero((counts_K > 0) & (counts_K < rows))
    if classes == 2:
        judged = np.array([1])
    judged = judged[np.argsort(-counts_K[judged], kind="stable")[:_MOST_CLASSES]]
    rank_VC = rankdata(answer_VK[:, judged], axis=0)
    positive_C = counts_K[judged].astype(np.float64)
    sums_C = (rank_VC * (target_V[:, None] == judged)).sum(axis=0)
    area_C = (sums_C - positive_C * (positive_C + 1) / 2) / (positive_C * (rows - positive_C))
    variance_C = (1.0 / positive_C + 1.0 / (rows - positive_C)) / 12.0
    return float(area_C.mean()), float(np.sqrt(variance_C.sum()) / len(judged))


def failure_modes(figures: dict[str, float]) -> list[str]:
    """Modes that the figures of `judge_answers` show; of two that include one another the graver one."""
    if not figures:
        return []
    found: list[str] = []
    numbers = "rank_correlation" in figures
    flat = figures["std"] < CONSTANT_STD or figures.get("range", 1.0) < CONSTANT_RANGE
    if figures["std"] < DEAD_STD:
        found.append(DEAD_NETWORK)
    elif flat:
        found.append(CONSTANT_PROBABILITY)
    if numbers:
        rank, error = figures["rank_correlation"], figures["rank_error"]
        if _random((1.0 + rank) / 2.0, error / 2.0):
            found.append(RANDOM_PREDICTIONS)
        return found
    if _one_class(figures):
        found.append(SINGLE_CLASS_BIAS)
    if _random(figures["auc"], figures["auc_error"]):
        found.append(RANDOM_PREDICTIONS)
    elif _poor(figures):
        found.append(POOR_DISCRIMINATION)
    sharper = figures["sharper_gain"] > SHARPER_GAIN
    sharper = sharper and figures["sharper_errors"] > SHARPER_ERRORS
    if figures["unsure_share"] > UNSURE_SHARE and sharper:
        found.append(UNDERCONFIDENT)
    return found


def _one_class(figures: dict[str, float]) -> bool:
    excess = figures["top_probability"] - figures["top_true_share"]
    by_chance = max(BIAS, BIAS_ERRORS * figures["top_error"])
    return figures["top_share"] > SINGLE_SHARE and excess > by_chance


def _random(auc: float, error: float) -> bool:
    return auc < RANDOM_AUC and auc + AUC_ERRORS * error < POOR_AUC


def _poor(figures: dict[str, float]) -> bool:
    return (
        figures["auc"] < POOR_AUC
        and figures["accuracy"] < POOR_SURENESS / figures["classes"]
        and figures["std"] > VARIED_STD
        and figures["log_loss"] > figures["share_log_loss"]
    )
