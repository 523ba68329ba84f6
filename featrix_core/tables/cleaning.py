"""From cells to values: missing markers, canonical text, numbers and timestamps (DATA-3, DATA-4).

All work is done once per *distinct* cell; rows only carry codes into the distinct texts.

Shape legend: N rows, V distinct texts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from featrix_core.tables.schema import ColumnSchema, ColumnType
from featrix_core.tables.table import TypedColumn

# Nothing but "no value" in any column.
MISSING_MARKERS = frozenset(
    ["", "?", "null", "(null)", "nan", "-nan", "nat", "<na>", "na", "#na", "n/a", "#n/a", "n.a."]
).union(["\\n", "1.#qnan", "-1.#ind"])
# Real categories in some columns ("none" = no guarantor), "no value" in numbers and dates.
NUMERIC_MISSING_MARKERS = frozenset(["none", "-", "--", ".", "nil", "unknown", "missing"])

_CURRENCY = "$€£¥"
_NUMBER = (
    rf"^(?:[+-]?[{_CURRENCY}]?|[{_CURRENCY}][+-])"
    r"(?:\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?"
    rf"\s?[{_CURRENCY}%]?$"
)
_ISO = (
    r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?"
    r"(?: ?(?:Z|UTC|[+-]\d{2}(?::?\d{2})?))?)?$"
)
_ZONE = r"[+-]\d{2}(?::?\d{2})?$"
ISO_FORMAT = "ISO8601"
# Tried in this order; month first wins where a column fits both readings.
TIMESTAMP_FORMATS: tuple[tuple[str, str], ...] = (
    (ISO_FORMAT, _ISO),
    ("%Y%m%d", r"^(?:19|20)\d{6}$"),
    ("%Y%m%dT%H%M%S", r"^(?:19|20)\d{6}T\d{6}$"),
    ("%Y/%m/%d", r"^\d{4}/\d{1,2}/\d{1,2}$"),
    ("%Y/%m/%d %H:%M:%S", r"^\d{4}/\d{1,2}/\d{1,2} \d{1,2}:\d{2}:\d{2}$"),
    ("%m/%d/%Y", r"^\d{1,2}/\d{1,2}/\d{4}$"),
    ("%d/%m/%Y", r"^\d{1,2}/\d{1,2}/\d{4}$"),
    ("%m/%d/%y", r"^\d{1,2}/\d{1,2}/\d{2}$"),
    ("%d/%m/%y", r"^\d{1,2}/\d{1,2}/\d{2}$"),
    ("%m/%d/%Y %H:%M", r"^\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}$"),
    ("%d/%m/%Y %H:%M", r"^\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}$"),
    ("%m/%d/%Y %H:%M:%S", r"^\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}:\d{2}$"),
    ("%d/%m/%Y %H:%M:%S", r"^\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}:\d{2}$"),
    ("%m/%d/%Y %I:%M:%S %p", r"^\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}:\d{2} [AaPp][Mm]$"),
    ("%d.%m.%Y", r"^\d{1,2}\.\d{1,2}\.\d{4}$"),
    ("%d.%m.%Y %H:%M", r"^\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d{2}$"),
    ("%d.%m.%Y %H:%M:%S", r"^\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d{2}:\d{2}$"),
    ("%d-%m-%Y", r"^\d{1,2}-\d{1,2}-\d{4}$"),
    ("%m-%d-%Y", r"^\d{1,2}-\d{1,2}-\d{4}$"),
    ("%d-%b-%Y", r"^\d{1,2}-[A-Za-z]{3}-\d{4}$"),
    ("%d %b %Y", r"^\d{1,2} [A-Za-z]{3} \d{4}$"),
    ("%d %B %Y", r"^\d{1,2} [A-Za-z]{3,9} \d{4}$"),
    ("%b %d, %Y", r"^[A-Za-z]{3} \d{1,2}, \d{4}$"),
    ("%B %d, %Y", r"^[A-Za-z]{3,9} \d{1,2}, \d{4}$"),
)
_PATTERNS = dict(TIMESTAMP_FORMATS)
_EXAMPLES = 5


@dataclass(frozen=True)
class DistinctTexts:
    """A column's cells as canonical text.

    `values` (V, sorted, without the sure missing markers), `codes_N` into them (-1: missing),
    `counts_V` cells per value, and `soft_V`: True where the value is a marker that means "missing"
    in columns of numbers and dates only.
    """

    values: tuple[str, ...]
    codes_N: NDArray[np.int32]
    counts_V: NDArray[np.int64]
    soft_V: NDArray[np.bool_]

    @property
    def n_cells(self) -> int:
        """Cells that hold a value."""
        return int(self.counts_V.sum())


def distinct_texts(array: pa.Array | pa.ChunkedArray) -> DistinctTexts:
    """Canonical distinct texts of a column.

    Canonical: trimmed; `true`/`false` in lower case; whole numbers without trailing `.0`. With it
    a Parquet integer, a DataFrame float and a CSV cell of the same value are the same text.
    """
    chunked = pa.chunked_array([array]) if isinstance(array, pa.Array) else array
    if chunked.num_chunks == 0 or pa.types.is_null(chunked.type):
        empty = np.zeros(0, np.int64)
        return DistinctTexts((), np.full(len(chunked), -1, np.int32), empty, empty.astype(bool))
    combined = _flat(chunked)
    encoded = combined.dictionary_encode()
    texts = _canonical(encoded.dictionary)
    # Canonical texts may coincide: number them anew, sorted.
    values, position = np.unique(texts, return_inverse=True)
    lowered = [value.lower() for value in values]
    missing = np.fromiter((text in MISSING_MARKERS for text in lowered), bool, len(values))
    soft = np.fromiter((text in NUMERIC_MISSING_MARKERS for text in lowered), bool, len(values))
    renumbered = np.where(missing, -1, np.cumsum(~missing) - 1)
    by_entry = np.append(renumbered[position], -1)  # the last entry stands for null
    index = encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
    codes = by_entry[index].astype(np.int32)
    kept = tuple(str(value) for value in values[~missing])
    counts = np.bincount(codes[codes >= 0], minlength=len(kept)).astype(np.int64)
    return DistinctTexts(kept, codes, counts, soft[~missing])


def _flat(chunked: pa.ChunkedArray) -> pa.Array:
    """One array of a type that can be dictionary-encoded and cast to text."""
    combined = chunked.combine_chunks()
    if isinstance(combined, pa.ChunkedArray):
        combined = pa.concat_arrays(combined.chunks)
    if isinstance(combined, pa.ExtensionArray):
        combined = combined.storage
    kind = combined.type
    if pa.types.is_dictionary(kind):
        combined = combined.dictionary_decode()
        kind = combined.type
    if pa.types.is_nested(kind):
        # Rare (lists, structs): kept as JSON text rather than refused.
        return pa.array(
            [
                None if cell is None else json.dumps(cell, default=str, sort_keys=True)
                for cell in combined.to_pylist()
            ],
            pa.string(),
        )
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.array(
            [
                None if cell is None else cell.decode("utf-8", "backslashreplace")
                for cell in combined.to_pylist()
            ],
            pa.string(),
        )
    if pa.types.is_duration(kind):
        return combined.cast(pa.int64())
    if pa.types.is_float16(kind):
        return combined.cast(pa.float32())
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return combined.cast(pa.string())
    return combined


def _canonical(dictionary: pa.Array) -> NDArray[np.object_]:
    texts = pc.cast(dictionary, pa.string())
    texts = pc.utf8_trim_whitespace(texts)
    texts = pc.replace_substring_regex(texts, r"^([+-]?(?:0|[1-9]\d*))\.0+$", r"\1")
    lowered = pc.utf8_lower(texts)
    texts = pc.if_else(pc.is_in(lowered, pa.array(["true", "false"])), lowered, texts)
    result: NDArray[np.object_] = texts.to_numpy(zero_copy_only=False).astype(object)
    return result


def parse_numbers(texts: tuple[str, ...] | list[str] | NDArray[np.object_]) -> NDArray[np.float64]:
    """Numbers of V texts, NaN where a text is none.

    Understood: `1,234.5` (thousands), `12%` (= 0.12), `$5`, `-3 €`, `1e5`. Words, infinities and
    values beyond float64 stay unparsed.
    """
    array = pa.array(list(texts), pa.string())
    numbers = np.full(len(array), np.nan)
    array = pc.utf8_trim_whitespace(array)
    fits = pc.match_substring_regex(array, _NUMBER).to_numpy(zero_copy_only=False).astype(bool)
    if not fits.any():
        return numbers
    chosen = array.filter(pa.array(fits))
    percent = pc.ends_with(chosen, "%").to_numpy(zero_copy_only=False).astype(bool)
    # A plus says nothing, neither in front nor in an exponent.
    bare = pc.replace_substring_regex(chosen, rf"[{_CURRENCY}%,+\s]", "")
    values = pd.to_numeric(pd.Series(bare.to_pylist(), dtype="object"), errors="coerce")
    parsed = values.to_numpy(dtype=np.float64, na_value=np.nan)
    parsed = np.where(percent, parsed / 100.0, parsed)
    numbers[fits] = np.where(np.isfinite(parsed), parsed, np.nan)
    return numbers


def parse_timestamps(
    texts: tuple[str, ...] | list[str] | NDArray[np.object_], timestamp_format: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seconds since 1970 UTC and hours from UTC of V texts, NaN where a text does not fit.

    `timestamp_format` is one of `TIMESTAMP_FORMATS`: one column, one format. Texts without a zone
    are taken as UTC, offset 0.
    """
    array = pa.array(list(texts), pa.string())
    seconds = np.full(len(array), np.nan)
    offsets = np.full(len(array), np.nan)
    array = pc.utf8_trim_whitespace(array)
    pattern = _PATTERNS[timestamp_format]
    fits = pc.match_substring_regex(array, pattern).to_numpy(zero_copy_only=False).astype(bool)
    if not fits.any():
        return seconds, offsets
    chosen = pd.Series(array.filter(pa.array(fits)).to_pylist(), dtype="object")
    zone = pd.Series("", index=chosen.index, dtype="object")
    if timestamp_format == ISO_FORMAT:
        zoned = chosen.str.len() > len("2000-01-01 00:00")
        found = chosen.where(zoned, "").str.extract(f"({_ZONE})", expand=False).fillna("")
        zone = found.astype("object")
        chosen = chosen.str.replace(r" ?(?:Z|UTC)$", "", regex=True)
        local = chosen.where(zone == "", chosen.str.replace(f" ?{_ZONE}", "", regex=True))
    else:
        local = chosen
    moments = pd.to_datetime(local, format=timestamp_format, errors="coerce")
    epoch = moments.astype("datetime64[us]").to_numpy().astype("datetime64[us]")
    known = ~np.isnat(epoch)
    hours = _offset_hours(zone)
    utc = epoch.astype(np.int64) / 1e6 - hours * 3600.0
    seconds[fits] = np.where(known, utc, np.nan)
    offsets[fits] = np.where(known, hours, np.nan)
    return seconds, offsets


