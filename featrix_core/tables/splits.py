"""Splits into training and validation rows: per class, by group, by time, in folds (DATA-7).

Which rows are held out follows from keys: numbers without meaning, one per row or group. The lowest
keys of every class are held out. Keys drawn at random give a random split; keys made from the rows'
content (`tables.holdout`) give one that does not depend on a seed or on the order of the rows.

Shape legend: N rows, G groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featrix_core.tables.schema import Notice

Rows = NDArray[np.int64]
Keys = NDArray[np.uint64]
MIN_SAMPLES = 5
_SHOWN = 10
_COMMON_SHARE = 0.1


@dataclass(frozen=True)
class Split:
    """Row numbers (sorted) of both sides; `coverage` is the share of rows of splittable classes."""

    train_rows: Rows
    validation_rows: Rows
    coverage: float = 1.0
    rare_classes: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()


def stratified_split(
    labels: NDArray[Any],
    fraction: float = 0.2,
    seed: int = 42,
    min_samples: int = MIN_SAMPLES,
    *,
    keys_N: Keys | None = None,
    spread: bool = False,
    names: Sequence[str] | None = None,
) -> Split:
    """Split every class by itself; classes with fewer than `min_samples` rows go to training.

    Where no class reaches `min_samples`, those with at least two rows are split all the same, one
    row at least, so that something can be validated; a notice says so.

    Args:
        labels: class per row, N strings or integers, none missing.
        fraction: share of validation rows, between 0 and 1 (both excluded).
        seed: the same seed gives the same rows; without effect where `keys_N` is given.
        min_samples: rows that a class needs to be validated.
        keys_N: numbers all over 64 bits; rows with the same key and class are kept on one side,
            unless they make up more than a tenth of the rows to be held out: such rows are a common
            case, not copies.
        spread: treat all rows of one key as such a common case.
        names: what the split calls the classes, where `labels` are their numbers.
    """
    _check_fraction(fraction)
    values, codes, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    keys = random_keys(len(codes), seed) if keys_N is None else keys_N
    tiny = len(values) > 0 and int(counts.max()) < max(2, min_samples)
    least = 2 if tiny else max(2, min_samples)
    by_class = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
    validation: list[Rows] = [np.zeros(0, np.int64)]
    for rows, count in zip(by_class, counts.tolist(), strict=False):
        if count >= least:
            quota = min(max(1, round(count * fraction)), count - 1)
            validation.append(rows[_lowest(keys[rows], quota, spread)])
    rare = _told(values[counts < least], names)
    held = np.sort(np.concatenate(validation)).astype(np.int64)
    n_rows, excluded = len(codes), int(counts[counts < least].sum())
    notices = _rare_notices(rare, excluded, n_rows)
    if tiny and len(held):
        notices += (
            Notice(
                code="few_rows_per_class",
                message=f"No class has {min_samples} rows",
                figure=float(counts.max()),
                action="classes of two rows and more were split; figures are rough",
            ),
        )
    return Split(_rest(held, n_rows), held, _coverage(excluded, n_rows), rare, notices)


def random_split(n_rows: int, fraction: float = 0.2, seed: int = 42) -> Split:
    """Split rows at random; both sides get at least one row where there are two."""
    return keyed_split(random_keys(n_rows, seed), fraction)


def keyed_split(keys_N: Keys, fraction: float = 0.2, *, spread: bool = False) -> Split:
    """Hold out the rows with the lowest keys; `spread` as in `stratified_split`."""
    _check_fraction(fraction)
    n_rows = len(keys_N)
    quota = min(max(1, round(n_rows * fraction)), n_rows - 1) if n_rows > 1 else 0
    held = np.sort(_lowest(keys_N, quota, spread))
    return Split(_rest(held, n_rows), held)


def group_split(
    groups_N: Rows,
    keys_G: Keys,
    fraction: float = 0.2,
    labels: NDArray[Any] | None = None,
    min_samples: int = MIN_SAMPLES,
    names: Sequence[str] | None = None,
) -> Split:
    """No group on both sides; stratified as far as whole groups allow.

    A group belongs to the rarest class that it holds; within each class the groups of the lowest
    keys are held out until the share is reached as nearly as possible. Groups that hold a row of a
    class with fewer than `min_samples` rows stay in training, as long as others are left.

    Args:
        groups_N: group number of every row, 0 … G-1.
        keys_G: key of every group.
        labels: class per row; None for numbers. names: as of `stratified_split`.

    Raises:
        ValueError: fewer than two groups.
    """
    _check_fraction(fraction)
    sizes = np.bincount(groups_N, minlength=len(keys_G))
    if (sizes > 0).sum() < 2:
        raise ValueError("a split by group needs two groups")
    n_rows = len(groups_N)
    values, codes, counts = _classes(labels, n_rows)
    least = max(2, min_samples) if counts.max() >= max(2, min_samples) else 1
    rare_rows = counts[codes] < least
    # Number of a class in the order of its frequency, rarest first: the group takes the lowest.
    rank = np.empty(len(counts), np.int64)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    stratum = np.full(len(keys_G), len(counts), np.int64)
    np.minimum.at(stratum, groups_N[~rare_rows], rank[codes[~rare_rows]])
    free = (sizes > 0) & ~np.isin(np.arange(len(keys_G)), groups_N[rare_rows])
    if free.sum() < 2:
        free = sizes > 0
    taken = np.zeros(len(keys_G), bool)
    wanted, held_rows = 0.0, 0
    for number in np.unique(stratum[free]).tolist():
        of_stratum = np.flatnonzero(free & (stratum == number))
        wanted += fraction * float(sizes[stratum == number].sum())
        chosen = _nearest_groups(of_stratum, keys_G, sizes, wanted - held_rows)
        taken[chosen] = True
        held_rows += int(sizes[chosen].sum())
    if not taken.any():
        best = np.flatnonzero(free)
        taken[best[np.argmin(np.abs(sizes[best] - fraction * n_rows))]] = True
    elif taken[sizes > 0].all():
        last = np.flatnonzero(taken)
        taken[last[np.argmax(keys_G[last])]] = False
    return _one_sided(taken[groups_N], _told(values, names), codes)


def time_split(
    times_N: NDArray[np.float64],
    fraction: float = 0.2,
    labels: NDArray[Any] | None = None,
    groups_N: Rows | None = None,
    names: Sequence[str] | None = None,
) -> Split:
    """The latest rows validate; rows without a time train.

    Rows of one moment stay together; with `groups_N` whole groups do, by the time of their latest
    row. `names`: as of `stratified_split`.

    Raises:
        ValueError: fewer than two moments (or groups with one).
    """
    _check_fraction(fraction)
    n_rows = len(times_N)
    known = ~np.isnan(times_N)
    if groups_N is None:
        _, units = np.unique(times_N, return_inverse=True)
    else:
        units = groups_N
    units = units.astype(np.int64)
    latest = np.full(int(units.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(latest, units[known], times_N[known])
    sizes = np.bincount(units, minlength=len(latest))
    dated = np.flatnonzero((latest > -np.inf) & (sizes > 0))
    if len(dated) < 2:
        raise ValueError("a split by time needs two moments")
    order = dated[np.argsort(-latest[dated], kind="stable")]
    sums = np.cumsum(sizes[order])[:-1]
    count = int(np.argmin(np.abs(sums - fraction * sizes[dated].sum()))) + 1
    held = np.isin(units, order[:count])
    if groups_N is None:
        held &= known
    values, codes, _ = _classes(labels, n_rows)
    return _one_sided(held, _told(values, names), codes)


def kfold(
    labels: NDArray[Any] | None,
    n_splits: int,
    seed: int = 42,
    n_rows: int | None = None,
    *,
    groups_N: Rows | None = None,
    times_N: NDArray[np.float64] | None = None,
) -> list[tuple[Rows, Rows]]:
    """Folds as (training rows, validation rows), shuffled; stratified where `labels` are given.

    Args:
        n_rows: says how many rows there are where `labels` are None.
        groups_N: no group is on both sides of a fold.
        times_N: every fold validates on rows later than all that it trains on, and rows of one
            moment are never on both sides. About half of the rows, the earliest, are only trained
            on, so that no fold learns from a few old rows. Rows without a time count as the earliest.

    Raises:
        ValueError: as scikit-learn does, where there are fewer rows or groups than folds; not more
            moments than folds; groups and times together.
    """
    # Late, because it takes a second that a refusal of the table should not wait for.
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    if labels is None and n_rows is None:
        raise ValueError("kfold needs labels or n_rows")
    if groups_N is not None and times_N is not None:
        raise ValueError("folds follow groups or times, not both")
    count = n_rows if labels is None else len(labels)
    assert count is not None
    cells = np.zeros(count)
    if times_N is not None:
        return _time_folds(times_N, n_splits)
    if groups_N is not None:
        if len(np.unique(groups_N)) < n_splits:
            raise ValueError(f"{n_splits} folds need as many groups")
        grouped = StratifiedGroupKFold if labels is not None else GroupKFold
        cut = grouped(n_splits, shuffle=True, random_state=seed)
        chosen = list(cut.split(cells, labels, groups_N))
        # Few groups of one class each may leave a stratified part empty.
        if not all(len(held) for _, held in chosen):
            return kfold(None, n_splits, seed, count, groups_N=groups_N)
    elif labels is None:
        chosen = KFold(n_splits, shuffle=True, random_state=seed).split(cells)
    else:
        chosen = StratifiedKFold(n_splits, shuffle=True, random_state=seed).split(cells, labels)
    return [(train.astype(np.int64), held.astype(np.int64)) for train, held in chosen]


def _time_folds(times_N: NDArray[np.float64], n_splits: int) -> list[tuple[Rows, Rows]]:
    _, moment_N, sizes = np.unique(
        np.where(np.isnan(times_N), -np.inf, times_N), return_inverse=True, return_counts=True
    )
    if len(sizes) <= n_splits:
        raise ValueError(f"{n_splits} folds by time need {n_splits + 1} moments")
    earlier = np.cumsum(sizes)[:-1]  # rows before moment 1, 2, …
    first: list[int] = []  # moment that each fold's validation begins with
    for k in range(n_splits):
        wanted = len(times_N) * (n_splits + k) / (2 * n_splits)
        nearest = int(np.argmin(np.abs(earlier - wanted))) + 1
        least = first[-1] + 1 if first else 1
        first.append(min(max(nearest, least), len(sizes) - n_splits + k))
    return [
        (
            np.flatnonzero(moment_N < begin).astype(np.int64),
            np.flatnonzero((moment_N >= begin) & (moment_N < end)).astype(np.int64),
        )
        for begin, end in zip(first, [*first[1:], len(sizes)], strict=True)
    ]


def random_keys(count: int, seed: int) -> Keys:
    """Distinct keys in random order, anywhere in 64 bits."""
    return mixed(np.random.default_rng(seed).permutation(count).astype(np.uint64))


def mixed(numbers: Keys) -> Keys:
    """SplitMix64's finaliser: scatters numbers over 64 bits."""
    z = numbers + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _check_fraction(fraction: float) -> None:
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"fraction must lie between 0 and 1, not {fraction}")


