"""The hold-out, chosen by what the rows hold: no seed and no order of rows has a say (DATA-7).

See `docs/decisions/hold-out.md`. Shape legend: N rows, G groups.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.build import missing_column
from featrix_core.tables.cleaning import distinct_texts, typed_column
from featrix_core.tables.control import INTERNAL_PREFIX
from featrix_core.tables.schema import ColumnType, Notice
from featrix_core.tables.splits import (
    Keys,
    Rows,
    Split,
    group_split,
    keyed_split,
    mixed,
    stratified_split,
    time_split,
)
from featrix_core.tables.table import Table
from featrix_core.tables.types import detect_type

_HASH_KEY = "featrix hold-out"  # sixteen characters; another key draws another hold-out
_COARSE_SHARE = 0.5
_NESTED_ROWS = 2_000


def holdout_split(
    table: Table,
    labels_N: NDArray[np.float64],
    classification: bool,
    fraction: float = 0.2,
    *,
    names: Sequence[str] | None = None,
    targets: Collection[str] = (),
    group_column: str | None = None,
    time_column: str | None = None,
) -> Split:
    """Development and hold-out rows of a table.

    The rows of lowest content hash are held out, class by class; with `group_column` whole groups by
    the hash of their name, with `time_column` the latest rows. Rows without a label are never held
    out (nor, with groups, is anything that shares a group with held-out rows trained on).

    Args:
        labels_N: class numbers, or numbers; NaN where a row has no label.
        names: of the classes; without them notices have their numbers.
        targets: columns that say nothing on which side a row belongs; a relabelled row stays put.

    Raises:
        FeatrixUserError: a group or time column that does not exist or that cannot split the rows.
    """
    known = np.flatnonzero(np.isfinite(labels_N))
    codes = labels_N[known].astype(np.int64) if classification else None
    groups_N = None if group_column is None else group_codes(table, group_column)
    if time_column is not None:
        inner = _by_time(table, time_column, known, fraction, codes, groups_N, names)
    elif groups_N is not None:
        assert group_column is not None
        inner = _by_group(table, group_column, known, fraction, codes, groups_N, names)
    else:
        inner = _by_content(table, known, fraction, codes, targets, names)
    held = np.sort(known[inner.validation_rows])
    aside = np.zeros(table.n_rows, bool)
    aside[held] = True
    if groups_N is not None:
        # Unlabelled rows of a held-out group would carry it into the training of the space.
        aside |= np.isin(groups_N, groups_N[held]) & ~np.isfinite(labels_N)
    return replace(inner, train_rows=np.flatnonzero(~aside).astype(np.int64), validation_rows=held)


def row_keys(table: Table, exclude: Collection[str] = ()) -> Keys:
    """A 64-bit hash of each row's canonical texts (N), the same for the same cells.

    The order of columns has no say, nor have the columns of control and those of `exclude`.
    """
    keys = np.zeros(table.n_rows, np.uint64)
    for name in table.names:
        if name in exclude or name.startswith(INTERNAL_PREFIX):
            continue
        salt = _hashes([name])[0]
        missing = mixed(np.array([salt], np.uint64))
        column = table.arrow[name]
        # Texts of lists take forty times their memory.
        step = _NESTED_ROWS if pa.types.is_nested(column.type) else max(1, table.n_rows)
        for start in range(0, table.n_rows, step):
            texts = distinct_texts(column.slice(start, step))
            cells_V = mixed(_hashes(list(texts.values)) + salt)
            keys[start : start + step] += np.append(cells_V, missing)[texts.codes_N]
    return mixed(keys)


def group_codes(table: Table, column: str) -> Rows:
    """Group number of every row (N), 0 … G-1; a row without a group is one by itself.

    Raises:
        FeatrixUserError: no such column.
    """
    _require(table, column)
    codes = distinct_texts(table.arrow[column]).codes_N.astype(np.int64)
    alone = np.flatnonzero(codes < 0)
    codes[alone] = int(codes.max(initial=-1)) + 1 + np.arange(len(alone))
    return codes


def fold_groups(table: Table, column: str) -> tuple[Rows | None, tuple[Notice, ...]]:
    """`group_codes` for folds within a table.

    None and a notice where all rows are of one group: the hold-out may have taken the only other one.

    Raises:
        FeatrixUserError: no such column.
    """
    codes = group_codes(table, column)
    if len(np.unique(codes)) > 1:
        return codes, ()
    notice = Notice(
        code="one_group",
        column=column,
        message=f"The rows to train on are all of one group of {column!r}",
        figure=1.0,
        action="folds do not follow groups",
    )
    return None, (notice,)


def fold_times(
    table: Table, column: str, groups_N: Rows | None = None
) -> tuple[NDArray[np.float64] | None, tuple[Notice, ...]]:
    """Time of every row (N) for folds within a table, NaN where a row has none.

    With `groups_N` the time of the group's latest row, so that whole groups stay on one side. None
    and a notice where all rows are of one moment: the hold-out may have taken the only other one.

    Raises:
        FeatrixUserError: no such column, or one of neither timestamps nor numbers.
    """
    times = _times(table, column)
    if groups_N is not None:
        latest = np.full(int(groups_N.max(initial=-1)) + 1, -np.inf)
        np.maximum.at(latest, groups_N, np.where(np.isnan(times), -np.inf, times))
        times = np.where(np.isinf(latest), np.nan, latest)[groups_N]
    moments = len(np.unique(times[~np.isnan(times)]))
    if moments > 1:
        return times, ()
    notice = Notice(
        code="one_moment",
        column=column,
        message=f"The rows to train on cannot be told apart by their time in {column!r}",
        figure=float(moments),
        action="folds do not follow time",
    )
    return None, (notice,)


def _hashes(texts: list[str]) -> Keys:
    if not texts:
        return np.zeros(0, np.uint64)
    return pd.util.hash_array(np.array(texts, dtype=object), hash_key=_HASH_KEY, categorize=False)


def _require(table: Table, column: str) -> None:
    if column not in table.names:
        raise missing_column(column, table.names)


def _by_content(
    table: Table,
    known: Rows,
    fraction: float,
    codes: Rows | None,
    targets: Collection[str],
    names: Sequence[str] | None,
) -> Split:
    keys = row_keys(table, targets)[known]
    distinct = len(np.unique(keys))
    # Where most rows repeat another one, equal rows are the table's usual case and no copies.
    spread = distinct < _COARSE_SHARE * len(keys)
    if codes is None:
        split = keyed_split(keys, fraction, spread=spread)
    else:
        split = stratified_split(codes, fraction, keys_N=keys, spread=spread, names=names)
    copies = len(keys) - distinct
    if not copies:
        return split
    side = "both sides, as most rows repeat another" if spread else "one side of the split"
    notice = Notice(
        code="repeated_rows",
        message=f"{copies} of {len(keys)} rows repeat the inputs of another row",
        figure=copies / len(keys),
        action=f"kept; rows that are the same are on {side}",
    )
    return replace(split, notices=(*split.notices, notice))


def _by_group(
    table: Table,
    column: str,
    known: Rows,
    fraction: float,
    codes: Rows | None,
    groups_N: Rows,
    names: Sequence[str] | None,
) -> Split:
    texts = distinct_texts(table.arrow[column])
    count = int(groups_N.max(initial=-1)) + 1
    keys_G = np.zeros(count, np.uint64)
    keys_G[: len(texts.values)] = mixed(_hashes(list(texts.values)))
    alone = np.flatnonzero(texts.codes_N < 0)
    if len(alone):
        keys_G[groups_N[alone]] = row_keys(table, [column])[alone]
    try:
        return group_split(groups_N[known], keys_G, fraction, codes, names=names)
    except ValueError as error:
        raise FeatrixUserError(
            f"Rows can only be split by groups where there are at least two: {error}",
            column=column,
            remedy="Name a column whose values tell groups apart, or leave group_column out",
        ) from error


def _times(table: Table, column: str) -> NDArray[np.float64]:
    _require(table, column)
    type = detect_type(column, table.arrow[column]).type
    if type not in (ColumnType.TIMESTAMP, ColumnType.SCALAR):
        raise FeatrixUserError(
            f"Rows can be ordered by timestamps or numbers; this column is a {type.value}",
            column=column,
            remedy="Name a column of dates or numbers as time_column",
        )
    times = typed_column(column, table.arrow[column], type, None).numbers_N
    assert times is not None
    return times


def _by_time(
    table: Table,
    column: str,
    known: Rows,
    fraction: float,
    codes: Rows | None,
    groups_N: Rows | None,
    names: Sequence[str] | None,
) -> Split:
    times = _times(table, column)
    chosen = None if groups_N is None else groups_N[known]
    try:
        split = time_split(times[known], fraction, codes, chosen, names)
    except ValueError as error:
        raise FeatrixUserError(
            f"The rows cannot be split by time: {error}",
            column=column,
            remedy="Name a column that tells earlier from later rows",
        ) from error
    undated = int(np.isnan(times[known]).sum())
    if not undated:
        return split
    notice = Notice(
        code="rows_without_time",
        column=column,
        message=f"{undated} rows have no time in {column!r}",
        figure=float(undated),
        action="they are used for training",
    )
    return replace(split, notices=(*split.notices, notice))
