"""Arrow tables of any type to the few types that the rest understands (DATA-1).

Kept: null, boolean, integers, floats, text, dates, timestamps, and lists of numbers (vectors). Everything else
becomes text; nested values become JSON text, written as the JSON reader writes it.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.json_reading import json_text, printable, text_array
from featrix_core.tables.numbers import clear_points

_FLOAT_DIGITS = 15  # decimal digits that float64 holds exactly


def plain_table(table: pa.Table, where: str) -> pa.Table:
    """The same cells in plain types; metadata is dropped.

    Raises:
        FeatrixUserError: cells cannot be represented; names the column.
    """
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            columns.append(plain_column(column))
        except (pa.ArrowException, ValueError, OverflowError, RecursionError) as error:
            raise FeatrixUserError(
                f"{where}: cells of type {column.type} cannot be read: {error}",
                column=name,
                remedy="Leave the column out, or write it as text",
            ) from error
    return pa.table(columns, names=table.column_names)


def plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """One column in a plain type."""
    chunks = [_plain(chunk) for chunk in column.chunks]
    return pa.chunked_array(chunks, None if chunks else _plain(pa.nulls(0, column.type)).type)


def _plain(array: pa.Array) -> pa.Array:
    if isinstance(array, pa.ExtensionArray):
        if array.type.extension_name == "arrow.uuid":
            return text_array([None if c is None else str(c) for c in array.to_pylist()])
        array = array.storage
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _plain(array.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return _plain(pc.run_end_decode(array))
    if _is_plain(kind):
        return array
    if pa.types.is_float16(kind):
        return array.cast(pa.float32())
    if pa.types.is_timestamp(kind):
        return _timestamps(array)
    if pa.types.is_duration(kind):
        return _seconds(array)
    if pa.types.is_decimal(kind):
        return _decimals(array)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.string())
    if pa.types.is_time(kind):
        return array.cast(pa.string())
    if _is_vector(kind):
        return array
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return _text_of_bytes(array)
    if pa.types.is_fixed_size_binary(kind):
        return _text_of_bytes(array.cast(pa.binary()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a key that a map holds twice, the last one counts
        cells = array.to_pylist(maps_as_pydicts="lossy")
    return text_array([None if cell is None else nested_text(cell) for cell in cells])


def nested_text(cell: object) -> str:
    """JSON text of lists, dictionaries and what they hold."""
    return json_text(_jsonable(cell))


def _is_plain(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_null(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_float32(kind)
        or pa.types.is_float64(kind)
        or pa.types.is_string(kind)
        or pa.types.is_date(kind)
    )


def _is_vector(kind: pa.DataType) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not lists and not pa.types.is_fixed_size_list(kind):
        return False
    inner = kind.value_type
    return bool(pa.types.is_integer(inner) or pa.types.is_floating(inner))


def _timestamps(array: pa.Array) -> pa.Array:
    """As they are, unless their zone is not known here or they cannot be written as text."""
    try:
        array.cast(pa.string())
        return array
    except pa.ArrowInvalid:
        utc = array.view(pa.timestamp(array.type.unit))
        try:
            utc.cast(pa.string())
            return utc
        except pa.ArrowInvalid:
            return array.view(pa.int64())


def _decimals(array: pa.Array) -> pa.Array:
    """Exact texts; those with three decimals, which a decimal comma would make thousands, are floats."""
    if array.type.scale != 3:
        return array.cast(pa.string())
    if array.type.precision <= _FLOAT_DIGITS:
        return array.cast(pa.float64())
    return clear_points(array.cast(pa.string()))


def _seconds(array: pa.Array) -> pa.Array:
    """Durations as numbers of seconds."""
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[array.type.unit]
    counts = array.view(pa.int64())
    return pc.divide(counts.cast(pa.float64(), safe=False), float(per_second))


def _text_of_bytes(array: pa.Array) -> pa.Array:
    try:
        return array.cast(pa.string())
    except pa.ArrowInvalid:
        cells = array.to_pylist()
        return pa.array(
            [None if c is None else c.decode("utf-8", "backslashreplace") for c in cells],
            pa.string(),
        )


def _jsonable(value: Any) -> Any:
    """A nested Python value as JSON knows them; fields that are missing are left out."""
    if isinstance(value, dict):
        return {printable(k): _jsonable(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_jsonable(inner) for inner in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return base64.b64encode(value).decode("ascii")
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (np.generic, np.ndarray)):
        return _jsonable(value.tolist())
    return json.loads(json.dumps(value, default=str))