def _rest(held: Rows, n_rows: int) -> Rows:
    return np.setdiff1d(np.arange(n_rows, dtype=np.int64), held, assume_unique=True)


def _coverage(excluded: int, n_rows: int) -> float:
    return 1.0 - excluded / n_rows if n_rows else 0.0


def _classes(labels: NDArray[Any] | None, n_rows: int) -> tuple[NDArray[Any], Rows, Rows]:
    given = np.zeros(n_rows, np.int64) if labels is None else np.asarray(labels)
    values, codes, counts = np.unique(given, return_inverse=True, return_counts=True)
    return values, codes.astype(np.int64), counts.astype(np.int64)


def _lowest(keys: Keys, quota: int, spread: bool) -> Rows:
    """Positions of about `quota` lowest keys, equal keys together where they are few."""
    if quota == 0:
        return np.zeros(0, np.int64)
    _, which, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    if int(sizes.max()) == 1:
        return np.argsort(keys, kind="stable")[:quota].astype(np.int64)
    common = sizes > (1 if spread else max(2.0, _COMMON_SHARE * quota))
    order = np.argsort(which, kind="stable")
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    occurrence = np.empty(len(keys), np.uint64)
    occurrence[order] = (np.arange(len(keys)) - starts).astype(np.uint64)
    apart = mixed(keys + occurrence * np.uint64(0xD6E8FEB86659FD93))
    keys = np.where(common[which], apart, keys)
    order = np.argsort(keys, kind="stable").astype(np.int64)
    ends = np.flatnonzero(np.append(np.diff(keys[order]) != 0, True))[:-1] + 1
    if not len(ends):
        return order[:quota]
    return order[: int(ends[np.argmin(np.abs(ends - quota))])]


