"""Probability calibration chosen on held-out rows: none, temperature, Platt or isotonic (PRED-3).

Shapes: N rows, K >= 2 classes; `logits_NK` may be logits or log-probabilities. A fitted calibration
is a frozen model of plain floats, stored as JSON.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from featrix_core.predictor.metrics import (
    ReliabilityBin,
    brier_score,
    expected_calibration_error,
    log_loss_rows,
    reliability,
)
from featrix_core.tables.schema import Frozen
from featrix_core.tables.splits import kfold

Method = Literal["none", "temperature", "platt", "isotonic"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_LOWEST = -50.0  # log-probabilities below this say no more than "never"
_TIE = 1e-4  # nats per row: gains below this count as none
_FOLDS = 5
_ROWS_PER_CLASS = 10  # Platt and isotonic fit every class on its own and need some rows of each
_ISOTONIC_ROWS = 1000
_MOST_CLASSES = 100  # with more, maps of single classes take minutes and have few rows each


class CalibrationReport(Frozen):
    """What was tried and what it gave.

    `log_loss` and `gain` (over no calibration, with `gain_error`, its standard error) are
    cross-validated, in nats per row. `after` and `reliability_after` are of the same out-of-fold
    probabilities, never of rows that the calibration was fitted on.
    """

    n_rows: int
    reason: str
    log_loss: dict[str, float]
    gain: dict[str, float]
    gain_error: dict[str, float]
    before: dict[str, float]
    after: dict[str, float]
    reliability_before: tuple[ReliabilityBin, ...]
    reliability_after: tuple[ReliabilityBin, ...]


class Curve(Frozen):
    """A monotone step-free map, linear between its knots and constant outside."""

    x: tuple[float, ...]
    y: tuple[float, ...]


class Calibration(Frozen):
    """A fitted calibration.

    `temperature` divides the logits. `slopes` and `intercepts` (Platt) and `curves` (isotonic) hold
    one entry for two classes (on the margin of class 1 over class 0), else one per class on its
    log-probability, normalised over the classes afterwards.
    """

    method: Method
    n_classes: int
    temperature: float = 1.0
    slopes: tuple[float, ...] = ()
    intercepts: tuple[float, ...] = ()
    curves: tuple[Curve, ...] = ()
    report: CalibrationReport | None = None

    def apply(self, logits_NK: ArrayLike) -> Floats:
        """Calibrated probabilities `(N, K)`, rows summing to one.

        Raises:
            ValueError: another number of classes than at fitting.
        """
        logits = clean_logits(logits_NK)
        if logits.shape[1] != self.n_classes:
            raise ValueError(f"{logits.shape[1]} columns of logits for {self.n_classes} classes")
        if self.method in ("none", "temperature"):
            scaled: Floats = softmax(logits / self.temperature, axis=1)
            return scaled
        scores = _scores(logits)
        if self.method == "platt":
            events = expit(scores * np.asarray(self.slopes) + np.asarray(self.intercepts))
        else:
            events = np.column_stack(
                [np.interp(scores[:, k], c.x, c.y) for k, c in enumerate(self.curves)]
            )
        if self.n_classes == 2:
            return np.column_stack([1.0 - events[:, 0], events[:, 0]])
        normalised: Floats = events / np.maximum(events.sum(axis=1, keepdims=True), 1e-300)
        return normalised

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Calibration:
        """The inverse of `to_dict`; pydantic's `ValidationError` on anything else."""
        return cls.model_validate(value)


def clean_logits(logits_NK: ArrayLike) -> Floats:
    """Log-probabilities, nothing below -50; `ValueError` on NaN, +inf or another shape."""
    logits = np.asarray(logits_NK, dtype=np.float64)
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise ValueError(f"logits must have the shape (rows, classes >= 2), not {logits.shape}")
    if np.isnan(logits).any() or np.isposinf(logits).any():
        raise ValueError("logits hold NaN or +inf")
    # log(0) is welcome as an input; a softmax over it is not.
    cleaned: Floats = np.maximum(log_softmax(np.maximum(logits, -1e6), axis=1), _LOWEST)
    return cleaned


