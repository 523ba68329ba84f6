"""Drift of columns between training and validation rows: KL divergence in four bands (DATA-7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featrix_core.tables.schema import CATEGORICAL, ColumnType
from featrix_core.tables.table import TypedColumn

WARNING_KL = 1.0
"""Above this a notice is due."""
_BINS = 10
_MOST_CATEGORIES = 50
_COVERED = 0.5
_RECURRING = 0.02
_FREE_TEXT = (ColumnType.TEXT, ColumnType.DOCUMENT)


@dataclass(frozen=True)
class DriftBand:
    """A range of KL divergences from `least` on (nats): its name, what it means, what to do."""

    name: str
    least: float
    interpretation: str
    action: str


DRIFT_BANDS = (
    DriftBand("identical", 0.0, "Nearly identical", "None needed"),
    DriftBand("moderate", 0.1, "Moderate drift", "Review how the rows were split"),
    DriftBand(
        "high",
        WARNING_KL,
        "High distribution shift",
        "Warning: look at how the rows are ordered or grouped, and split by that column",
    ),
    DriftBand("severe", 2.0, "Severe mismatch", "Investigate data leakage"),
)


@dataclass(frozen=True)
class ColumnDrift:
    """KL divergence (nats) of a column's validation rows from its training rows, and its band."""

    column: str
    kl: float
    band: str


def drift_band(kl: float) -> DriftBand:
    """The band of a KL divergence: below 0.1, from 0.1 to 1, above 1, above 2 (source section 13)."""
    if kl > DRIFT_BANDS[3].least:
        return DRIFT_BANDS[3]
    if kl > DRIFT_BANDS[2].least:
        return DRIFT_BANDS[2]
    return DRIFT_BANDS[1] if kl >= DRIFT_BANDS[1].least else DRIFT_BANDS[0]


def drift_report(
    train: Mapping[str, TypedColumn], validation: Mapping[str, TypedColumn]
) -> list[ColumnDrift]:
    """KL(validation ‖ training) per column, largest first.

    Numbers and timestamps are compared in ten quantile bins of the training rows, vectors by their
    length likewise; categories by name (the 50 most frequent in training, the rest together); free
    text by its number of characters. Lists, codes and composite columns are compared by name where
    those 50 make up half of the cells, by characters otherwise. Missing cells are a bin of their
    own. Half a row is added to every bin.
    """
    report = []
    for name, column in train.items():
        before, after = _histograms(column, validation[name])
        kl = _kl(after, before)
        report.append(ColumnDrift(name, kl, drift_band(kl).name))
    return sorted(report, key=lambda drift: (-drift.kl, drift.column))


def _histograms(
    train: TypedColumn, validation: TypedColumn
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts per shared bin, the last bin holding the missing cells."""
    if train.numbers_N is not None and validation.numbers_N is not None:
        return _binned(train.numbers_N, validation.numbers_N)
    if train.vectors_NH is not None and validation.vectors_NH is not None:
        return _binned(_norms(train), _norms(validation))
    if train.type in _FREE_TEXT:
        return _binned(_lengths(train), _lengths(validation))
    present = _present(train)
    counts = np.bincount(present, minlength=len(train.texts))
    top = np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]
    if train.type not in CATEGORICAL and counts[top].sum() < _COVERED * len(present):
        return _binned(_lengths(train), _lengths(validation))
    place = {train.texts[index]: position for position, index in enumerate(top.tolist())}
    return _named(train, place), _named(validation, place)


def _binned(
    train: NDArray[np.float64], validation: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    present = train[~np.isnan(train)]
    inner = np.linspace(0, 1, _BINS + 1)[1:-1]
    edges = np.unique(np.quantile(present, inner)) if present.size else np.zeros(0)
    # A value that recurs is a bin of its own, or a constant could not be told from what lies above.
    recurring = [edge for edge in edges if (present == edge).mean() >= _RECURRING]
    edges = np.unique(np.append(edges, np.nextafter(recurring, np.inf)))

    def count(values: NDArray[np.float64]) -> NDArray[np.int64]:
        bins = np.searchsorted(edges, values, side="right")
        bins[np.isnan(values)] = len(edges) + 1
        return np.bincount(bins, minlength=len(edges) + 2)

    return count(train), count(validation)


def _norms(column: TypedColumn) -> NDArray[np.float64]:
    assert column.vectors_NH is not None
    norms = np.linalg.norm(column.vectors_NH.astype(np.float64), axis=1)
    result: NDArray[np.float64] = np.where(column.missing_N, np.nan, norms)
    return result


def _present(column: TypedColumn) -> NDArray[np.int32]:
    assert column.codes_N is not None
    return column.codes_N[column.codes_N >= 0]


def _lengths(column: TypedColumn) -> NDArray[np.float64]:
    assert column.codes_N is not None
    lengths = [float(len(text)) for text in column.texts]
    result: NDArray[np.float64] = np.array([*lengths, np.nan])[column.codes_N]
    return result


def _named(column: TypedColumn, place: Mapping[str, int]) -> NDArray[np.int64]:
    """Counts per category of `place`, then of all others, then of missing cells."""
    assert column.codes_N is not None
    where = np.array([*(place.get(text, len(place)) for text in column.texts), len(place) + 1])
    return np.bincount(where[column.codes_N], minlength=len(place) + 2)


def _kl(p_counts: NDArray[np.int64], q_counts: NDArray[np.int64]) -> float:
    used = (p_counts + q_counts) > 0
    p = p_counts[used] + 0.5
    q = q_counts[used] + 0.5
    p, q = p / p.sum(), q / q.sum()
    return float((p * np.log(p / q)).sum())
