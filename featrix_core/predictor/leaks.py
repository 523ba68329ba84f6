"""Columns that give the target away: one alone predicts it nearly perfectly on held-out rows (PRED-1).

A decision tree on one column at a time answers each half of the rows after learning the other half. It finds
copies, recoded and rescaled copies, codes that a class can be read from, cells that are filled or empty by the
outcome, and row numbers of a table that was sorted by it. A column that gives most but not nearly all away is
indistinguishable from an honest strong one and is not named.

**When a column of classes is named.** B is the number of rows that guessing the most frequent class gets
wrong, E the number that the column gets wrong. Named is a column with E at most 1 % of B, and E's upper 95 %
bound at most 3 % of B, which takes 100 rows that are not of the most frequent class even where E is 0. Strong
honest columns stay below, such as the petals of the irises; and the 50 setosas, which the petal length tells
without a mistake, are too few to say more than "strong". On smaller
tables a column with so few values that each can stand for a class is named where E is 0 and B at least 10.

**Numbers.** The share of the variance of the target's ranks that the column explains is at least 99.9 %, by
the tree or by order alone (Spearman), over 30 rows or more.

Legend: N rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from featrix_core.tables.fit import typed_column
from featrix_core.tables.schema import Notice, TableSchema
from featrix_core.tables.table import Table, TypedColumn

Floats = NDArray[np.float64]

_ROWS = 4000
_SCREEN_ROWS, _SCREEN_PER_CLASS, _SCREEN_WRONG = 500, 10, 0.2
_WRONG, _WRONG_BOUND, _CONFIDENCE = 0.01, 0.03, 0.95
_VALUES_PER_CLASS, _FEWEST_OTHERS = 2, 10
_EXPLAINED, _FEWEST_NUMBERS = 0.999, 30
_MANY_CLASSES, _MOST_TREES = (
    100,
    30_000,
)  # classes × columns: of many classes, a tree takes a second


def leak_notices(
    table: Table,
    schema: TableSchema,
    target: str,
    labels_N: Floats,
    classification: bool,
    seed: int,
) -> tuple[Notice, ...]:
    """A notice, and a Python warning, for each of the schema's columns that gives the target away (PRED-1).

    Args:
        table: rows with a label, the columns of `schema` among theirs.
        labels_N: class numbers or numbers, finite.
        seed: of the drawn rows and the halves.

    Where hundreds of classes meet hundreds of columns, none is looked at, for it would take minutes; a notice
    says so.
    """
    rows = _drawn(labels_N, classification, seed)
    n_classes = len(np.unique(labels_N)) if classification else 0
    n_columns = len(schema.columns)
    if n_classes > _MANY_CLASSES and n_classes * n_columns > _MOST_TREES:
        text = (
            f"Whether one of the {n_columns} columns gives target {target!r} away was not looked at: "
            f"with its {n_classes} classes that would take minutes"
        )
        warnings.warn(text, stacklevel=3)
        action = "look yourself for columns that are known only after the target is"
        return (Notice(code="leaks_not_looked_for", message=text, action=action),)
    if len(rows) < 2:
        return ()
    sample = table.take(rows).arrow
    # Whether a column was retyped is not judged here: classes are drawn in other shares than the table has.
    typed = {c.name: typed_column(c.name, sample[c.name], c.type, c) for c in schema.columns}
    shares = leaking_columns(typed, labels_N[rows], classification, seed)
    notices = []
    for name, share in shares.items():
        told = "the rows" if classification else "the order"
        text = (
            f"Column {name!r} alone tells {100 * share:.4g} % of {told} of target {target!r} on "
            "rows that it was not fitted on"
        )
        warnings.warn(f"{text}: does it give the target away?", stacklevel=3)
        notices.append(
            Notice(
                code="target_leak",
                message=text,
                column=name,
                figure=share,
                action="kept; leave it out where it is known only after the target is",
            )
        )
    return tuple(notices)


def leaking_columns(
    typed: Mapping[str, TypedColumn], labels_N: Floats, classification: bool, seed: int = 42
) -> dict[str, float]:
    """Columns that predict the labels nearly perfectly, with the share that each predicts.

    The share is of rows whose class is told, or of the variance of the target's ranks. See the module for
    the rule.
    """
    found: dict[str, float] = {}
    labels_N = _places(labels_N) if classification else _ranks(labels_N)
    order = np.random.default_rng(seed).permutation(len(labels_N))
    n_classes = len(np.unique(labels_N)) if classification else 0
    screen = order[: max(_SCREEN_ROWS, _SCREEN_PER_CLASS * n_classes)]
    judge = _class_share if classification else _number_share
    for name, column in typed.items():
        shares = []
        for values in _readings(column):
            # Most columns are cleared by few rows.
            if len(screen) < len(order):
                answer = _half_by_half(values[screen], labels_N[screen], classification, seed)
                if _wrong_share(answer, labels_N[screen], classification) > _SCREEN_WRONG:
                    continue
            share = judge(values, labels_N, column.numbers_N is not None, seed)
            shares += [] if share is None else [share]
        if shares:
            found[name] = max(shares)
    return found


def _drawn(labels_N: Floats, classification: bool, seed: int) -> NDArray[np.int64]:
    """At most so many rows, in their order; of classes as many each, for a rare one decides as much."""
    order = np.random.default_rng(seed).permutation(len(labels_N))
    if not classification:
        return np.sort(order[:_ROWS])
    classes, codes, counts = np.unique(
        labels_N[order].astype(np.int64), return_inverse=True, return_counts=True
    )
    by_class = np.argsort(codes, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    place = np.empty(len(order), np.int64)
    place[by_class] = np.arange(len(order)) - starts[codes[by_class]]
    # A class with one row cannot be learned on one half and asked for on the other.
    kept = (place < max(_ROWS // len(classes), 2)) & (counts[codes] > 1)
    rows: NDArray[np.int64] = np.sort(order[kept])
    return rows


def _readings(column: TypedColumn) -> list[Floats]:
    """A number per row, NaN where missing (trees can split by that); and whether there is a value at all."""
    readings = []
    if column.numbers_N is not None:
        readings.append(np.where(column.missing_N, np.nan, column.numbers_N))
    elif column.codes_N is not None:
        readings.append(np.where(column.missing_N, -1.0, column.codes_N.astype(np.float64)))
    readings.append(column.missing_N.astype(np.float64))
    return [values for values in readings if len(np.unique(values)) > 1]


def _places(values_N: Floats) -> Floats:
    """Positions among the distinct values: 0, 1, …"""
    return np.unique(values_N, return_inverse=True)[1].astype(np.float64)


def _ranks(values_N: Floats) -> Floats:
    from scipy.stats import rankdata

    ranks: Floats = rankdata(values_N) / len(values_N)
    return ranks


def _half_by_half(values_N: Floats, labels_N: Floats, classification: bool, seed: int) -> Floats:
    """What one column says of each row after learning the other half."""
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    model = (DecisionTreeClassifier if classification else DecisionTreeRegressor)(random_state=seed)
    halves = (StratifiedKFold if classification else KFold)(2, shuffle=True, random_state=seed)
    # A tree of scikit-learn reads float32: ranks keep apart what only float64 tells apart.
    places = _places(values_N)
    places[np.isnan(values_N)] = np.nan
    with warnings.catch_warnings():
        # Classes of two rows and as many classes as rows are what is asked about here.
        warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
        answer: Floats = cross_val_predict(model, places[:, None], labels_N, cv=halves)
    return answer


def _wrong_share(answer_N: Floats, labels_N: Floats, classification: bool) -> float:
    """Mistakes beside those of the best constant answer."""
    if classification:
        others = len(labels_N) - int(np.bincount(labels_N.astype(np.int64)).max())
        return float((answer_N != labels_N).sum()) / max(others, 1)
    return float(np.mean((labels_N - answer_N) ** 2) / max(float(labels_N.var()), 1e-300))


def _class_share(values_N: Floats, labels_N: Floats, numeric: bool, seed: int) -> float | None:
    from scipy.stats import chi2

    counts = np.bincount(labels_N.astype(np.int64))
    others = len(labels_N) - int(counts.max())
    if others < _FEWEST_OTHERS:
        return None
    wrong = int((_half_by_half(values_N, labels_N, True, seed) != labels_N).sum())
    # The Poisson bound of a count: 3.0 for 0.
    bound = float(chi2.ppf(_CONFIDENCE, 2 * wrong + 2)) / 2.0
    sure = wrong <= _WRONG * others and bound <= _WRONG_BOUND * others
    few_values = len(np.unique(values_N)) <= _VALUES_PER_CLASS * int((counts > 0).sum())
    if not sure and not (few_values and wrong == 0):
        return None
    return 1.0 - wrong / len(labels_N)


def _number_share(values_N: Floats, ranks_N: Floats, numeric: bool, seed: int) -> float | None:
    if len(ranks_N) < _FEWEST_NUMBERS:
        return None
    share = 1.0 - _wrong_share(_half_by_half(values_N, ranks_N, False, seed), ranks_N, False)
    if numeric and not np.isnan(values_N).any():
        share = max(share, float(np.corrcoef(_ranks(values_N), ranks_N)[0, 1]) ** 2)
    return share if share >= _EXPLAINED else None