def _scores(logits: Floats) -> Floats:
    """`(N, 1)` margin for two classes, else `(N, K)` log-probabilities."""
    scores: Floats = logits[:, 1:2] - logits[:, 0:1] if logits.shape[1] == 2 else logits
    return scores


def _fit_temperature(labels: Ints, logits: Floats, weights: Floats) -> Calibration:
    # scikit-learn has temperature scaling only inside CalibratedClassifierCV, which numbers the
    # classes by those that occur in the fold; the one-dimensional search is the same one.
    def loss(log_t: float) -> float:
        rows = log_loss_rows(labels, softmax(logits / np.exp(log_t), axis=1))
        return float((weights * rows).mean())

    found = minimize_scalar(
        loss,
        bounds=(-3.0, 3.0),
        method="bounded",
    )
    return Calibration(
        method="temperature", n_classes=logits.shape[1], temperature=float(np.exp(found.x))
    )


def _targets(labels: Ints, n_classes: int) -> list[Ints]:
    wanted = [1] if n_classes == 2 else range(n_classes)
    return [(labels == k).astype(np.int64) for k in wanted]


def _fit_platt(labels: Ints, logits: Floats, weights: Floats) -> Calibration:
    scores = _scores(logits)
    # A weak penalty keeps the slope finite where the held-out rows are perfectly separated.
    fitted = [
        LogisticRegression(C=100.0, max_iter=1000).fit(scores[:, k : k + 1], target, weights)
        for k, target in enumerate(_targets(labels, logits.shape[1]))
    ]
    return Calibration(
        method="platt",
        n_classes=logits.shape[1],
        slopes=tuple(float(model.coef_[0, 0]) for model in fitted),
        intercepts=tuple(float(model.intercept_[0]) for model in fitted),
    )


def _fit_isotonic(labels: Ints, logits: Floats, weights: Floats) -> Calibration:
    scores = _scores(logits)
    floor = 1.0 / (len(labels) + 2)  # Laplace: n rows are no ground for "never"
    curves = []
    for k, target in enumerate(_targets(labels, logits.shape[1])):
        model = IsotonicRegression(y_min=floor, y_max=1.0 - floor, out_of_bounds="clip")
        model.fit(scores[:, k], target, weights)
        curves.append(
            Curve(
                x=tuple(model.X_thresholds_.astype(float).tolist()),
                y=tuple(model.y_thresholds_.astype(float).tolist()),
            )
        )
    return Calibration(method="isotonic", n_classes=logits.shape[1], curves=tuple(curves))


def _fit(method: Method, labels: Ints, logits: Floats, weights: Floats) -> Calibration:
    if method == "temperature":
        return _fit_temperature(labels, logits, weights)
    if method == "platt":
        return _fit_platt(labels, logits, weights)
    if method == "isotonic":
        return _fit_isotonic(labels, logits, weights)
    return Calibration(method="none", n_classes=logits.shape[1])


def _figures(labels: Ints, probabilities: Floats) -> dict[str, float]:
    return {
        "ece": expected_calibration_error(labels, probabilities),
        "brier": brier_score(labels, probabilities),
        "log_loss": float(log_loss_rows(labels, probabilities).mean()),
    }


def _folds(labels: Ints, seed: int, groups_N: Ints | None) -> list[tuple[Ints, Ints]]:
    """Five folds, or as many as there are groups; of rows where groups leave a fold without a class to fit."""
    parts = len(labels) if groups_N is None else len(np.unique(groups_N))
    n_folds = min(_FOLDS, parts)
    if groups_N is not None and n_folds < 2:
        return _folds(labels, seed, None)
    present, counts = np.unique(labels, return_counts=True)
    told = labels if counts.min() >= n_folds else None
    folds = kfold(told, n_folds, seed, len(labels), groups_N=groups_N)
    if groups_N is None or all(len(np.unique(labels[rows])) == len(present) for rows, _ in folds):
        return folds
    return _folds(labels, seed, None)


def out_of_fold(
    methods: list[Method],
    labels: Ints,
    logits: Floats,
    weights: Floats,
    seed: int,
    groups_N: Ints | None = None,
) -> dict[Method, Floats]:
    """Probabilities of each row by fits on the other four fifths, for every method; groups stay together."""
    out = {method: np.empty_like(logits) for method in methods}
    for rows, held in _folds(labels, seed, groups_N):
        for method in methods:
            fitted = _fit(method, labels[rows], logits[rows], weights[rows])
            out[method][held] = fitted.apply(logits[held])
    return out


