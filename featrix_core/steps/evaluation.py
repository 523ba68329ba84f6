"""What a predictor is worth on the hold-out, beside a linear and a boosted model on the same rows (PRED-7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, precision_recall_curve

from featrix_core.embedding_space import EmbeddingSpace
from featrix_core.errors import FeatrixUserError
from featrix_core.predictor.baselines import fit_baselines
from featrix_core.predictor.global_importance import global_importance
from featrix_core.predictor.metrics import (
    bootstrap_difference,
    classification_metrics,
    confusion,
    ece_by_chance,
    order_metrics,
    regression_metrics,
    reliability,
    roc_auc_interval,
    roc_points,
)
from featrix_core.predictor.response import ClassScores, NumberScores
from featrix_core.single_predictor import SinglePredictor
from featrix_core.steps.data_step import DataSet
from featrix_core.tables.build import typed_columns
from featrix_core.tables.table import Table
from featrix_core.tables.targets import encode_target
from featrix_core.tables.texts import cell_texts

EXPLAINED_ROWS = 100
EXPLAINED_CELLS = 1_000_000
"""Of wide tables fewer rows are explained, ten at least: the work goes with the square of their columns."""
EXAMPLES = 3
PAIRS = 1500
NETS_ONLY = "featrix, nets only"
SHOWN = (
    "roc_auc",
    "log_loss",
    "accuracy",
    "ece",
    "brier",
    "pr_auc",
    "level_distance",
    "quadratic_kappa",
    "r2",
    "rmse",
    "mae",
    "coverage",
)


def _plain(figures: dict[str, Any]) -> dict[str, float]:
    return {
        key: float(figures[key]) for key in SHOWN if key in figures and np.isfinite(figures[key])
    }


def _labelled(model: SinglePredictor, table: Table) -> tuple[Table, NDArray[np.float64]]:
    assert model.coding is not None
    labels = model.coding.labels(table)
    known = np.flatnonzero(np.isfinite(labels))
    return table.take(known), labels[known]


def holdout_answers(
    data: DataSet, *models: SinglePredictor
) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """Labels (N,) of the hold-out rows that all models know a label of, as the first one reads them, and what
    each says: probabilities (N, K) or numbers (N,). N is 0 where the models' labels have nothing in common."""
    table = data.holdout
    labels = [m.coding.labels(table) for m in models if m.coding is not None]
    known = np.flatnonzero(np.isfinite(labels).all(axis=0))
    rows = table.take(known)
    return labels[0][known], [_said(model, rows) for model in models]


def _said(model: SinglePredictor, table: Table) -> NDArray[np.float64]:
    scores = model.scores(table)
    return scores.probabilities_NK if isinstance(scores, ClassScores) else scores.prediction_N


def measure(
    model: SinglePredictor, labels: NDArray[np.float64], said: NDArray[np.float64]
) -> dict[str, float]:
    """Figures of answers of the model's kind."""
    assert model.coding is not None
    if model.coding.classification:
        return _class_figures(labels.astype(np.int64), said, model.coding.ordered)
    return _plain(regression_metrics(labels, said))


def _class_figures(
    labels: NDArray[np.int64], said: NDArray[np.float64], ordered: bool
) -> dict[str, float]:
    ranked = _plain(order_metrics(labels, said)) if ordered else {}
    return _plain(classification_metrics(labels, said)) | ranked


