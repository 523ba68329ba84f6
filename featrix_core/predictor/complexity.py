"""How deep a predictor head should be, measured from the data in about a second (PRED-1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featrix_core.predictor.plan import FEW_OF_OTHERS
from featrix_core.settling import unsettled_is_fine
from featrix_core.tables.schema import Frozen
from featrix_core.tables.targets import TargetKind

_MAX_ROWS = 2000
_MAX_MI_FEATURES = 16
_SMALL_TABLE = 2000
_SIMPLE_MI = 0.4
_GAP_SOME, _GAP_CLEAR, _GAP_WIDE = 0.01, 0.03, 0.08
_TREES = 50
_ITERATIONS = 200
_CONSTANT = 1e-6

Floats = NDArray[np.float64]


class Advice(Frozen):
    """Hidden layers (2 … 4) with the figures and sentences behind them.

    `mutual_information` is that of the strongest feature with the target, in nats; `linear` and
    `forest` are two-fold scores (ROC AUC, or R² for numbers).
    """

    n_hidden_layers: int
    reasons: tuple[str, ...]
    mutual_information: float
    linear: float
    forest: float


def advise_depth(
    features_ND: ArrayLike, y_N: ArrayLike, kind: TargetKind, seed: int = 42
) -> Advice:
    """Depth from mutual information, a random forest's lead over a linear model, and imbalance (PRED-1).

    A lead above 0.08 asks for 4 layers, above 0.03 for 3; without a lead 2 layers do, unless no
    single feature tells much (0.4 nats) and the forest leads a little: then 3. Tables under 2,000
    rows stay at 2 whatever is measured, and so do classes so unbalanced that fewer than 500 rows lie
    outside of the most frequent one: a head can learn no more from these than from a small table.
    Measured on at most 2,000 drawn rows.

    Args:
        features_ND: all training rows' features, finite (their number sets the cap).
        y_N: class numbers, or numbers.

    Raises:
        ValueError: lengths differ or features are not finite.
    """
    features = np.asarray(features_ND, dtype=np.float64)
    scalar = kind == "scalar"
    y = np.asarray(y_N, dtype=np.float64 if scalar else np.int64)
    n_rows = len(y)
    if len(features) != n_rows or not np.isfinite(features).all():
        raise ValueError("features must be finite and have one row per target")
    others = None if scalar or not n_rows else n_rows - int(np.bincount(y).max())
    if n_rows > _MAX_ROWS:
        drawn = np.random.default_rng(seed).choice(n_rows, _MAX_ROWS, replace=False)
        features, y = features[drawn], y[drawn]
    if not scalar:
        # Classes too rare for two folds say nothing about depth.
        classes, counts = np.unique(y, return_counts=True)
        kept = np.isin(y, classes[counts >= 4])
        features, y = features[kept], y[kept]
    # Embeddings are float32: what their rounding alone tells apart is constant.
    size = np.abs(features).max(axis=0, initial=0.0)
    features = features[:, features.std(axis=0) > _CONSTANT * size] if len(y) else features
    if features.shape[1] == 0 or len(y) < 20 or len(np.unique(y)) < 2:
        return Advice(
            n_hidden_layers=2,
            reasons=("too little varies to measure anything: 2 layers",),
            mutual_information=0.0,
            linear=0.0,
            forest=0.0,
        )
    information = _strongest_information(features, y, scalar, seed)
    linear, forest = _two_fold_scores(features, y, scalar, seed)
    depth, reasons = _depth(information, forest - linear)
    if n_rows < _SMALL_TABLE and depth > 2:
        depth, reasons = 2, [*reasons, f"only {n_rows} rows: capped at 2 layers"]
    if others is not None and others < FEW_OF_OTHERS and depth > 2:
        few = f"unbalanced, only {others} rows outside of the most frequent class"
        depth, reasons = 2, [*reasons, f"{few}: capped at 2 layers"]
    return Advice(
        n_hidden_layers=depth,
        reasons=tuple(reasons),
        mutual_information=information,
        linear=linear,
        forest=forest,
    )


def _depth(information: float, gap: float) -> tuple[int, list[str]]:
    seen = [
        f"strongest feature tells {information:.2f} nats about the target",
        f"a random forest is {gap:+.3f} against a linear model",
    ]
    if gap > _GAP_WIDE:
        return 4, [*seen, "strongly non-linear: 4 layers"]
    if gap > _GAP_CLEAR:
        return 3, [*seen, "non-linear: 3 layers"]
    if information <= _SIMPLE_MI and gap > _GAP_SOME:
        return 3, [*seen, "no feature tells much alone and the forest leads a little: 3 layers"]
    return 2, [*seen, "a linear model does nearly as well: 2 layers"]


def _strongest_information(
    features: Floats, y: NDArray[np.generic], scalar: bool, seed: int
) -> float:
    from sklearn.feature_selection import (
        f_classif,
        f_regression,
        mutual_info_classif,
        mutual_info_regression,
    )

    # The estimator is slow per feature: only those that a cheap linear test puts first.
    ranked, _ = (f_regression if scalar else f_classif)(features, y)
    first = np.argsort(-np.nan_to_num(ranked), kind="stable")[:_MAX_MI_FEATURES]
    estimate = mutual_info_regression if scalar else mutual_info_classif
    return float(estimate(features[:, first], y, random_state=seed).max())


def _two_fold_scores(
    features: Floats, y: NDArray[np.generic], scalar: bool, seed: int
) -> tuple[float, float]:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = (KFold if scalar else StratifiedKFold)(2, shuffle=True, random_state=seed)
    forest = (RandomForestRegressor if scalar else RandomForestClassifier)(
        _TREES, min_samples_leaf=3, max_features="sqrt", random_state=seed
    )
    linear = make_pipeline(
        StandardScaler(),
        Ridge(alpha=10.0) if scalar else LogisticRegression(C=0.1, max_iter=_ITERATIONS),
    )
    scoring = "r2" if scalar else ("roc_auc" if len(np.unique(y)) == 2 else "roc_auc_ovr")
    with unsettled_is_fine():
        linear_score = cross_val_score(linear, features, y, cv=folds, scoring=scoring).mean()
    forest_score = cross_val_score(forest, features, y, cv=folds, scoring=scoring).mean()
    return float(linear_score), float(forest_score)
