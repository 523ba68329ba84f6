"""Proposals for engineered columns, each with the gain that was measured for it (EXT-3).

Pairs of the most informative numbers give candidates (ratio, difference, product). All of them are
screened by how well their bins explain, out of fold, what a linear model on single columns leaves
over; the best are then measured by refitting that model with the candidate.

Shape legend: N rows, C classes (1 for scalar targets), F features.
"""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import mutual_info_score
from sklearn.model_selection import KFold, StratifiedKFold

from featrix_core.features.compute import Cells, FeatureState, apply
from featrix_core.features.suggestions import AnySuggestion, parse_suggestions
from featrix_core.settling import unsettled_is_fine
from featrix_core.tables.schema import CATEGORICAL, ColumnType, TableSchema
from featrix_core.tables.targets import TargetSchema

Floats = NDArray[np.float64]
Folds = list[tuple[NDArray[np.int64], NDArray[np.int64]]]

MAX_ROWS = 5000
MAX_COLUMNS = 8
MAX_CATEGORIES = 12
MAX_FINALISTS = 6
N_BINS = 8
N_FOLDS = 3
MIN_ROWS = 60
SMOOTHING = 20.0  # rows of "no effect" that a bin must outvote in the screening


def suggest_features(
    frame: pd.DataFrame,
    schema: TableSchema,
    target: TargetSchema,
    labels: NDArray[Any],
    limit: int = 2,
    seed: int = 42,
) -> list[dict[str, Any]]:
    """Up to `limit` suggestions for `FeatureEngineer`, the best first; repeatable.

    Args:
        frame: training rows with raw cells.
        schema: the columns that may be used (the target is not among them).
        target: kind of the target.
        labels: N class indices or numbers; NaN or negative classes are rows without a label.
        limit: how many suggestions at most.
        seed: for the subsample (at most 5,000 rows) and the folds.

    Returns:
        Plain records. `gain` is the cross-validated improvement in log loss (classes) or in R²
        (numbers) over a linear model on single columns. Only positive gains are returned, so the
        list may be empty; they are estimates chosen as the best of many, hence optimistic.
    """
    y = np.asarray(labels, dtype=np.float64)
    known = np.isfinite(y) & ((y >= 0) | (target.kind == "scalar"))
    rows = np.flatnonzero(known)
    # A fit's time grows with rows times classes.
    most = max(MAX_ROWS // 5, min(MAX_ROWS, 2 * MAX_ROWS // max(1, len(target.classes))))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    if target.kind != "scalar":
        # A class that is not in all folds can neither be learned nor measured.
        _, codes, counts = np.unique(y[rows], return_inverse=True, return_counts=True)
        rows = rows[counts[codes] >= N_FOLDS]
    y = y[rows]
    if len(rows) < MIN_ROWS or len(np.unique(y)) < 2:
        return []
    cells = Cells(frame.iloc[rows])
    scalars = _informative(schema, cells, target, y)
    if len(scalars) < 2:
        return []
    model = _Model(target, y, seed)
    single = _single_columns(schema, cells)
    residual = model.residual(single)
    candidates = _candidates(scalars, cells, {str(name) for name in frame.columns})
    screened = sorted(
        candidates,
        key=lambda item: (-_explained(item[1], residual, model.folds), item[0].name),
    )
    finalists = _one_per_pair(screened)[:MAX_FINALISTS]
    return _forward(finalists, single, model, limit)


class _Model:
    """The small linear model that candidates have to improve, on fixed folds."""

    def __init__(self, target: TargetSchema, y: Floats, seed: int) -> None:
        self.scalar = target.kind == "scalar"
        if self.scalar:
            self.y = (y - y.mean()) / (y.std() or 1.0)
            split = KFold(N_FOLDS, shuffle=True, random_state=seed).split(y)
            self.truth_NC = self.y[:, None]
        else:
            classes, self.y = np.unique(y, return_inverse=True)
            self.truth_NC = np.eye(len(classes))[self.y]
            shuffled = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
            split = shuffled.split(y, self.y)
        self.folds: Folds = list(split)

    def predict(self, features_NF: Floats) -> Floats:
        """Out-of-fold predictions (N, C): probabilities, or the standardised number."""
        predicted = np.zeros(self.truth_NC.shape)
        for train, test in self.folds:
            if self.scalar:
                ridge = Ridge(alpha=10.0).fit(features_NF[train], self.y[train])
                predicted[test, 0] = ridge.predict(features_NF[test])
            else:
                linear = LogisticRegression(C=0.3, max_iter=200, tol=1e-3)
                with unsettled_is_fine():
                    linear.fit(features_NF[train], self.y[train])
                predicted[test] = linear.predict_proba(features_NF[test])
        return predicted

    def residual(self, features_NF: Floats) -> Floats:
        """What the out-of-fold predictions leave over (N, C)."""
        left: Floats = self.truth_NC - self.predict(features_NF)
        return left

    def loss(self, features_NF: Floats) -> Floats:
        """Out-of-fold loss per row: log loss, or squared error over the variance."""
        predicted = self.predict(features_NF)
        if self.scalar:
            squared: Floats = (self.truth_NC - predicted)[:, 0] ** 2
            return squared
        right = np.clip((predicted * self.truth_NC).sum(axis=1), 1e-6, 1.0)
        log_loss: Floats = -np.log(right)
        return log_loss


def _bins(values_N: Floats, n_bins: int = N_BINS) -> NDArray[np.int64]:
    """Quantile bin of each row; missing rows have the bin after the last."""
    known = ~np.isnan(values_N)
    if not known.any():
        return np.zeros(len(values_N), np.int64)
    edges = np.unique(np.quantile(values_N[known], np.linspace(0, 1, n_bins + 1)[1:-1]))
    codes = np.searchsorted(edges, values_N, side="left")
    return np.where(known, codes, len(edges) + 1).astype(np.int64)


def _encoded(values_N: Floats) -> Floats:
    """One number as features: its bins and its clipped z-score."""
    codes = _bins(values_N)
    middle, spread = np.nanmedian(values_N), np.nanstd(values_N)
    z = np.clip(np.nan_to_num((values_N - middle) / (spread or 1.0)), -3, 3)
    return np.column_stack([np.eye(codes.max() + 1)[codes], z])


def _informative(schema: TableSchema, cells: Cells, target: TargetSchema, y: Floats) -> list[str]:
    """The numeric columns that tell most about the target, by mutual information of bins."""
    classes = _bins(y) if target.kind == "scalar" else y.astype(np.int64)
    scored = []
    for column in schema.of_type(ColumnType.SCALAR):
        if column.name not in cells or column.name == target.name:
            continue
        values = cells.numbers(column.name)
        if len(np.unique(values[~np.isnan(values)])) >= 3:
            scored.append((-float(mutual_info_score(classes, _bins(values))), column.name))
    return [name for _, name in sorted(scored)[:MAX_COLUMNS]]


def _single_columns(schema: TableSchema, cells: Cells) -> Floats:
    """All numbers and all short lists of categories, one column at a time (N, F)."""
    blocks = []
    for column in schema.columns:
        if column.name not in cells:
            continue
        if column.type is ColumnType.SCALAR:
            values = cells.numbers(column.name)
            if not np.isnan(values).all():
                blocks.append(_encoded(values))
        elif column.type in CATEGORICAL:
            texts = cells.texts(column.name)
            frequent = np.argsort(-texts.counts_V, kind="stable")[:MAX_CATEGORIES]
            blocks.append((texts.codes_N[:, None] == frequent[None, :]).astype(np.float64))
    return np.concatenate(blocks, axis=1)


def _candidates(
    scalars: list[str], cells: Cells, taken: set[str]
) -> list[tuple[AnySuggestion, Floats]]:
    """Ratio, difference and product of all pairs, with their values."""
    raw: list[dict[str, Any]] = []
    for a, b in combinations(sorted(scalars), 2):
        # a/b and b/a order the rows alike: the denominator is the column with fewer zeros.
        zeros = [int((cells.numbers(name) == 0).sum()) for name in (a, b)]
        top, bottom = (b, a) if zeros[0] < zeros[1] else (a, b)
        raw.append({"kind": "ratio", "numerator": top, "denominator": bottom})
        raw.append({"kind": "difference", "left": a, "right": b})
        raw.append({"kind": "product", "left": a, "right": b})
    words = {"ratio": "per", "difference": "minus", "product": "times"}
    found = []
    for record in raw:
        first = record.get("numerator") or record["left"]
        second = record.get("denominator") or record["right"]
        name = _free_name(f"{_word(first)}_{words[record['kind']]}_{_word(second)}", taken)
        taken.add(name)
        (suggestion,) = parse_suggestions([{**record, "name": name}])
        values = apply(suggestion, cells, FeatureState()).to_numpy(np.float64)
        if len(np.unique(values[~np.isnan(values)])) >= 3:
            found.append((suggestion, values))
    return found


def _word(column: str) -> str:
    word = re.sub(r"\W+", "_", column).strip("_")[:40]
    return word if word and word[0].isalpha() else f"x{word}"


def _free_name(name: str, taken: set[str]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _explained(values_N: Floats, residual_NC: Floats, folds: Folds) -> float:
    """Out-of-fold drop of the squared residual when each bin is moved by its mean residual."""
    codes = _bins(values_N, 2 * N_BINS)
    n_bins = int(codes.max()) + 1
    drop = 0.0
    for train, test in folds:
        weight = np.bincount(codes[train], minlength=n_bins) + SMOOTHING
        for c in range(residual_NC.shape[1]):
            left = residual_NC[:, c]
            mean = np.bincount(codes[train], left[train], n_bins) / weight
            drop += float((left[test] ** 2 - (left[test] - mean[codes[test]]) ** 2).sum())
    return drop


def _one_per_pair(
    screened: list[tuple[AnySuggestion, Floats]],
) -> list[tuple[AnySuggestion, Floats]]:
    seen: set[frozenset[str]] = set()
    kept = []
    for suggestion, values in screened:
        pair = frozenset(suggestion.inputs)
        if pair not in seen:
            seen.add(pair)
            kept.append((suggestion, values))
    return kept


def _forward(
    finalists: list[tuple[AnySuggestion, Floats]], features: Floats, model: _Model, limit: int
) -> list[dict[str, Any]]:
    """Greedy choice: each further column must help beside those chosen before it."""
    chosen: list[dict[str, Any]] = []
    loss = model.loss(features)
    measure = "R²" if model.scalar else "log loss"
    while finalists and len(chosen) < limit:
        trials = []
        for _, values in finalists:
            wider = np.concatenate([features, _encoded(values)], axis=1)
            trials.append((model.loss(wider), wider))
        gains = [float((loss - trial).mean()) for trial, _ in trials]
        best = int(np.argmax(gains))
        if gains[best] <= 0:
            break
        suggestion, _ = finalists.pop(best)
        spread = float((loss - trials[best][0]).std() / np.sqrt(len(loss)))
        reason = (
            f"{N_FOLDS}-fold {measure} of a linear model improves by {gains[best]:.4f} "
            f"± {1.96 * spread:.4f} (95 %)"
        )
        record = suggestion.model_dump(mode="json", exclude={"gain", "reason"})
        chosen.append({**record, "reason": reason, "gain": round(gains[best], 6)})
        loss, features = trials[best]
    return chosen