def evaluate(model: SinglePredictor, data: DataSet) -> dict[str, Any]:
    """All figures of a calibrated predictor, as plain JSON values.

    Raises:
        FeatrixUserError: no hold-out row has a label that the predictor knows.
    """
    coding = model.coding
    assert coding is not None and model.outputs is not None and model.ensemble is not None
    table, labels = _labelled(model, data.holdout)
    asked = data.target(coding.target.name)
    if not table.n_rows:
        raise FeatrixUserError(
            "No hold-out row has a label that rows to train on have",
            column=asked.name,
            remedy="Label more rows, or split the rows in another way",
        )
    scores = model.scores(table)
    development, known = _labelled(model, data.development)
    others = _baselines(model, data, development, known, table)
    if len(model.ensemble.weights) > 1:
        others["said"][NETS_ONLY] = _said(model.nets_only(), table)
    result: dict[str, Any] = {
        "target": coding.target.name,
        "kind": coding.target.kind,
        "classes": list(coding.classes),
        "holdout_rows": table.n_rows,
        "holdout_rows_of_new_classes": int(np.isfinite(encode_target(data.holdout, asked)).sum())
        - table.n_rows,
        "roc": None,
        "confusion": None,
        "importance": _importance(model, table),
        "baseline_seconds": others["seconds"],
        "baseline_remarks": others["remarks"],
        "selector": model.training_info["selector"],
    }
    if isinstance(scores, ClassScores):
        return result | _classes(model, scores, labels.astype(np.int64), others["said"])
    assert isinstance(scores, NumberScores)
    return result | _numbers(scores, labels, others["said"])


def _baselines(
    model: SinglePredictor,
    data: DataSet,
    development: Table,
    labels: NDArray[np.float64],
    holdout: Table,
) -> dict[str, Any]:
    """Peers on the table's own columns, trained on the rows that the predictor had, or a draw of very many."""
    assert model.coding is not None
    raw = [c for c in model.space.schema.columns if c.name in development.names]
    schema = model.space.schema.model_copy(
        update={"columns": tuple(c for c in raw if c.name != model.coding.target.name)}
    )
    fitted = fit_baselines(
        typed_columns(development, schema), labels, model.coding.target.kind, model.seed, schema
    )
    said = fitted.predict(typed_columns(holdout, schema))
    if model.coding.classification:
        missing = {name: len(model.coding.classes) - p.shape[1] for name, p in said.items()}
        said = {name: np.pad(p, ((0, 0), (0, missing[name]))) for name, p in said.items()}
    return {"said": said, "seconds": fitted.seconds, "remarks": fitted.remarks}


def numbers_of(space: EmbeddingSpace, table: Table, names: Sequence[str]) -> NDArray[np.float64]:
    """Cells as numbers (N, len(names)), NaN where a cell or a column is none."""
    typed = typed_columns(space.enriched(table), space.schema)
    columns = [typed[name].numbers_N for name in names]
    none = np.full(table.n_rows, np.nan)
    return np.stack([none if c is None else c for c in columns], axis=1)


