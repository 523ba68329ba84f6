"""Step extend: engineered columns into the space, and an honest look at what they did (EXT-1, EXT-2, EXT-6)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from featrix_core.bundle import seal_beside
from featrix_core.embedding_space import EmbeddingSpace, OnProgress
from featrix_core.features.engineer import FeatureEngineer
from featrix_core.features.suggest import suggest_features
from featrix_core.files import write_json
from featrix_core.predictor.metrics import bootstrap_difference
from featrix_core.settling import unsettled_is_fine
from featrix_core.steps.data_step import DataSet, load_dataset
from featrix_core.steps.figures import write_figures
from featrix_core.steps.names import EXTENSION, PREVIOUS
from featrix_core.steps.space_step import space_figures
from featrix_core.tables.table import Table
from featrix_core.tables.targets import TargetSchema, encode_target

FEATURES = 2
"""Columns that are suggested where the user names none."""
PROBE_ROWS = 10_000
FOLDS = 5
Floats = NDArray[np.float64]


def _engineer(
    data: DataSet, development: Table, features: str, seed: int
) -> FeatureEngineer | None:
    """From the user's file, or from what measures best on the development rows."""
    if features:
        targets = [t.name for t in data.targets]
        return FeatureEngineer.from_json(Path(features), exclude=targets)
    target = data.targets[0]
    labels = encode_target(development, target)
    found = suggest_features(
        development.to_pandas(), data.schema, target, labels, limit=FEATURES, seed=seed
    )
    return FeatureEngineer(found) if found else None


def _probe(target: TargetSchema, vectors: Floats, labels: Floats) -> Any:
    """A linear model of the rows, its penalty chosen over three folds."""
    if target.kind == "scalar":
        return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 12))).fit(vectors, labels)
    model = LogisticRegressionCV(
        Cs=np.logspace(-4, 0, 5),
        cv=3,
        scoring="neg_log_loss",
        max_iter=200,
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
    )
    with unsettled_is_fine():
        return make_pipeline(StandardScaler(), model).fit(vectors, labels)


def _said(model: Any, vectors: Floats, target: TargetSchema) -> Floats:
    if target.kind == "scalar":
        return np.asarray(model.predict(vectors))
    said = np.zeros((len(vectors), len(target.classes)))
    said[:, model[-1].classes_.astype(np.int64)] = model.predict_proba(vectors)
    return said


def _out_of_fold(vectors: Floats, labels: Floats, target: TargetSchema, seed: int) -> float:
    """Cross-validated error of a linear probe: log loss, or mean squared error over variance."""
    scalar = target.kind == "scalar"
    splitter = KFold if scalar else StratifiedKFold
    folds = splitter(3, shuffle=True, random_state=seed)
    losses = []
    for train, test in folds.split(vectors, labels):
        model = _probe(target, vectors[train], labels[train])
        said = _said(model, vectors[test], target)
        if scalar:
            losses.append(np.square(said - labels[test]) / max(labels.var(), 1e-12))
        else:
            own = said[np.arange(len(test)), labels[test].astype(np.int64)]
            losses.append(-np.log(np.clip(own, 1e-12, 1.0)))
    return float(np.concatenate(losses).mean())


