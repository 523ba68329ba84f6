"""Reading a column's cells by its type, and what a type must know to read them (DATA-2 … DATA-4).

Shape legend: N rows, V distinct texts, H dimensions.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.candidates import composite_share
from featrix_core.tables.column import MAJORITY_SHARE, Accepted, Column
from featrix_core.tables.numbers import Decimal, native_decimal, parse_numbers
from featrix_core.tables.ordinal import forced_order
from featrix_core.tables.schema import ColumnSchema, ColumnType
from featrix_core.tables.spellings import as_known, as_pair
from featrix_core.tables.structured import (
    arrow_vectors,
    is_number_list,
    parse_json,
    parse_vector,
    text_vectors,
)
from featrix_core.tables.table import TypedColumn
from featrix_core.tables.text_kinds import code_width, most_frequent_delimiter
from featrix_core.tables.texts import DistinctTexts, distinct_texts, json_text
from featrix_core.tables.timestamps import ISO_FORMAT, fit_format, parse_timestamps

COMPOSITE = (
    ColumnType.EMAIL,
    ColumnType.DOMAIN,
    ColumnType.URL,
    ColumnType.PHONE,
    ColumnType.ADDRESS,
)
_EXAMPLES = 5
_SHOWN = 80


class Reading(Protocol):
    """How a column's cells are read; a `ColumnSchema` is one, and what detection has found is."""

    @property
    def timestamp_format(self) -> str | None:
        """One of `TIMESTAMP_FORMATS`."""

    @property
    def decimal(self) -> Decimal:
        """Decimal mark of the texts."""

    @property
    def unit(self) -> str | None:
        """Unit or currency that figures may have."""

    @property
    def dimension(self) -> int | None:
        """Length of the vectors."""


def typed_column(
    name: str,
    array: pa.Array | pa.ChunkedArray,
    type: ColumnType,
    column_schema: ColumnSchema | None,
) -> TypedColumn:
    """Cells of one column as `type` understands them, N rows.

    `column_schema` gives the format, decimal mark, unit and dimension that were frozen in training;
    without one those of the column at hand are taken. Cells that do not parse are missing, counted,
    and up to five of them are listed.
    """
    if type is ColumnType.VECTOR and is_number_list(array.type):
        return _native_vectors(name, array, column_schema.dimension if column_schema else None)
    texts = distinct_texts(array)
    if column_schema is None:
        return typed_from_texts(name, texts, type, None)
    own: dict[str, object] = {"decimal": native_decimal(array.type, column_schema.decimal)}
    if is_moment(array.type):
        # Moments that arrive as such are written in one form, whatever the texts of training had.
        own["timestamp_format"] = ISO_FORMAT
    return typed_from_texts(name, texts, type, column_schema.model_copy(update=own))