def _nearest_groups(groups: Rows, keys_G: Keys, sizes_G: Rows, wanted: float) -> Rows:
    """The groups of lowest keys whose rows come nearest to `wanted`; ones too large are passed by."""
    fitting = groups[sizes_G[groups] <= max(wanted, 1.0)]
    order = fitting if len(fitting) else groups
    order = order[np.argsort(keys_G[order], kind="stable")]
    sums = np.concatenate([[0], np.cumsum(sizes_G[order])])
    return order[: int(np.argmin(np.abs(sums - wanted)))]


def _told(values: NDArray[Any], names: Sequence[str] | None) -> tuple[str, ...]:
    """What classes are called: as in `names` where they are numbers of these."""
    return tuple(names[v] if names else str(v) for v in values.tolist())


def _one_sided(held_N: NDArray[np.bool_], values: Sequence[str], codes: Rows) -> Split:
    """A split whose sides were not chosen class by class: classes without validation are named."""
    held = np.flatnonzero(held_N).astype(np.int64)
    rest = np.flatnonzero(~held_N).astype(np.int64)
    return Split(rest, held, *_covered([(rest, held)], values, codes))


def fold_coverage(
    folds: Sequence[tuple[Rows, Rows]], labels_N: Rows, names: Sequence[str]
) -> tuple[float, tuple[Notice, ...]]:
    """Share of rows whose class is validated in some fold, and notices of classes that are not, or never train.

    Args:
        folds: as of `kfold`.
        labels_N: class number of every row; names: of the classes.
    """
    values, codes, _ = _classes(labels_N, len(labels_N))
    coverage, _, notices = _covered(folds, _told(values, names), codes)
    return coverage, notices


