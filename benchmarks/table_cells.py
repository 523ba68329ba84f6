"""The cells of a real table in the two forms in which a reader may hand them on: text and typed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

MAX_ROWS = 20_000
_SEED = 42


def sampled(frame: pd.DataFrame) -> pd.DataFrame:
    """At most `MAX_ROWS` rows, drawn with a fixed seed, in their own order."""
    if len(frame) > MAX_ROWS:
        frame = frame.sample(MAX_ROWS, random_state=_SEED).sort_index()
    return frame.reset_index(drop=True)


def as_text(series: pd.Series[Any]) -> pa.Array:
    """What a CSV export holds: texts, null where the cell is empty.

    Lists of texts are joined with ";", lists of numbers and mappings are JSON.
    """
    return pa.array([_text(cell) for cell in series.tolist()], pa.string())


def as_typed(series: pd.Series[Any]) -> pa.Array:
    """What a Parquet file holds; mappings, whose fields differ from row to row, are JSON."""
    if series.dtype != object:
        return _one_chunk(pa.Array.from_pandas(series))
    cells = [_plain(cell) for cell in series.tolist()]
    if any(isinstance(cell, dict) for cell in cells):
        cells = [None if cell is None else _text(cell) for cell in cells]
    try:
        return pa.array(cells)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return as_text(series)


def as_csv(columns: dict[str, pa.Array]) -> str:
    """One CSV text of columns that `as_text` made."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows(zip(*(column.to_pylist() for column in columns.values()), strict=True))
    return file.getvalue()


def _one_chunk(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _plain(cell: Any) -> Any:
    """A cell in Python's own types, None where it is missing."""
    if isinstance(cell, np.ndarray):
        return cell.tolist()
    if isinstance(cell, (list, dict)):
        return cell
    return None if pd.isna(cell) else cell


def _text(cell: Any) -> str | None:
    cell = _plain(cell)
    if cell is None:
        return None
    if isinstance(cell, dict):
        return json.dumps(cell, ensure_ascii=False, default=str)
    if isinstance(cell, list):
        return _joined(cell)
    return str(cell) or None


def _joined(cells: Iterable[Any]) -> str | None:
    cells = list(cells)
    if cells and all(isinstance(cell, (int, float)) for cell in cells):
        return json.dumps(cells)
    return ";".join(str(cell) for cell in cells) or None
