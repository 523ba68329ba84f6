"""A column's cells as canonical distinct texts (DATA-2, DATA-4).

All later work is done once per *distinct* cell; rows only carry codes into the distinct texts.

Shape legend: N rows, V distinct texts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# Nothing but "no value" in any column.
MISSING_MARKERS = frozenset(
    ["", "?", "null", "(null)", "nan", "-nan", "nat", "<na>", "na", "#na", "n/a", "#n/a", "n.a."]
).union(["\\n", "1.#qnan", "-1.#ind"])
# Real categories in some columns ("none" = no guarantor), "no value" in numbers and dates.
NUMERIC_MISSING_MARKERS = frozenset(["none", "-", "--", ".", "nil", "unknown", "missing"])


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

    @property
    def judged(self) -> int:
        """Cells that hold a value, markers such as "-" left aside."""
        return int(self.counts_V[~self.soft_V].sum())

    def share(self, fits_V: NDArray[np.bool_]) -> float:
        """Share of the judged cells whose value fits; 0 where no cell is judged."""
        judged = self.judged
        return float(self.counts_V[fits_V & ~self.soft_V].sum() / judged) if judged else 0.0

    def examples(self, chosen_V: NDArray[np.bool_], most: int = 5) -> tuple[str, ...]:
        """The most frequent of the chosen values, ties by name."""
        # `values` are sorted and the sort is stable, so ties stay by name.
        index = np.flatnonzero(chosen_V)
        order = index[np.argsort(-self.counts_V[index], kind="stable")]
        return tuple(self.values[v] for v in order[:most].tolist())

    def mapped(self, texts: list[str | None]) -> DistinctTexts:
        """With new texts for the V values (None: missing); equal texts become one value."""
        kept = sorted({text for text in texts if text is not None})
        place = {text: position for position, text in enumerate(kept)}
        position_V = np.array([-1 if t is None else place[t] for t in texts] + [-1], np.int32)
        codes = position_V[self.codes_N]
        counts = np.bincount(codes[codes >= 0], minlength=len(kept)).astype(np.int64)
        soft = np.fromiter((t.lower() in NUMERIC_MISSING_MARKERS for t in kept), bool, len(kept))
        return DistinctTexts(tuple(kept), codes, counts, soft)


def distinct_texts(array: pa.Array | pa.ChunkedArray) -> DistinctTexts:
    """Canonical distinct texts of a column.

    Canonical: trimmed; `true`/`false` in lower case; whole numbers without trailing `.0`. With it
    a Parquet integer, a DataFrame float and a CSV cell of the same value are the same text. Lists,
    structs and maps become JSON text.
    """
    chunked = pa.chunked_array([array]) if isinstance(array, pa.Array) else array
    if chunked.num_chunks == 0 or pa.types.is_null(chunked.type):
        empty = np.zeros(0, np.int64)
        return DistinctTexts((), np.full(len(chunked), -1, np.int32), empty, empty.astype(bool))
    combined = plain_array(chunked)
    encoded = _as_texts(combined).dictionary_encode()
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


def cell_texts(array: pa.Array | pa.ChunkedArray) -> NDArray[np.object_]:
    """Canonical text of every cell (N), empty where there is none."""
    texts = distinct_texts(array)
    shown: NDArray[np.object_] = np.array([*texts.values, ""], dtype=object)[texts.codes_N]
    return shown


def class_text(value: object) -> str:
    """What a class is called that a user names by a cell of it: `True`, `1.0` or ` yes`."""
    try:
        told = distinct_texts(pa.array([value])).values
    except pa.ArrowException:
        told = ()
    return told[0] if told else str(value)


def plain_array(chunked: pa.ChunkedArray) -> pa.Array:
    """One array without chunks, extension types and dictionaries."""
    combined = chunked.combine_chunks()
    if isinstance(combined, pa.ChunkedArray):
        combined = pa.concat_arrays(combined.chunks)
    if isinstance(combined, pa.ExtensionArray):
        combined = combined.storage
    if pa.types.is_dictionary(combined.type):
        combined = combined.dictionary_decode()
    if pa.types.is_run_end_encoded(combined.type):
        combined = pc.run_end_decode(combined)
    return combined


def _as_texts(combined: pa.Array) -> pa.Array:
    """An array of a type that can be dictionary-encoded and cast to text."""
    kind = combined.type
    if pa.types.is_nested(kind):
        plain = _plainer(kind)
        return pa.array(
            [None if cell is None else json_text(plain(cell)) for cell in combined.to_pylist()],
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
    if pa.types.is_interval(kind):
        return pa.array([None if cell is None else str(cell) for cell in combined.to_pylist()])
    if pa.types.is_duration(kind):
        return combined.cast(pa.int64())
    if pa.types.is_float16(kind):
        return combined.cast(pa.float32())
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return combined.cast(pa.string())
    return combined


def json_text(cell: object, strict: bool = False) -> str:
    """Canonical JSON: keys sorted, non-ASCII as it is; ValueError for NaN where `strict`."""
    return json.dumps(cell, default=str, sort_keys=True, ensure_ascii=False, allow_nan=not strict)


def _plainer(kind: pa.DataType) -> Callable[[object], object]:
    """Maps arrive as lists of pairs; as JSON they are objects."""
    if not pa.types.is_map(kind):
        return lambda cell: cell
    return lambda cell: {str(key): value for key, value in cell}  # type: ignore[attr-defined]


def _canonical(dictionary: pa.Array) -> NDArray[np.object_]:
    texts = pc.cast(dictionary, pa.string())
    texts = pc.utf8_trim_whitespace(texts)
    # "1.000" stays: where commas are decimal marks, it is a thousand.
    texts = pc.replace_substring_regex(texts, r"^([+-]?(?:0|[1-9]\d*))\.0(?:0|0{3,})?$", r"\1")
    texts = pc.if_else(pc.equal(texts, "-0"), "0", texts)  # what rounding makes of -0.3
    lowered = pc.utf8_lower(texts)
    texts = pc.if_else(pc.is_in(lowered, pa.array(["true", "false"])), lowered, texts)
    result: NDArray[np.object_] = texts.to_numpy(zero_copy_only=False).astype(object)
    return result
