"""Hold-out figures: classification, regression, reliability, and paired bootstrap intervals.

Shapes: N rows, K classes. `labels_N` holds class numbers 0 … K-1; for two classes number 1 is the
positive one. Probabilities are `(N, K)`; for two classes `(N,)` serves too, the positive class's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics as sk

from featrix_core.tables.schema import Frozen

MetricName = Literal[
    "roc_auc", "pr_auc", "log_loss", "accuracy", "brier", "ece", "r2", "rmse", "mae"
]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

N_BINS = 15
_TINY = 1e-15
_BLOCK_CELLS = 200_000  # resampled weights held at a time: few enough for the processor's cache


class ReliabilityBin(Frozen):
    """Rows whose predicted probability fell into one bin; a bin without rows is left out."""

    low: float
    high: float
    predicted: float
    observed: float
    count: int


def _two_dimensional(probabilities: ArrayLike) -> Floats:
    array = np.asarray(probabilities, dtype=np.float64)
    return np.column_stack([1.0 - array, array]) if array.ndim == 1 else array


def _events(labels_N: ArrayLike, probabilities: ArrayLike) -> tuple[Floats, Floats]:
    """What calibration is judged on: (stated probability, did it happen), each `(N,)`.

    Two classes: the positive class. More: the class stated as most probable.
    """
    labels = np.asarray(labels_N, dtype=np.int64)
    p = _two_dimensional(probabilities)
    if p.shape[1] == 2:
        return p[:, 1], (labels == 1).astype(np.float64)
    return p.max(axis=1), (p.argmax(axis=1) == labels).astype(np.float64)


def _bin_of(stated_N: Floats, n_bins: int) -> Ints:
    return np.clip((stated_N * n_bins).astype(np.int64), 0, n_bins - 1)


def reliability(
    labels_N: ArrayLike, probabilities: ArrayLike, n_bins: int = N_BINS
) -> list[ReliabilityBin]:
    """Points of the reliability diagram in equal-width bins (PRED-3)."""
    stated, happened = _events(labels_N, probabilities)
    bins = _bin_of(stated, n_bins)
    count = np.bincount(bins, minlength=n_bins)
    predicted = np.bincount(bins, weights=stated, minlength=n_bins)
    observed = np.bincount(bins, weights=happened, minlength=n_bins)
    return [
        ReliabilityBin(
            low=b / n_bins,
            high=(b + 1) / n_bins,
            predicted=float(predicted[b] / count[b]),
            observed=float(observed[b] / count[b]),
            count=int(count[b]),
        )
        for b in range(n_bins)
        if count[b]
    ]


def expected_calibration_error(
    labels_N: ArrayLike, probabilities: ArrayLike, n_bins: int = N_BINS
) -> float:
    """Mean distance between stated and observed share, weighted by the bins' rows (PRED-3)."""
    bins = reliability(labels_N, probabilities, n_bins)
    total = sum(b.count for b in bins)
    return float(sum(b.count * abs(b.predicted - b.observed) for b in bins) / total)


def ece_by_chance(
    probabilities: ArrayLike, seed: int = 42, draws: int = 200, level: float = 0.95
) -> float:
    """Calibration error that perfectly calibrated probabilities stay under in 95 of 100 tables of as many rows.

    On few rows it is far from 0: a limit for the measured error has to know it. `level`: another share of tables.
    """
    p = _two_dimensional(probabilities)
    cumulated = p.cumsum(axis=1)
    cumulated[:, -1] = 1.0
    rng = np.random.default_rng(seed)
    errors = [
        expected_calibration_error((rng.random((len(p), 1)) > cumulated).sum(axis=1), p)
        for _ in range(draws)
    ]
    return float(np.quantile(errors, level))