def fit_calibration(
    labels_N: ArrayLike,
    logits_NK: ArrayLike,
    seed: int = 42,
    weights_N: NDArray[np.float64] | None = None,
    groups_N: Ints | None = None,
) -> Calibration:
    """Choose and fit a calibration on held-out rows (PRED-3).

    Candidates are compared by 5-fold cross-validated log loss on the given rows, from simple to
    complex; a later one must be better than the best so far by more than 1e-4 nats. Isotonic also
    needs 1,000 rows, or a gain over the best simpler one of more than two of its standard errors.
    Platt and isotonic are tried only where every class has 10 rows, and up to 100 classes.

    Args:
        labels_N: class numbers 0 … K-1 of rows that took no part in training.
        logits_NK: logits or log-probabilities; -inf is allowed.
        seed: of the folds.
        weights_N: how many rows each row stands for (DATA-5). Fits, choice and gains follow them; the
            figures before and after count every row once. Rows of weight 0 are left out.
        groups_N: group of each row; no group is on both sides of a fold.

    Raises:
        ValueError: lengths differ, no rows, labels outside 0 … K-1, or NaN logits.
    """
    labels, logits = np.asarray(labels_N, dtype=np.int64), clean_logits(logits_NK)
    n, n_classes = logits.shape
    if n == 0 or len(labels) != n:
        raise ValueError(f"{len(labels)} labels for {n} rows of logits")
    weights = np.ones(n)
    if weights_N is not None and (weights_N > 0).any():
        used = weights_N > 0
        labels, logits, weights = labels[used], logits[used], weights_N[used]
        groups_N = None if groups_N is None else groups_N[used]
        weights, n = weights / weights.mean(), len(labels)
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"labels must lie in 0 … {n_classes - 1}")
    counts = np.bincount(labels, minlength=n_classes)
    methods: list[Method] = ["none"]
    if n >= 2 * _ROWS_PER_CLASS and (counts > 0).sum() > 1:
        methods.append("temperature")
        if counts.min() >= _ROWS_PER_CLASS and n_classes <= _MOST_CLASSES:
            methods += ["platt", "isotonic"]
    probabilities = (
        out_of_fold(methods, labels, logits, weights, seed, groups_N)
        if len(methods) > 1
        else {methods[0]: _fit("none", labels, logits, weights).apply(logits)}
    )
    losses = {m: weights * log_loss_rows(labels, p) for m, p in probabilities.items()}
    chosen, reason = _choose(losses, n)
    if len(methods) == 1:
        reason = (
            f"{n} held-out rows with {int((counts > 0).sum())} classes are too few to calibrate on"
        )
    before, after = probabilities["none"], probabilities[chosen]
    gains = {m: losses["none"] - losses[m] for m in methods if m != "none"}
    report = CalibrationReport(
        n_rows=n,
        reason=reason,
        log_loss={m: float(losses[m].mean()) for m in methods},
        gain={m: float(g.mean()) for m, g in gains.items()},
        gain_error={m: float(g.std(ddof=1) / np.sqrt(n)) for m, g in gains.items()},
        before=_figures(labels, before),
        after=_figures(labels, after),
        reliability_before=tuple(reliability(labels, before)),
        reliability_after=tuple(reliability(labels, after)),
    )
    return _fit(chosen, labels, logits, weights).model_copy(update={"report": report})


def _choose(losses: dict[Method, Floats], n: int) -> tuple[Method, str]:
    best: Method = "none"
    for method in losses:
        gain_N = losses[best] - losses[method]
        gain = float(gain_N.mean())
        if gain <= _TIE:
            continue
        if method == "isotonic" and n < _ISOTONIC_ROWS:
            error = float(gain_N.std(ddof=1) / np.sqrt(n))
            if gain <= 2.0 * error:
                continue
        best = method
    listed = ", ".join(f"{method} {loss.mean():.4f}" for method, loss in losses.items())
    return best, f"lowest cross-validated log loss, the simplest among ties ({listed})"
