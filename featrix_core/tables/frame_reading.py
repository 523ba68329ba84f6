"""pandas DataFrames to Arrow tables (DATA-1)."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from featrix_core.tables.json_reading import printable
from featrix_core.tables.limits import check_names


def from_pandas(frame: pd.DataFrame) -> pa.Table:
    """The frame's columns (its index is none).

    Raises:
        FeatrixUserError: column names are not distinct, or there are none.
    """
    names = [printable(name) for name in frame.columns]
    check_names(names, "DataFrame")
    columns = [_series_to_arrow(frame.iloc[:, position]) for position in range(len(names))]
    return pa.table(columns, names=names)


def _series_to_arrow(series: pd.Series) -> pa.Array | pa.ChunkedArray:
    if series.dtype == object and _kinds(series) > 1:
        # Objects of several kinds have no Arrow type of their own: they become text.
        return _as_text(series)
    try:
        return pa.Array.from_pandas(series)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _as_text(series)


def _as_text(series: pd.Series) -> pa.Array:
    objects = series.astype(object)
    text = objects.map(printable, na_action="ignore")
    return pa.array(text.where(objects.notna(), None), type=pa.string())


def _kinds(series: pd.Series) -> int:
    """How many Python types the distinct cells have; 1 where cells are lists and the like."""
    try:
        return len({type(value) for value in series.dropna().unique()})
    except TypeError:
        return 1
