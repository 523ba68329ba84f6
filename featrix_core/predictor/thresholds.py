"""The decision threshold of a two-class predictor, chosen on held-out rows (PRED-2)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import precision_recall_curve

from featrix_core.predictor.wishes import checked_costs
from featrix_core.tables.schema import Frozen

Floats = NDArray[np.float64]


class Threshold(Frozen):
    """A row is called positive when its probability is at least `threshold`.

    `value` is the criterion's on the held-out rows: the F1 score, or the mean cost per row.
    """

    threshold: float
    criterion: Literal["f1", "cost", "default"]
    value: float
    n_rows: int
    reason: str
    cost_false_positive: float | None = None
    cost_false_negative: float | None = None


def choose_threshold(
    labels_N: ArrayLike,
    probability_N: ArrayLike,
    cost_false_positive: float | None = None,
    cost_false_negative: float | None = None,
) -> Threshold:
    """The threshold with the highest F1, or with the lowest cost where a cost is given (PRED-2).

    Costs: calibrated probabilities have their best cut at `fp / (fp + fn)`. It is kept unless
    another cut is cheaper on these rows by more than two standard errors of the paired difference,
    so that few rows cannot move it by chance. A cost that is not given counts as 1.

    Args:
        labels_N: 0 / 1 of rows that took no part in training.
        probability_N: calibrated probability of class 1.

    Raises:
        FeatrixUserError: a cost is negative or not finite, or both are zero.
        ValueError: lengths differ.
    """
    labels = np.asarray(labels_N, dtype=np.int64)
    p = np.asarray(probability_N, dtype=np.float64)
    if len(labels) != len(p):
        raise ValueError(f"{len(labels)} labels for {len(p)} probabilities")
    costs = checked_costs(cost_false_positive, cost_false_negative)
    return _by_f1(labels, p) if costs is None else _by_cost(labels, p, *costs)


def _by_f1(labels: NDArray[np.int64], p: Floats) -> Threshold:
    n, positives = len(labels), int(labels.sum())
    if positives in (0, n):
        return Threshold(
            threshold=0.5,
            criterion="default",
            value=0.0,
            n_rows=n,
            reason=f"0.5: the {n} held-out rows hold only one class",
        )
    precision, recall, cuts = precision_recall_curve(labels, p)
    total = precision[:-1] + recall[:-1]
    f1 = 2.0 * precision[:-1] * recall[:-1] / np.where(total > 0, total, 1.0)
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    at = int(best[np.argmin(np.abs(cuts[best] - 0.5))])
    # Halfway to the next lower score: the last bit of a probability decides nothing.
    below = float(cuts[at - 1]) if at > 0 else 0.0
    threshold = (float(cuts[at]) + below) / 2.0
    return Threshold(
        threshold=threshold,
        criterion="f1",
        value=float(f1[at]),
        n_rows=n,
        reason=(
            f"highest F1 ({f1[at]:.3f}) on {n} held-out rows, {positives} of them positive "
            f"(F1 at 0.5: {_f1_at(labels, p, 0.5):.3f})"
        ),
    )


def _f1_at(labels: NDArray[np.int64], p: Floats, threshold: float) -> float:
    called = p >= threshold
    hits = float((called & (labels == 1)).sum())
    total = float(called.sum() + labels.sum())
    return 2.0 * hits / total if total else 0.0


def _by_cost(labels: NDArray[np.int64], p: Floats, fp: float, fn: float) -> Threshold:
    theory = fp / (fp + fn)

    def row_costs(threshold: float) -> Floats:
        called = p >= threshold
        costs: Floats = fp * (called & (labels == 0)) + fn * (~called & (labels == 1))
        return costs

    n = len(labels)
    at_theory = row_costs(theory)
    order = np.argsort(p, kind="stable")
    ordered, hit = p[order], (labels[order] == 1).astype(np.float64)
    # Cut i leaves the i lowest scores negative; only cuts between distinct scores can be made.
    missed = np.r_[0.0, np.cumsum(hit)] * fn
    alarms = np.r_[0.0, np.cumsum((1.0 - hit)[::-1])][::-1] * fp
    edges = np.r_[0.0, (ordered[1:] + ordered[:-1]) / 2.0, 1.0]
    possible = np.r_[True, ordered[1:] > ordered[:-1], True]
    totals = np.where(possible, missed + alarms, np.inf)
    found = float(edges[int(np.argmin(totals))])
    saving = at_theory - row_costs(found)
    error = float(saving.std(ddof=1) / np.sqrt(n)) if n > 1 else np.inf
    threshold, why = (
        theory,
        f"costs {fp:g} : {fn:g} put the best cut of calibrated probabilities at",
    )
    if float(saving.mean()) > 2.0 * error:
        threshold, why = (
            found,
            f"clearly cheaper on {n} held-out rows than the {theory:.3f} of theory:",
        )
    cost = float(row_costs(threshold).mean())
    return Threshold(
        threshold=threshold,
        criterion="cost",
        value=cost,
        n_rows=n,
        reason=f"{why} {threshold:.3f}; mean cost {cost:.4g} per held-out row "
        f"(at 0.5: {float(row_costs(0.5).mean()):.4g})",
        cost_false_positive=fp,
        cost_false_negative=fn,
    )