def compare_spaces(
    before: EmbeddingSpace, after: EmbeddingSpace, data: DataSet, seed: int
) -> list[dict[str, Any]]:
    """A linear probe on either space's frozen embeddings, per target that can be compared.

    The choice between the two spaces is made out of fold on development rows (`error_before`,
    `error_after`); `before`, `after` and the paired interval are of the hold-out and decide nothing.
    """
    rng = np.random.default_rng(seed)
    development, holdout = data.development, data.holdout
    if development.n_rows > PROBE_ROWS:
        drawn = rng.choice(development.n_rows, PROBE_ROWS, replace=False)
        development = development.take(np.sort(drawn))
    spaces = (before, after)
    train_vectors = [s.encode(development).astype(np.float64) for s in spaces]
    test_vectors = [s.encode(holdout).astype(np.float64) for s in spaces]
    results = []
    for target in data.targets:
        labels, truth = encode_target(development, target), encode_target(holdout, target)
        known, measured = np.isfinite(labels), np.isfinite(truth)
        if target.kind != "scalar":
            counts = np.bincount(labels[known].astype(np.int64), minlength=len(target.classes))
            known[known] = counts[labels[known].astype(np.int64)] >= FOLDS
        y = labels[known]
        if len(np.unique(y)) < 2 or len(np.unique(truth[measured])) < 2:
            continue  # too few rows of a class to learn it or to rank by it
        errors, said = [], []
        for train, test in zip(train_vectors, test_vectors, strict=True):
            errors.append(_out_of_fold(train[known], y, target, seed))
            model = _probe(target, train[known], y)
            said.append(_said(model, test[measured], target))
        metric = "r2" if target.kind == "scalar" else "roc_auc"
        y_test = truth[measured] if target.kind == "scalar" else truth[measured].astype(np.int64)
        results.append(_ab(metric, target.name, y_test, said, errors))
    return results


def _ab(
    metric: Any, target: str, truth: NDArray[Any], said: list[Floats], errors: list[float]
) -> dict[str, Any]:
    from featrix_core.predictor.metrics import classification_metrics, regression_metrics

    measure = regression_metrics if metric == "r2" else classification_metrics
    before, after = (float(measure(truth, part)[metric]) for part in said)
    difference, low, high = bootstrap_difference(metric, truth, said[1], said[0])
    verdict = "no clear difference"
    if low > 0:
        verdict = "better"
    elif high < 0:
        verdict = "worse"
    return {
        "target": target,
        "metric": metric,
        "before": before,
        "after": after,
        "difference": difference,
        "interval": [low, high],
        "verdict": verdict,
        "error_before": errors[0],
        "error_after": errors[1],
    }


def extend_space(
    space: Path,
    dataset: Path,
    out: Path,
    *,
    features: str = "",
    seed: int = 42,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Extend a space by engineered columns and keep the extension if it pays on development rows.

    Writes the bundle to use from here on, the bundle that was extended under `previous/`, and
    `extension.json` with the columns, the comparison on the hold-out and the decision.

    Args:
        features: file of suggestions; empty lets the development rows decide.
    """
    data = load_dataset(Path(dataset))
    before = EmbeddingSpace.load(space)
    development = data.development
    engineer = _engineer(data, development, features, seed)
    if engineer is None:
        before.save(out)
        write_json(Path(out) / EXTENSION, {"new_columns": [], "accepted": False, "metrics": []})
        document = write_figures(Path(out), space_figures(before))
        seal_beside(Path(out))
        return document
    names = [t.name for t in data.targets]
    frame = engineer.fit_transform(development.drop(names).to_pandas())
    enriched = Table(pa.Table.from_pandas(frame, preserve_index=False), development.source)
    after = EmbeddingSpace.extend_from_existing(
        before,
        enriched,
        name=f"{before.name}_extended",
        feature_metadata={"source": Path(features).name if features else "suggested"},
        engineer=engineer,
    )
    after.train(on_progress=on_progress)
    metrics = compare_spaces(before, after, data, seed)
    accepted = bool(sum(m["error_before"] - m["error_after"] for m in metrics) > 0)
    chosen = after if accepted else before
    chosen.save(out)
    if accepted:
        shutil.copytree(space, Path(out) / PREVIOUS)
    assert after.extension_metadata is not None
    added = after.extension_metadata["new_columns_added"]
    write_json(
        Path(out) / EXTENSION,
        {
            "new_columns": [
                c.model_dump(mode="json") for c in after.schema.columns if c.name in added
            ],
            "suggestions": engineer.to_dict()["suggestions"],
            "accepted": accepted,
            "metrics": metrics,
        },
    )
    figures = {f"{m['metric']}_change_{m['target']}": m["difference"] for m in metrics}
    figures |= {**space_figures(chosen), "accepted": float(accepted)}
    document = write_figures(Path(out), figures)
    seal_beside(Path(out))
    return document
