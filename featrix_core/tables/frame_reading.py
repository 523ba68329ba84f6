"""pandas DataFrames to Arrow tables (DATA-1)."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from featrix_core.tables.arrow_types import nested_text
from featrix_core.tables.json_reading import printable
from featrix_core.tables.limits import check_names
from featrix_core.tables.numbers import clear_points

_NUMBERS = (int, float, np.integer, np.floating)
_WHOLE_FLOATS = 2**53  # beyond it, float64 does not hold every whole number


def from_pandas(frame: pd.DataFrame) -> pa.Table:
    """The frame's columns (its index is none).

    Raises:
        FeatrixUserError: column names are not distinct, or there are none.
    """
    names = [printable(name) for name in frame.columns]
    check_names(names, "DataFrame")
    columns = [_series_to_arrow(series) for _, series in frame.items()]
    return pa.table(columns, names=names)


def _series_to_arrow(series: pd.Series) -> pa.Array | pa.ChunkedArray:
    if isinstance(series.dtype, pd.PeriodDtype):  # Arrow would count them
        return _as_text(series)
    kinds = _kinds(series) if series.dtype == object else set()
    if len(kinds) > 1 and all(issubclass(kind, _NUMBERS) and kind is not bool for kind in kinds):
        floats = series.where(series.notna(), np.nan).astype("float64")
        if not (floats.abs() > _WHOLE_FLOATS).any():
            return pa.array(floats, from_pandas=True)
    if len(kinds) > 1:
        # Objects of several kinds have no Arrow type of their own: they become text.
        return _as_text(series)
    try:
        return pa.Array.from_pandas(series)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _as_text(series)


def _as_text(series: pd.Series) -> pa.Array:
    objects = series.astype(object)
    text = objects.map(_cell_text, na_action="ignore")
    array = pa.array(text.where(objects.notna(), None), type=pa.string())
    number = objects.map(lambda cell: isinstance(cell, (float, np.floating, Decimal)))
    return pc.if_else(pa.array(number.to_numpy(bool)), clear_points(array), array)


def _cell_text(cell: object) -> str:
    return nested_text(cell) if isinstance(cell, (dict, list, tuple)) else printable(cell)


def _kinds(series: pd.Series) -> set[type]:
    """The Python types of the cells; none where cells are lists and the like."""
    try:
        hash(tuple(series.dropna().unique()))
    except TypeError:
        return set()
    return set(series.dropna().map(type))
