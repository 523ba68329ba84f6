"""Splits into training and validation rows, and drift between them (DATA-7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featrix_core.tables.schema import Notice
from featrix_core.tables.table import TypedColumn

DRIFT_BANDS = ((0.1, "identical"), (1.0, "moderate"), (2.0, "high"))
_BINS = 10
_MOST_CATEGORIES = 50


@dataclass(frozen=True)
class Split:
    """Row numbers (sorted) of both sides; `coverage` is the share of rows of splittable classes."""

    train_rows: NDArray[np.int64]
    validation_rows: NDArray[np.int64]
    coverage: float = 1.0
    rare_classes: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class ColumnDrift:
    """KL divergence (nats) of a column's validation rows from its training rows, and its band.

    Bands: identical (< 0.1), moderate (0.1 – 1), high (1 – 2), severe (above 2).
    """

    column: str
    kl: float
    band: str


def stratified_split(
    labels: NDArray[Any], fraction: float = 0.2, seed: int = 42, min_samples: int = 5
) -> Split:
    """Split every class by itself; classes with fewer than `min_samples` rows go to training.

    Where no class reaches `min_samples`, those with at least two rows are split all the same, one
    row at least, so that something can be validated; a notice says so.

    Args:
        labels: class per row, N strings or integers, none missing.
        fraction: share of validation rows, between 0 and 1 (both excluded).
        seed: the same seed gives the same rows.
        min_samples: rows that a class needs to be validated.
    """
    _check_fraction(fraction)
    values, codes, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    rng = np.random.default_rng(seed)
    least = max(2, min_samples)
    tiny = len(values) > 0 and int(counts.max()) < least
    least = 2 if tiny else least
    validation: list[NDArray[np.int64]] = []
    rare: list[str] = []
    excluded = 0
    for code, count in enumerate(counts.tolist()):
        rows = rng.permutation(np.flatnonzero(codes == code))
        if count < least:
            rare.append(str(values[code]))
            excluded += count
            continue
        taken = min(max(1, round(count * fraction)), count - 1)
        validation.append(rows[:taken])
    n_rows = len(codes)
    held = np.sort(np.concatenate(validation)) if validation else np.zeros(0, np.int64)
    coverage = 1.0 - excluded / n_rows if n_rows else 0.0
    notices = []
    if rare:
        notices.append(
            Notice(
                code="rare_classes",
                message=f"{coverage:.1%} of the rows can be validated; {excluded} rows of "
                f"{len(rare)} rare classes cannot: {', '.join(rare[:10])}",
                figure=coverage,
                action="all rows of these classes are used for training",
            )
        )
    if tiny and validation:
        notices.append(
            Notice(
                code="few_rows_per_class",
                message=f"No class has {min_samples} rows",
                figure=float(counts.max()),
                action="classes of two rows and more were split; figures are rough",
            )
        )
    return Split(_rest(held, n_rows), held.astype(np.int64), coverage, tuple(rare), tuple(notices))


def random_split(n_rows: int, fraction: float = 0.2, seed: int = 42) -> Split:
    """Split rows at random; both sides get at least one row where there are two."""
    _check_fraction(fraction)
    taken = min(max(1, round(n_rows * fraction)), n_rows - 1) if n_rows > 1 else 0
    held = np.sort(np.random.default_rng(seed).permutation(n_rows)[:taken]).astype(np.int64)
    return Split(_rest(held, n_rows), held)


def kfold(
    labels: NDArray[Any] | None, n_splits: int, seed: int = 42, n_rows: int | None = None
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Shuffled folds as (training rows, validation rows); stratified where `labels` are given.

    Without labels `n_rows` says how many rows there are. Raises ValueError as scikit-learn does,
    where there are fewer rows than folds.
    """
    # Late, because it takes a second that a refusal of the table should not wait for.
    from sklearn.model_selection import KFold, StratifiedKFold

    if labels is None:
        if n_rows is None:
            raise ValueError("kfold needs labels or n_rows")
        folds = KFold(n_splits, shuffle=True, random_state=seed).split(np.zeros(n_rows))
    else:
        splitter = StratifiedKFold(n_splits, shuffle=True, random_state=seed)
        folds = splitter.split(np.zeros(len(labels)), labels)
    return [(train.astype(np.int64), held.astype(np.int64)) for train, held in folds]


def drift_report(
    train: Mapping[str, TypedColumn], validation: Mapping[str, TypedColumn]
) -> list[ColumnDrift]:
    """KL(validation ‖ training) per column, largest first.

    Numbers and timestamps are compared in ten quantile bins of the training rows, categories by
    name (the 50 most frequent in training, the rest together), free text by its length; missing
    cells are a bin of their own. Half a row is added to every bin.
    """
    report = []
    for name, column in train.items():
        before, after = _histograms(column, validation[name])
        kl = _kl(after, before)
        band = next((label for limit, label in DRIFT_BANDS if kl < limit), "severe")
        report.append(ColumnDrift(name, kl, band))
    return sorted(report, key=lambda drift: (-drift.kl, drift.column))


def _check_fraction(fraction: float) -> None:
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"fraction must lie between 0 and 1, not {fraction}")


def _rest(held: NDArray[np.int64], n_rows: int) -> NDArray[np.int64]:
    return np.setdiff1d(np.arange(n_rows, dtype=np.int64), held, assume_unique=True)


def _histograms(
    train: TypedColumn, validation: TypedColumn
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts per shared bin, the last bin holding the missing cells."""
    if train.numbers_N is not None and validation.numbers_N is not None:
        return _binned(train.numbers_N, validation.numbers_N)
    if train.type.value == "text":
        return _binned(_lengths(train), _lengths(validation))
    counts = np.bincount(_present(train), minlength=len(train.texts))
    top = np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]
    place = {train.texts[index]: position for position, index in enumerate(top.tolist())}
    return _named(train, place), _named(validation, place)


def _binned(
    train: NDArray[np.float64], validation: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    present = train[~np.isnan(train)]
    inner = np.linspace(0, 1, _BINS + 1)[1:-1]
    edges = np.unique(np.quantile(present, inner)) if present.size else np.zeros(0)

    def count(values: NDArray[np.float64]) -> NDArray[np.int64]:
        bins = np.searchsorted(edges, values, side="right")
        bins[np.isnan(values)] = len(edges) + 1
        return np.bincount(bins, minlength=len(edges) + 2)

    return count(train), count(validation)


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