def is_moment(kind: pa.DataType) -> bool:
    """Whether cells arrive as dates or timestamps, whatever format texts of them have."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        kind = kind.value_type
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def typed_from_texts(
    name: str, texts: DistinctTexts, type: ColumnType, reading: Reading | None
) -> TypedColumn:
    """`typed_column` for texts that are at hand already."""
    if reading is None:
        reading = _own_reading(name, texts, type)
    if type is ColumnType.SCALAR:
        values = parse_numbers(texts.values, reading.decimal, reading.unit)
        return _numeric(name, texts, type, values, None)
    if type is ColumnType.TIMESTAMP:
        values, offsets = parse_timestamps(texts.values, reading.timestamp_format or ISO_FORMAT)
        return _numeric(name, texts, type, values, offsets)
    if type is ColumnType.VECTOR:
        return _vectors(name, texts, reading.dimension or 1)
    if type is ColumnType.JSON:
        return _json(name, texts)
    known = reading.categories if isinstance(reading, ColumnSchema) else ()
    if type is ColumnType.BOOLEAN:
        texts = texts.mapped(as_pair(texts.values, known))
    if type is ColumnType.ORDINAL and known:
        texts = texts.mapped(as_known(texts.values, known))
    return TypedColumn(
        name=name,
        type=type,
        missing_N=texts.codes_N < 0,
        codes_N=texts.codes_N.astype(np.int32),
        texts=texts.values,
    )


def asked_form(type: ColumnType, reading: Reading) -> str:
    """What a cell of a column that is read in one form only must be, such as "a number in kg"."""
    return {
        ColumnType.SCALAR: "a number" + (f" in {reading.unit}" if reading.unit else ""),
        ColumnType.TIMESTAMP: f"a timestamp ({reading.timestamp_format})",
        ColumnType.VECTOR: "a vector of the column's length",
        ColumnType.JSON: "a JSON object or array",
    }[type]


def forced_type(type: ColumnType, column: Column) -> Accepted:
    """What a type that the user has set learns of the cells.

    Raises:
        FeatrixUserError: the cells cannot be read as this type at all.
    """
    values, counts = column.hard
    said = "set by the user"
    if type is ColumnType.SCALAR:
        return Accepted(type, said, decimal=column.decimal, unit=column.unit)
    if type is ColumnType.TIMESTAMP:
        # The user vouches for plain numbers, so their name need not speak of time.
        fit = column.moments if column.moments.format else fit_format(values, counts, "timestamp")
        if fit.format is None and values:
            raise _refusal(column, "No cell has a known form of dates or times", values[0])
        return Accepted(type, said, fit.share, timestamp_format=fit.format)
    if type is ColumnType.BOOLEAN:
        lowered = sorted({value.lower() for value in column.values})
        if len(lowered) > 2:
            what = f"A boolean column has two values, this one has {len(lowered)}"
            raise _refusal(column, what, lowered[2])
        return Accepted(type, said)
    if type is ColumnType.ORDINAL:
        order = forced_order(column.texts, column.name)
        if order is None and values:
            raise _refusal(column, "No order of the column's values is known", values[0])
        keys = () if order is None else tuple(order.keys_V.tolist())
        return Accepted(type, said, keys=keys)
    if type is ColumnType.LIST:
        return Accepted(type, said, delimiter=most_frequent_delimiter(column))
    if type is ColumnType.CODE:
        return Accepted(type, said, width=code_width(values))
    if type is ColumnType.VECTOR:
        return _forced_vector(column)
    if type in COMPOSITE and values and composite_share(column, type, True) < MAJORITY_SHARE:
        what = f"Less than half of the values have the form of the type {type.value}"
        raise _refusal(column, what, column.texts.examples(~column.texts.soft_V, 1)[0])
    return Accepted(type, said)


def _forced_vector(column: Column) -> Accepted:
    lengths = [len(numbers) for value in column.sample if (numbers := parse_vector(value))]
    if not lengths and column.sample:
        raise _refusal(column, "No cell is a vector such as [0.1, 0.2]", column.sample[0])
    sizes, counts = np.unique(lengths or [1], return_counts=True)
    dimension = int(sizes[np.argmax(counts)])
    return Accepted(ColumnType.VECTOR, "set by the user", dimension=dimension)


def _refusal(column: Column, what: str, value: str) -> FeatrixUserError:
    return FeatrixUserError(
        what,
        column=column.name,
        value=value,
        remedy="Set another type, or leave the type to detection",
    )


def _own_reading(name: str, texts: DistinctTexts, type: ColumnType) -> Reading:
    if type in (ColumnType.SCALAR, ColumnType.TIMESTAMP, ColumnType.VECTOR):
        column = Column(name, texts)
        try:
            return forced_type(type, column)
        except FeatrixUserError:
            pass  # nothing fits: every cell is counted as unparsed
    return Accepted(type, "")


def _numeric(
    name: str,
    texts: DistinctTexts,
    type: ColumnType,
    values_V: NDArray[np.float64],
    offsets_V: NDArray[np.float64] | None,
) -> TypedColumn:
    failed = np.isnan(values_V) & ~texts.soft_V
    numbers = np.append(values_V, np.nan)[texts.codes_N]
    return TypedColumn(
        name=name,
        type=type,
        missing_N=np.isnan(numbers),
        numbers_N=numbers,
        offsets_N=None if offsets_V is None else np.append(offsets_V, np.nan)[texts.codes_N],
        n_unparsed=int(texts.counts_V[failed].sum()),
        unparsed_examples=texts.examples(failed, _EXAMPLES),
        **_unread(texts, failed),
    )


def _vectors(name: str, texts: DistinctTexts, dimension: int) -> TypedColumn:
    rows = text_vectors(texts.values, dimension)
    failed = np.isnan(rows[:, 0])
    unparsed = failed & ~texts.soft_V
    rows[failed] = 0.0
    by_entry = np.concatenate([rows, np.zeros((1, dimension), np.float32)])
    return TypedColumn(
        name=name,
        type=ColumnType.VECTOR,
        missing_N=np.append(failed, True)[texts.codes_N],
        vectors_NH=by_entry[texts.codes_N],
        n_unparsed=int(texts.counts_V[unparsed].sum()),
        unparsed_examples=_short(texts.examples(unparsed, _EXAMPLES)),
        **_unread(texts, unparsed),
    )


def _native_vectors(
    name: str, array: pa.Array | pa.ChunkedArray, dimension: int | None
) -> TypedColumn:
    vectors = arrow_vectors(array, dimension)
    if vectors is None:  # no row holds a list
        n_rows = len(array)
        empty = np.zeros((n_rows, dimension or 1), np.float32)
        return TypedColumn(name, ColumnType.VECTOR, np.ones(n_rows, np.bool_), vectors_NH=empty)
    unfit = np.flatnonzero(vectors.unfit_N)
    return TypedColumn(
        name=name,
        type=ColumnType.VECTOR,
        missing_N=vectors.missing_N,
        vectors_NH=vectors.vectors_NH,
        n_unparsed=len(unfit),
        unparsed_examples=_short(
            tuple(json_text(array[row].as_py()) for row in unfit[:_EXAMPLES].tolist())
        ),
        # The lists of a large table are not written out: there may be many long ones.
        unread_N=np.where(vectors.unfit_N, 0, -1).astype(np.int32) if len(unfit) else None,
        unread_texts=("a list",) if len(unfit) else (),
    )


def _json(name: str, texts: DistinctTexts) -> TypedColumn:
    parsed = [parse_json(value) for value in texts.values]
    failed = np.fromiter((text is None for text in parsed), bool, len(parsed)) & ~texts.soft_V
    cells = texts.mapped(parsed)
    return TypedColumn(
        name=name,
        type=ColumnType.JSON,
        missing_N=cells.codes_N < 0,
        codes_N=cells.codes_N,
        texts=cells.values,
        n_unparsed=int(texts.counts_V[failed].sum()),
        unparsed_examples=_short(texts.examples(failed, _EXAMPLES)),
        **_unread(texts, failed),
    )


def _unread(texts: DistinctTexts, failed_V: NDArray[np.bool_]) -> dict[str, Any]:
    """Fields of a `TypedColumn` that say which cells were not read, and what they hold."""
    if not failed_V.any():
        return {}
    places = np.where(failed_V, np.cumsum(failed_V) - 1, -1)
    return {
        "unread_N": np.append(places, -1)[texts.codes_N].astype(np.int32),
        "unread_texts": tuple(texts.values[v] for v in np.flatnonzero(failed_V).tolist()),
    }


def _short(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text if len(text) <= _SHOWN else text[:_SHOWN] + "…" for text in texts)