def brier_score(labels_N: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean squared error of the probabilities; two classes count once, more are summed."""
    return float(_brier_rows(np.asarray(labels_N, dtype=np.int64), probabilities).mean())


def _brier_rows(labels: Ints, probabilities: ArrayLike) -> Floats:
    p = _two_dimensional(probabilities)
    squares = (p - np.eye(p.shape[1])[labels]) ** 2
    rows: Floats = squares[:, 1] if p.shape[1] == 2 else squares.sum(axis=1)
    return rows


def _log_loss_rows(labels: Ints, probabilities: ArrayLike) -> Floats:
    p = _two_dimensional(probabilities)
    stated = np.take_along_axis(p, labels[:, None], axis=1)[:, 0] / p.sum(axis=1)
    rows: Floats = -np.log(np.clip(stated, _TINY, 1.0))
    return rows


def log_loss_rows(labels_N: ArrayLike, probabilities: ArrayLike) -> Floats:
    """Log loss of every row in nats, `(N,)`: for paired comparisons."""
    return _log_loss_rows(np.asarray(labels_N, dtype=np.int64), probabilities)


def classification_metrics(labels_N: ArrayLike, probabilities_NK: ArrayLike) -> dict[str, Any]:
    """Hold-out figures of a classifier (PRED-3, PRED-7).

    `roc_auc` (more than two classes: unweighted mean of one-against-rest), `log_loss` in nats,
    `accuracy` of the most probable class, `ece`, `brier`, and `pr_auc` for two classes. A figure
    that the labels do not allow is left out and `omitted` says why; classes without rows are left
    out of the mean and `notes` says so. Both keys exist only where there is something to say.

    Raises:
        ValueError: no rows, or labels outside 0 … K-1.
    """
    labels = np.asarray(labels_N, dtype=np.int64)
    p = _two_dimensional(probabilities_NK)
    n_classes = p.shape[1]
    if len(labels) == 0 or len(labels) != len(p):
        raise ValueError(f"{len(labels)} labels for {len(p)} rows of probabilities")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"labels must lie in 0 … {n_classes - 1}")
    figures: dict[str, Any] = {
        "log_loss": float(_log_loss_rows(labels, p).mean()),
        "accuracy": float((p.argmax(axis=1) == labels).mean()),
        "ece": expected_calibration_error(labels, p),
        "brier": brier_score(labels, p),
    }
    present = np.unique(labels)
    if len(present) < 2:
        reason = f"only class {int(present[0])} occurs among the {len(labels)} rows"
        ranked = ("roc_auc", "pr_auc") if n_classes == 2 else ("roc_auc",)
        figures["omitted"] = dict.fromkeys(ranked, reason)
        return figures
    if n_classes == 2:
        figures["roc_auc"] = float(sk.roc_auc_score(labels, p[:, 1]))
        figures["pr_auc"] = float(sk.average_precision_score(labels, p[:, 1]))
    else:
        figures["roc_auc"] = float(
            np.mean([sk.roc_auc_score(labels == k, p[:, k]) for k in present])
        )
        if len(present) < n_classes:
            absent = sorted(set(range(n_classes)) - set(present.tolist()))
            figures["notes"] = {"roc_auc": f"mean without the classes {absent}: they have no rows"}
    return figures


def order_metrics(labels_N: ArrayLike, probabilities_NK: ArrayLike) -> dict[str, Any]:
    """Hold-out figures of the most probable class where the K classes stand from low to high (PRED-1).

    `level_distance`: mean absolute distance from the true class, in levels. `quadratic_kappa`: Cohen's kappa
    with quadratic weights, 1 for no error, 0 for chance; where truth and answers are one class alone it does
    not exist, is left out, and `omitted` says so.
    """
    labels = np.asarray(labels_N, dtype=np.int64)
    p = _two_dimensional(probabilities_NK)
    predicted = p.argmax(axis=1)
    figures: dict[str, Any] = {"level_distance": float(np.abs(predicted - labels).mean())}
    if len(np.union1d(labels, predicted)) > 1:
        figures["quadratic_kappa"] = float(
            sk.cohen_kappa_score(
                labels, predicted, labels=np.arange(p.shape[1]), weights="quadratic"
            )
        )
    else:
        reason = f"all {len(labels)} rows have one class, which is all that is predicted"
        figures["omitted"] = {"quadratic_kappa": reason}
    return figures


def regression_metrics(
    y_N: ArrayLike,
    pred_N: ArrayLike,
    low_N: ArrayLike | None = None,
    high_N: ArrayLike | None = None,
) -> dict[str, Any]:
    """`r2`, `rmse`, `mae` (the target's unit); with intervals `coverage` (PRED-4)."""
    y = np.asarray(y_N, dtype=np.float64)
    pred = np.asarray(pred_N, dtype=np.float64)
    figures: dict[str, Any] = {
        "rmse": float(sk.root_mean_squared_error(y, pred)),
        "mae": float(sk.mean_absolute_error(y, pred)),
    }
    if len(y) > 1 and float(np.ptp(y)) > 0:
        figures["r2"] = float(sk.r2_score(y, pred))
    else:
        figures["omitted"] = {"r2": f"the target does not vary among the {len(y)} rows"}
    if low_N is not None and high_N is not None:
        low, high = np.asarray(low_N, dtype=np.float64), np.asarray(high_N, dtype=np.float64)
        figures["coverage"] = float(((y >= low) & (y <= high)).mean())
        figures["mean_interval_width"] = float((high - low).mean())
    return figures


def roc_points(
    labels_N: ArrayLike, probability_N: ArrayLike, max_points: int = 200
) -> dict[str, list[float]]:
    """The ROC curve of two classes: `fpr`, `tpr`, `threshold`; at most `max_points`.

    Both ends are kept; the first (nothing called positive) has threshold 1, so all are finite.
    """
    fpr, tpr, threshold = sk.roc_curve(np.asarray(labels_N), np.asarray(probability_N))
    kept = np.unique(np.linspace(0, len(fpr) - 1, min(max_points, len(fpr))).round().astype(int))
    return {
        "fpr": fpr[kept].astype(float).tolist(),
        "tpr": tpr[kept].astype(float).tolist(),
        "threshold": np.clip(threshold[kept], 0.0, 1.0).astype(float).tolist(),
    }


def confusion(labels_N: ArrayLike, predicted_N: ArrayLike, n_classes: int) -> list[list[int]]:
    """Counts by true class (rows) and predicted class (columns)."""
    counts = sk.confusion_matrix(
        np.asarray(labels_N), np.asarray(predicted_N), labels=np.arange(n_classes)
    )
    return [[int(cell) for cell in row] for row in counts]


# --- Bootstrap -----------------------------------------------------------------------------------
# A resample is a row of integer weights, so that every statistic is a few products and running sums
# over all resamples at once instead of one call of a metric per resample.

Statistic = Callable[[Floats], Floats]  # weights (B, N) -> values (B,); NaN where undefined


def _mean_of(rows_N: Floats) -> Statistic:
    return lambda weights: (weights @ rows_N) / weights.sum(axis=1)


def _tie_groups(score_N: Floats) -> tuple[Ints, Ints]:
    order = np.argsort(score_N, kind="stable")
    ordered = score_N[order]
    return order, np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])


