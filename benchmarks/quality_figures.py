"""What a method answers on the test rows of a fold, and the figures of that.

Legend: N rows · K classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality_sets import Kind
from featrix_core.predictor.metrics import (
    classification_metrics,
    ece_by_chance,
    regression_metrics,
)

Floats = NDArray[np.float64]

SCORE: dict[Kind, str] = {"binary": "roc_auc", "multiclass": "roc_auc", "regression": "r2"}
LOSS: dict[Kind, str] = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}


@dataclass(frozen=True)
class Answers:
    """Probabilities `(N, K)` or numbers `(N,)`, with the seconds that they took.

    low_N, high_N: ends of the 90 % interval; sets_NK: which classes are in a row's prediction set;
    threshold: of two classes, the second is predicted from this probability on;
    notes: what a reader may want to know of the fit.
    """

    said: Floats
    fit_seconds: float
    predict_seconds: float
    low_N: Floats | None = None
    high_N: Floats | None = None
    sets_NK: NDArray[np.bool_] | None = None
    threshold: float = 0.5
    notes: dict[str, Any] = field(default_factory=dict)


def figures(kind: Kind, y_N: Floats, answers: Answers) -> dict[str, Any]:
    """AUC, log loss, ECE (15 bins) and what chance alone makes of it (`ece_chance`), Brier, PR-AUC for two classes;
    R², RMSE, MAE, coverage (of all rows, and least of the rows with small, middle and large predictions) and width for
    numbers; the share of prediction sets that hold the truth, their size;
    seconds.

    Raises:
        ValueError: an answer is not finite, or none for every row.
    """
    said = np.asarray(answers.said, dtype=np.float64)
    if len(said) != len(y_N) or not np.isfinite(said).all():
        raise ValueError(f"{len(said)} answers for {len(y_N)} rows, or some are not finite")
    if kind == "regression":
        found = regression_metrics(y_N, said, answers.low_N, answers.high_N)
        if answers.low_N is not None and answers.high_N is not None:
            inside_N = (answers.low_N <= y_N) & (y_N <= answers.high_N)
            thirds = np.array_split(inside_N[np.argsort(said, kind="stable")], 3)
            found["third_coverage"] = min(float(each.mean()) for each in thirds)
    else:
        labels_N = y_N.astype(np.int64)
        found = classification_metrics(labels_N, said)
        # The median over labels drawn from the answers themselves.
        found["ece_chance"] = ece_by_chance(said, draws=100, level=0.5)
        if answers.sets_NK is not None:
            held_N = answers.sets_NK[np.arange(len(labels_N)), labels_N]
            found |= {
                "set_coverage": float(held_N.mean()),
                "set_size": float(answers.sets_NK.sum(axis=1).mean()),
            }
    return {
        **found,
        "fit_seconds": round(answers.fit_seconds, 2),
        "predict_seconds": round(answers.predict_seconds, 3),
        "notes": answers.notes,
    }
