"""Guardrails: rows unlike the training data, values that it never had or that cannot be read (PRED-6).

**The distance and why.** The Mahalanobis distance between unit-length row embeddings, with
Ledoit-Wolf shrinkage. Tried on nine planted cases (digits, German credit, adult, telco churn;
linear or random layers stood in for a trained space), by the share of strangers above the 97.7 %
quantile of ordinary rows. The plain distance from the centroid finds 0 to 10 %. k-nearest
neighbours find more than Mahalanobis in seven (digits with mixed pixels, 16 dimensions: 97 %
against 70 %), as many in one, far fewer in one (German credit with numbers far outside: 53 %
against 98 %); but they need training rows' embeddings in every bundle, Mahalanobis one D x D
matrix. Rows whose columns were shuffled against each other mostly pass both (7 to 28 % found).

**Sigma.** In-sample distances are too small when D is not small beside N, so the reference
distances are cross-fitted; `sigma_scale.py` reads them as sigma. `row_guard.py` joins this distance with
two more statistics that see what it does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.covariance import LedoitWolf
from sklearn.model_selection import KFold

from featrix_core.predictor.sigma_scale import LEVELS, SigmaScale
from featrix_core.tables.fit import asked_form
from featrix_core.tables.schema import CATEGORICAL, ColumnSchema, ColumnType, Notice, TableSchema
from featrix_core.tables.table import TypedColumn

Floats = NDArray[np.float64]

UNUSUAL_SIGMA = 2.0
UNLIKE_SIGMA = 3.0
FOLDS = 5
_MAX_ROWS = 20_000
_MARGIN = 0.05  # of the training range
_RARE = 0.4  # a class with less than this part of an even share makes a table imbalanced


def _on_sphere(embeddings_ND: ArrayLike) -> Floats:
    rows = np.asarray(embeddings_ND, dtype=np.float64)
    if rows.ndim != 2:
        raise ValueError(f"embeddings must have the shape (rows, dimensions), not {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError("embeddings hold values that are not finite")
    unit: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit


def _whitening(unit_ND: Floats) -> tuple[Floats, Floats]:
    """Mean `(D,)` and factor `(D, D)`: the distance is the norm of `(row - mean) @ factor`."""
    mean = unit_ND.mean(axis=0)
    covariance = LedoitWolf(store_precision=False).fit(unit_ND).covariance_
    values, vectors = np.linalg.eigh(covariance)
    # Directions without any variance would divide by zero (a collapsed space has only such).
    floor = max(float(values.max()) * 1e-8, 1e-12)
    return mean, vectors / np.sqrt(np.maximum(values, floor))


@dataclass(frozen=True)
class GuardrailReference:
    """What training rows look like; `knots_6` are the distances at -2, -1 … 3 sigma."""

    mean_D: Floats
    factor_DD: Floats
    knots_6: Floats
    n_rows: int

    @classmethod
    def fit(cls, embeddings_ND: ArrayLike, seed: int = 42) -> GuardrailReference:
        """Learn the reference from the training rows' embeddings (at most 20,000 drawn rows).

        Raises:
            ValueError: fewer than 10 rows, a wrong shape, or values that are not finite.
        """
        return cls.fit_with_distances(embeddings_ND, seed)[0]

    @classmethod
    def fit_with_distances(
        cls, embeddings_ND: ArrayLike, seed: int = 42
    ) -> tuple[GuardrailReference, Floats]:
        """The reference, and the distances `(N,)` of its own rows, each from a reference without it."""
        unit = _on_sphere(embeddings_ND)
        if len(unit) < 10:
            raise ValueError(
                f"{len(unit)} rows are too few for a reference; at least 10 are needed"
            )
        if len(unit) > _MAX_ROWS:
            chosen = np.random.default_rng(seed).choice(len(unit), _MAX_ROWS, replace=False)
            unit = unit[np.sort(chosen)]
        distances = np.empty(len(unit))
        for rows, held in KFold(FOLDS, shuffle=True, random_state=seed).split(unit):
            mean, factor = _whitening(unit[rows])
            distances[held] = np.linalg.norm((unit[held] - mean) @ factor, axis=1)
        mean, factor = _whitening(unit)
        return cls(mean, factor, SigmaScale.fit(distances).knots_6, len(unit)), distances

    def distances(self, embeddings_ND: ArrayLike) -> Floats:
        """Mahalanobis distance `(N,)` from the training rows."""
        unit = _on_sphere(embeddings_ND)
        if unit.shape[1] != len(self.mean_D):
            raise ValueError(f"{unit.shape[1]} dimensions, the reference has {len(self.mean_D)}")
        distance: Floats = np.linalg.norm((unit - self.mean_D) @ self.factor_DD, axis=1)
        return distance

    def apply(self, embeddings_ND: ArrayLike) -> Floats:
        """Distance from the training rows in sigma, `(N,)`; at least -2, at most 99."""
        return SigmaScale(self.knots_6).apply(self.distances(embeddings_ND))

    def to_dict(self) -> dict[str, Any]:
        """`n_rows` and float64 arrays, to be saved as safetensors."""
        return {
            "n_rows": self.n_rows,
            "mean": self.mean_D,
            "factor": self.factor_DD,
            "knots": self.knots_6,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> GuardrailReference:
        """The inverse of `to_dict`."""
        mean, factor, knots = (
            np.asarray(value[name], dtype=np.float64) for name in ("mean", "factor", "knots")
        )
        if factor.shape != (len(mean), len(mean)) or knots.shape != LEVELS.shape:
            raise ValueError(
                f"shapes {mean.shape}, {factor.shape}, {knots.shape} do not fit together"
            )
        return cls(mean, factor, knots, int(value["n_rows"]))


def sigma_flags(
    sigma_N: ArrayLike, to_blame: Sequence[Sequence[str]] | None = None
) -> list[list[Notice]]:
    """A warning per row above 2 sigma (`unusual_row`) or 3 sigma (`unlike_training`).

    to_blame: per row the columns that fit the others least, the worst first (`RowGuard.to_blame`); they are named.
    """
    sigma = np.asarray(sigma_N, dtype=np.float64)
    flags: list[list[Notice]] = [[] for _ in range(len(sigma))]
    for row in np.flatnonzero(sigma > UNUSUAL_SIGMA).tolist():
        figure = float(sigma[row])
        far = figure > UNLIKE_SIGMA
        names = [] if to_blame is None else to_blame[row]
        flags[row].append(
            Notice(
                code="unlike_training" if far else "unusual_row",
                message=(
                    f"This row lies {figure:.1f}σ from the training data, which holds "
                    f"{'hardly any row' if far else 'few rows'} like it; the prediction is "
                    f"{'very uncertain' if far else 'less certain than usual'}.{_blamed(names)}"
                ),
                figure=figure,
            )
        )
    return flags


def _blamed(names: Sequence[str]) -> str:
    if not names:
        return ""
    quoted = [f"'{name}'" for name in names]
    told = " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
    return f" What is unusual most of all: {told}."


def value_flags(typed: Mapping[str, TypedColumn], schema: TableSchema) -> list[list[Notice]]:
    """Warnings per row for values that training never saw or that cannot be read, in the schema's column order.

    `out_of_range`: a number or time more than 5 % of the training range outside it, or a sign that
    training never saw. `unseen_category`: a set or boolean value that is not in the schema.
    `unreadable_value`: text or an infinity among numbers, and whatever else does not have its column's form.
    `empty_row`: no column has a value that can be read. Other missing cells and free text raise no flag (PRED-6).
    """
    n = max((len(column.missing_N) for column in typed.values()), default=0)
    flags: list[list[Notice]] = [[] for _ in range(n)]
    for known in schema.columns:
        column = typed.get(known.name)
        if column is None:
            continue
        if known.type in (ColumnType.SCALAR, ColumnType.TIMESTAMP):
            _flag_range(column, known, flags)
        elif known.type in CATEGORICAL:
            _flag_categories(column, known, flags)
        _flag_unread(column, known, flags)
    missing = [typed[name].missing_N for name in schema.names if name in typed]
    for row in np.flatnonzero(np.logical_and.reduce(missing)).tolist() if missing else ():
        told = "No column of this row has a value that can be read; the prediction is a mere guess."
        flags[row].append(Notice(code="empty_row", message=told))
    return flags


def _flag_range(column: TypedColumn, known: ColumnSchema, flags: list[list[Notice]]) -> None:
    low, high = known.statistics.get("min"), known.statistics.get("max")
    if low is None or high is None or column.numbers_N is None:
        return
    margin = _MARGIN * (high - low)
    least, most = low - margin, high + margin
    if known.type is ColumnType.SCALAR:
        # The margin does not excuse a new sign: a first negative amount is news however small.
        least = max(least, 0.0) if low >= 0.0 else least
        most = min(most, 0.0) if high <= 0.0 else most
    numbers = column.numbers_N
    shown = _day if known.type is ColumnType.TIMESTAMP else _number
    outside = ~column.missing_N & ((numbers < least) | (numbers > most))
    for row in np.flatnonzero(outside).tolist():
        value = float(numbers[row])
        flags[row].append(
            Notice(
                code="out_of_range",
                message=(
                    f"'{known.name}' is {shown(value)}, outside the {shown(low)} to {shown(high)} "
                    "seen in training."
                ),
                column=known.name,
                figure=value if np.isfinite(value) else None,
            )
        )


def _flag_categories(column: TypedColumn, known: ColumnSchema, flags: list[list[Notice]]) -> None:
    if column.codes_N is None or not column.texts:
        return
    seen = set(known.categories)
    unseen = np.array([text not in seen for text in column.texts])
    codes = column.codes_N
    for row in np.flatnonzero((codes >= 0) & unseen[codes] & ~column.missing_N).tolist():
        shown = _short(column.texts[codes[row]])
        flags[row].append(
            Notice(
                code="unseen_category",
                message=f"'{known.name}' is '{shown}', a value that training never saw.",
                column=known.name,
            )
        )


def _flag_unread(column: TypedColumn, known: ColumnSchema, flags: list[list[Notice]]) -> None:
    if column.unread_N is None:
        return
    form = asked_form(known.type, known)
    for row in np.flatnonzero(column.unread_N >= 0).tolist():
        shown = _short(column.unread_texts[column.unread_N[row]])
        flags[row].append(
            Notice(
                code="unreadable_value",
                message=f"'{known.name}' is '{shown}', which is not {form}; it counts as missing.",
                column=known.name,
            )
        )


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


def _number(value: float) -> str:
    return f"{value:.6g}"


def _day(value: float) -> str:
    try:
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d")
    except (OverflowError, ValueError, OSError):  # beyond the calendar of the standard library
        return f"{value:.6g} s since 1970"


def merge_flags(*lists: Sequence[Sequence[Notice]]) -> list[list[Notice]]:
    """One list per row out of several, in the order given."""
    return [[notice for part in row for notice in part] for row in zip(*lists, strict=True)]


def imbalance_note(
    class_shares: Mapping[str, float], threshold: float | None = None, criterion: str | None = None
) -> str | None:
    """Sentences where a class has under 40 % of an even share of the rows, else None.

    threshold, criterion: of the `Threshold` of two classes; the note then tells how it was set.
    """
    if len(class_shares) < 2:
        return None
    name, share = min(class_shares.items(), key=lambda item: (item[1], item[0]))
    if share >= _RARE / len(class_shares):
        return None
    note = f"Only {share:.1%} of the training rows are '{name}'."
    if criterion == "default":
        note += (
            f" The decision threshold is {threshold:.2f}: the held-out rows hold one class only."
        )
    elif threshold is not None:
        aim = {"f1": "for F1 ", "cost": "for the given costs "}.get(criterion or "", "")
        note += f" The decision threshold {threshold:.2f} was set {aim}on held-out rows."
    return note