def _area_under_roc(score_N: Floats, positive_N: NDArray[np.bool_]) -> Statistic:
    order, starts = _tie_groups(score_N)
    positive = positive_N[order].astype(np.float64)

    def statistic(weights: Floats) -> Floats:
        sorted_weights = np.take(weights, order, axis=1)
        pos = np.add.reduceat(sorted_weights * positive, starts, axis=1)
        neg = np.add.reduceat(sorted_weights, starts, axis=1) - pos
        below = np.cumsum(neg, axis=1) - neg / 2.0
        pairs = pos.sum(axis=1) * neg.sum(axis=1)
        with np.errstate(invalid="ignore"):
            area: Floats = (pos * below).sum(axis=1) / np.where(pairs > 0, pairs, np.nan)
        return area

    return statistic


def _average_precision(score_N: Floats, positive_N: NDArray[np.bool_]) -> Statistic:
    order, starts = _tie_groups(-score_N)
    positive = positive_N[order].astype(np.float64)

    def statistic(weights: Floats) -> Floats:
        sorted_weights = np.take(weights, order, axis=1)
        pos = np.add.reduceat(sorted_weights * positive, starts, axis=1)
        called = np.cumsum(np.add.reduceat(sorted_weights, starts, axis=1), axis=1)
        total = pos.sum(axis=1)
        precision = np.cumsum(pos, axis=1) / np.maximum(called, 1.0)
        area: Floats = (pos * precision).sum(axis=1) / np.where(total > 0, total, np.nan)
        return area

    return statistic


def _calibration_error(labels: Ints, probabilities: Floats) -> Statistic:
    stated, happened = _events(labels, probabilities)
    gaps_NB = np.eye(N_BINS)[_bin_of(stated, N_BINS)] * (stated - happened)[:, None]
    return lambda weights: np.abs(weights @ gaps_NB).sum(axis=1) / weights.sum(axis=1)