def _importance(model: SinglePredictor, table: Table) -> dict[str, Any]:
    """Importance over a sample of hold-out rows, and a few whole examples."""
    count = int(np.clip(EXPLAINED_CELLS // len(model.space.schema.names) ** 2, 10, EXPLAINED_ROWS))
    rows = np.sort(np.random.default_rng(model.seed).permutation(table.n_rows)[:count])
    sample = table.take(rows)
    found = model.explain_table(sample)
    signed = dict(zip(found.names, found.values_NC.mean(axis=0).tolist(), strict=True))
    numbers_NC = numbers_of(model.space, sample, found.names)
    overall = global_importance(found.values_NC, found.names, model.seed, numbers_NC)
    shown = model.space.enriched(sample.take(np.arange(min(EXAMPLES, sample.n_rows)))).arrow
    cells = {name: cell_texts(shown[name]) for name in found.names}
    answers = model.predict_frame(sample)["prediction"].tolist()
    examples = []
    for row in range(min(EXAMPLES, sample.n_rows)):
        top = np.argsort(-np.abs(found.values_NC[row]), kind="stable")[:8]
        effects = [
            {
                "name": found.names[k],
                "value": str(cells[found.names[k]][row]),
                "effect": float(found.values_NC[row, k]),
            }
            for k in top
        ]
        examples.append({"prediction": str(answers[row]), "effects": effects})
    return {
        "overall": [
            {
                "name": column.name,
                "mean_absolute": column.mean,
                "mean_signed": signed[column.name],
                "low": column.low,
                "high": column.high,
                "share": column.share,
                "direction": column.direction,
            }
            for column in overall.columns
        ],
        "examples": examples,
    }


def _classes(
    model: SinglePredictor,
    scores: ClassScores,
    labels: NDArray[np.int64],
    others: dict[str, NDArray[np.float64]],
) -> dict[str, Any]:
    assert model.outputs is not None and model.outputs.calibration is not None
    p = scores.probabilities_NK
    calibration = model.outputs.calibration
    matrix = confusion(labels, scores.predicted_N, len(scores.classes))
    result: dict[str, Any] = {
        # `accuracy` is of the most probable class, as for the peers; this one is of the answers given.
        "metrics": _class_figures(labels, p, scores.ordered)
        | {
            "accuracy_at_threshold": float((scores.predicted_N == labels).mean()),
            "ece_by_chance": ece_by_chance(p, model.seed),
        },
        "baselines": {
            k: _class_figures(labels, said, scores.ordered) for k, said in others.items()
        },
        "confusion": {"labels": list(scores.classes), "matrix": matrix},
        "reliability": [b.model_dump(mode="json") for b in reliability(labels, p)],
        "calibration": {
            "method": calibration.method,
            "report": calibration.report and calibration.report.model_dump(mode="json"),
        },
    }
    if "roc_auc" in result["metrics"]:
        result["interval"] = list(roc_auc_interval(labels, p))[-2:]
        result["differences"] = {
            k: list(bootstrap_difference("roc_auc", labels, p, said)) for k, said in others.items()
        }
    curves = {}
    for k in range(1 if p.shape[1] == 2 else 0, p.shape[1]):
        own = (labels == k).astype(np.int64)
        if 0 < own.sum() < len(own):
            points = roc_points(own, p[:, k])
            precision, recall, _ = precision_recall_curve(own, p[:, k])
            keep = np.unique(np.linspace(0, len(recall) - 1, 200).astype(int))
            curves[scores.classes[k]] = {
                "roc": points,
                "recall": recall[keep].tolist(),
                "precision": precision[keep].tolist(),
                "base_rate": float(own.mean()),
            }
    result["curves"] = curves
    if p.shape[1] == 2 and curves:
        result["roc"] = _kfp_roc(next(iter(curves.values()))["roc"])
        cuts = np.linspace(0.02, 0.98, 49)
        f1 = [float(f1_score(labels, p[:, 1] >= cut, zero_division=0.0)) for cut in cuts]
        result["threshold"] = {
            "chosen": scores.threshold,
            "cuts": cuts.tolist(),
            "f1": f1,
            "reason": model.outputs.threshold.reason if model.outputs.threshold else "",
        }
    return result


def _kfp_roc(points: dict[str, list[float]]) -> dict[str, list[float]]:
    """ROC points as the Kubeflow UI takes them: finite thresholds."""
    thresholds = [float(min(max(t, 0.0), 1.0)) for t in points["threshold"]]
    return {"fpr": points["fpr"], "tpr": points["tpr"], "thresholds": thresholds}


def _numbers(
    scores: NumberScores, labels: NDArray[np.float64], others: dict[str, NDArray[np.float64]]
) -> dict[str, Any]:
    shown = np.linspace(0, len(labels) - 1, min(PAIRS, len(labels))).astype(int)
    metrics = regression_metrics(labels, scores.prediction_N, scores.low_N, scores.high_N)
    ranked = others if "r2" in metrics else {}  # one value explains nothing of itself
    return {
        "metrics": _plain(metrics),
        "baselines": {k: _plain(regression_metrics(labels, said)) for k, said in others.items()},
        "differences": {
            k: list(bootstrap_difference("r2", labels, scores.prediction_N, said))
            for k, said in ranked.items()
        },
        "actual": labels[shown].tolist(),
        "predicted": scores.prediction_N[shown].tolist(),
        "interval_width": float(np.mean(scores.high_N - scores.low_N)),
    }