def _covered(
    folds: Sequence[tuple[Rows, Rows]], values: Sequence[str], codes: Rows
) -> tuple[float, tuple[str, ...], tuple[Notice, ...]]:
    """Coverage, the classes that are not validated, and notices."""
    trained, validated = np.zeros((2, len(values)), bool)
    for train, held in folds:
        trained[codes[train]] = True
        validated[codes[held]] = True
    excluded = int((~validated[codes]).sum())
    rare = tuple(value for value, there in zip(values, validated, strict=True) if not there)
    notices = _rare_notices(rare, excluded, len(codes))
    untrained = [value for value, there in zip(values, trained, strict=True) if not there]
    if untrained:
        notices += (
            Notice(
                code="untrained_classes",
                message=f"{len(untrained)} classes occur in validation rows only: "
                + ", ".join(untrained[:_SHOWN]),
                figure=float(len(untrained)),
                action="they cannot be predicted; look at the column that the rows are split by",
            ),
        )
    return _coverage(excluded, len(codes)), rare, notices


def _rare_notices(rare: tuple[str, ...], excluded: int, n_rows: int) -> tuple[Notice, ...]:
    if not rare:
        return ()
    coverage = _coverage(excluded, n_rows)
    shown = ", ".join(rare[:_SHOWN]) + (", …" if len(rare) > _SHOWN else "")
    return (
        Notice(
            code="rare_classes",
            message=f"{coverage:.1%} of the samples can be validated; {excluded} samples of "
            f"{len(rare)} rare categories are excluded: {shown}",
            figure=coverage,
            action="all their rows are used for training",
        ),
    )