def _r_squared(y: Floats, pred: Floats) -> Statistic:
    centred = y - y.mean()

    def statistic(weights: Floats) -> Floats:
        n = weights.sum(axis=1)
        squares = (weights @ centred**2) / n
        variance = squares - ((weights @ centred) / n) ** 2
        least = 1e-12 * squares  # less is rounding: a resample of one value
        error = (weights @ (y - pred) ** 2) / n
        explained: Floats = 1.0 - error / np.where(variance > least, variance, np.nan)
        return explained

    return statistic


def _macro(parts: Sequence[Statistic]) -> Statistic:
    """Mean over the classes that a resample holds: one without a class of few rows still says something."""

    def statistic(weights: Floats) -> Floats:
        values = np.stack([part(weights) for part in parts])
        present = np.isfinite(values)
        mean: Floats = np.where(present, values, 0.0).sum(axis=0) / np.where(
            present.any(axis=0), present.sum(axis=0), np.nan
        )
        return mean

    return statistic


def _statistic(metric: MetricName, labels_N: ArrayLike, pred: ArrayLike) -> Statistic:
    if metric in ("r2", "rmse", "mae"):
        y, value = np.asarray(labels_N, dtype=np.float64), np.asarray(pred, dtype=np.float64)
        if metric == "r2":
            return _r_squared(y, value)
        if metric == "mae":
            return _mean_of(np.abs(y - value))
        squares = _mean_of((y - value) ** 2)
        return lambda weights: np.sqrt(squares(weights))
    labels, p = np.asarray(labels_N, dtype=np.int64), _two_dimensional(pred)
    if metric == "log_loss":
        return _mean_of(_log_loss_rows(labels, p))
    if metric == "accuracy":
        return _mean_of((p.argmax(axis=1) == labels).astype(np.float64))
    if metric == "brier":
        return _mean_of(_brier_rows(labels, p))
    if metric == "ece":
        return _calibration_error(labels, p)
    if metric == "pr_auc":
        return _average_precision(p[:, 1], labels == 1)
    if p.shape[1] == 2:
        return _area_under_roc(p[:, 1], labels == 1)
    return _macro([_area_under_roc(p[:, k], labels == k) for k in np.unique(labels)])


def _resampled(statistics: Sequence[Statistic], n_rows: int, n: int, seed: int) -> Floats:
    """Values `(statistics, n)` on the same n resamples of rows."""
    rng = np.random.default_rng(seed)
    step = max(1, min(n, _BLOCK_CELLS // max(1, n_rows)))
    blocks = []
    for start in range(0, n, step):
        size = min(step, n - start)
        drawn = rng.integers(0, n_rows, size=(size, n_rows)) + np.arange(size)[:, None] * n_rows
        weights = np.bincount(drawn.ravel(), minlength=size * n_rows).reshape(size, n_rows)
        blocks.append([statistic(weights.astype(np.float64)) for statistic in statistics])
    return np.concatenate([np.asarray(block) for block in blocks], axis=1)


def bootstrap_difference(
    metric: MetricName,
    labels_N: ArrayLike,
    pred_a: ArrayLike,
    pred_b: ArrayLike,
    n: int = 1000,
    seed: int = 42,
) -> tuple[float, float, float]:
    """`metric(a) - metric(b)` with its 95 % interval from a paired bootstrap over rows (PRED-7).

    Resamples on which the metric does not exist (one class only) are left out; the mean over more than two
    classes is of those that a resample holds.
    """
    a, b = _statistic(metric, labels_N, pred_a), _statistic(metric, labels_N, pred_b)
    n_rows = len(np.asarray(labels_N))
    ones = np.ones((1, n_rows))
    values = _resampled([a, b], n_rows, n, seed)
    low, high = np.nanquantile(values[0] - values[1], [0.025, 0.975])
    return float(a(ones)[0] - b(ones)[0]), float(low), float(high)


def roc_auc_interval(
    labels_N: ArrayLike, probabilities: ArrayLike, n: int = 1000, seed: int = 42
) -> tuple[float, float, float]:
    """ROC AUC (macro for more than two classes) with its 95 % bootstrap interval over rows."""
    area = _statistic("roc_auc", labels_N, probabilities)
    n_rows = len(np.asarray(labels_N))
    low, high = np.nanquantile(_resampled([area], n_rows, n, seed)[0], [0.025, 0.975])
    return float(area(np.ones((1, n_rows)))[0]), float(low), float(high)