def _offset_hours(zone: pd.Series) -> NDArray[np.float64]:
    codes, uniques = pd.factorize(zone)
    hours = []
    for text in uniques:
        digits = str(text).replace(":", "")
        sign = -1.0 if digits.startswith("-") else 1.0
        hours.append(sign * (float(digits[1:3]) + float(digits[3:5] or 0) / 60) if digits else 0.0)
    result: NDArray[np.float64] = np.asarray(hours, dtype=np.float64)[codes]
    return result


def best_timestamp_format(
    values: tuple[str, ...], counts_V: NDArray[np.int64]
) -> tuple[str | None, float]:
    """The format that most cells fit (by count) and the share of cells that fit it."""
    total = float(counts_V.sum())
    if total == 0:
        return None, 0.0
    sample = values[:: max(1, len(values) // 50)]
    best: str | None = None
    share = 0.0
    for name, _ in TIMESTAMP_FORMATS:
        if np.isnan(parse_timestamps(sample, name)[0]).all():
            continue
        fits = ~np.isnan(parse_timestamps(values, name)[0])
        reached = float(counts_V[fits].sum()) / total
        if reached > share:
            best, share = name, reached
    return best, share


def typed_column(
    name: str,
    array: pa.Array | pa.ChunkedArray,
    type: ColumnType,
    column_schema: ColumnSchema | None,
) -> TypedColumn:
    """Cells of one column as `type` understands them, N rows.

    `column_schema` gives the timestamp format that was frozen in training; without one the best
    format of the column at hand is taken. Cells that do not parse are missing, counted, and up to
    five of them are listed.
    """
    timestamp_format = column_schema.timestamp_format if column_schema is not None else None
    return typed_from_texts(name, distinct_texts(array), type, timestamp_format)


def typed_from_texts(
    name: str, texts: DistinctTexts, type: ColumnType, timestamp_format: str | None
) -> TypedColumn:
    """`typed_column` for texts that are at hand already."""
    if type is ColumnType.SCALAR:
        values = parse_numbers(texts.values)
        offsets = None
    elif type is ColumnType.TIMESTAMP:
        fmt = timestamp_format or best_timestamp_format(texts.values, texts.counts_V)[0]
        values, offsets = parse_timestamps(texts.values, fmt or ISO_FORMAT)
    else:
        return _categorical(name, texts, type)
    failed = np.isnan(values) & ~texts.soft_V
    by_frequency = sorted(
        np.flatnonzero(failed).tolist(), key=lambda v: (-int(texts.counts_V[v]), texts.values[v])
    )
    numbers = np.append(values, np.nan)[texts.codes_N]
    return TypedColumn(
        name=name,
        type=type,
        missing_N=np.isnan(numbers),
        numbers_N=numbers,
        offsets_N=None if offsets is None else np.append(offsets, np.nan)[texts.codes_N],
        n_unparsed=int(texts.counts_V[failed].sum()),
        unparsed_examples=tuple(texts.values[v] for v in by_frequency[:_EXAMPLES]),
    )


def _categorical(name: str, texts: DistinctTexts, type: ColumnType) -> TypedColumn:
    values, codes = texts.values, texts.codes_N
    if type is ColumnType.BOOLEAN:
        lowered, position = np.unique([value.lower() for value in values], return_inverse=True)
        values = tuple(str(value) for value in lowered)
        codes = np.append(position, -1).astype(np.int32)[codes]
    return TypedColumn(
        name=name, type=type, missing_N=codes < 0, codes_N=codes.astype(np.int32), texts=values
    )
