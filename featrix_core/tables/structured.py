"""Cells that hold several values: vectors and JSON (DATA-2).

Shape legend: N rows, V distinct texts, H dimensions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from featrix_core.tables.texts import DistinctTexts, json_text, plain_array

_BARE = re.compile(r"^[-+.\deE,;\s\[\]()]+$")
_LONGEST = 1_000_000


@dataclass(frozen=True)
class ArrowVectors:
    """Vectors of an Arrow list column: `vectors_NH` (zeros where missing), which rows have none, and
    which rows hold a list that is no vector of this length."""

    vectors_NH: NDArray[np.float32]
    missing_N: NDArray[np.bool_]
    unfit_N: NDArray[np.bool_]

    @property
    def share(self) -> float:
        """Share of the rows with a list that are vectors of this length."""
        held = int((~self.missing_N).sum() + self.unfit_N.sum())
        return float((~self.missing_N).sum() / held) if held else 0.0


def is_number_list(kind: pa.DataType) -> bool:
    """Whether an Arrow type is a list of numbers."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    lists = (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
    return bool(
        lists and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))
    )


def arrow_vectors(
    array: pa.Array | pa.ChunkedArray, dimension: int | None = None
) -> ArrowVectors | None:
    """Vectors straight from an Arrow list column; None if it is no list of numbers or has none.

    `dimension`: the length that counts; without it the most frequent one.
    """
    if not is_number_list(array.type):
        return None
    plain = plain_array(pa.chunked_array([array]) if isinstance(array, pa.Array) else array)
    n_rows = len(plain)
    lengths = pc.list_value_length(plain).fill_null(-1).to_numpy(zero_copy_only=False)
    held = lengths > 0
    if dimension is None:
        if not held.any():
            return None
        sizes, counts = np.unique(lengths[held], return_counts=True)
        dimension = int(sizes[np.argmax(counts)])
    chosen = lengths == dimension
    flat = plain.filter(pa.array(chosen)).flatten()
    numbers = flat.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
    rows = numbers.reshape(-1, dimension).astype(np.float32)
    sound = np.isfinite(rows).all(axis=1)
    vectors = np.zeros((n_rows, dimension), np.float32)
    vectors[chosen] = np.where(sound[:, None], rows, 0.0)
    fits = np.zeros(n_rows, np.bool_)
    fits[chosen] = sound
    return ArrowVectors(vectors, ~fits, ~fits & held)


def vector_codes(vectors: ArrowVectors) -> DistinctTexts:
    """Which rows hold the same vector, for the column filter; the texts are only labels."""
    rng = np.random.default_rng(42)
    projected = vectors.vectors_NH.astype(np.float64) @ rng.normal(size=vectors.vectors_NH.shape[1])
    _, position = np.unique(projected[~vectors.missing_N], return_inverse=True)
    codes = np.full(len(vectors.missing_N), -1, np.int32)
    codes[~vectors.missing_N] = position
    counts = np.bincount(position) if len(position) else np.zeros(0, np.int64)
    width = len(str(len(counts)))
    labels = tuple(f"vector {number:0{width}d}" for number in range(len(counts)))
    return DistinctTexts(labels, codes, counts.astype(np.int64), np.zeros(len(counts), np.bool_))


def parse_vector(text: str) -> list[float] | None:
    """Numbers of `[0.1, 0.2]`, `(1 2 3)` or `0.1;0.2`; None for anything else."""
    if len(text) > _LONGEST or _BARE.match(text) is None:
        return None
    inner = text.strip()
    if inner[:1] in "[(":
        if inner[-1:] != {"[": "]", "(": ")"}[inner[0]]:
            return None
        inner = inner[1:-1]
    elif "." not in inner:
        return None  # "1,234" or "3;4": a number, or a list of figures that are no measurements
    parts = re.split(r"\s*[,;]\s*|\s+", inner.strip())
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return None
    return numbers if len(numbers) > 1 and all(map(np.isfinite, numbers)) else None


def text_vectors(values: Sequence[str], dimension: int) -> NDArray[np.float32]:
    """V vectors (V, H) of texts, NaN rows where a text is no vector of this length."""
    rows = np.full((len(values), dimension), np.nan, np.float32)
    with np.errstate(over="ignore"):
        for v, text in enumerate(values):
            numbers = parse_vector(text)
            if numbers is not None and len(numbers) == dimension:
                rows[v] = numbers
    rows[~np.isfinite(rows).all(axis=1)] = np.nan  # beyond float32
    return rows


def parse_json(text: str) -> str | None:
    """Canonical text of a JSON object or array; None for anything else, also for one too deep."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return json_text(
            json.loads(text, parse_constant=lambda _: None, parse_float=_finite), strict=True
        )
    except (ValueError, RecursionError):
        return None


def _finite(text: str) -> float | None:
    number = float(text)
    return number if np.isfinite(number) else None


def string_list(text: str) -> list[str] | None:
    """The entries of `["a", "b"]` or `['a', 'b']`; None for anything else."""
    if not (text.startswith("[") and text.endswith("]")):
        return None
    try:
        cell = json.loads(text)
    except (ValueError, RecursionError):
        quoted = re.findall(r"'([^']*)'|\"([^\"]*)\"", text)
        bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", text[1:-1])
        return [a or b for a, b in quoted] if re.fullmatch(r"[\s,]*", bare) else None
    if not isinstance(cell, list) or not all(isinstance(part, str) for part in cell):
        return None
    return cell
