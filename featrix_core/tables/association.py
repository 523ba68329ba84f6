"""How strongly columns depend on one another: Cramér's V on coarse codes (DATA-9).

Shape legend: N rows (a sample), L levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from featrix_core.tables.cleaning import distinct_texts, parse_numbers
from featrix_core.tables.schema import ColumnSchema, ColumnType
from featrix_core.tables.table import Table

ROWS = 2000
LEVELS = 10


def column_codes(table: Table, columns: Sequence[ColumnSchema]) -> dict[str, NDArray[np.int64]]:
    """Each column in at most ten levels and one for missing cells, on 2,000 evenly spaced rows.

    Numbers fall into quantile bins, all else into the most frequent values and one level for the
    rest.
    """
    rows = np.unique(np.linspace(0, max(table.n_rows - 1, 0), min(ROWS, table.n_rows)).astype(int))
    part = table.take(rows.astype(np.int64))
    return {column.name: _codes(part, column) for column in columns}


def _codes(table: Table, column: ColumnSchema) -> NDArray[np.int64]:
    texts = distinct_texts(table.arrow[column.name])
    if column.type is ColumnType.SCALAR:
        numbers = np.append(parse_numbers(texts.values), np.nan)[texts.codes_N]
        present = numbers[~np.isnan(numbers)]
        inner = np.linspace(0, 1, LEVELS + 1)[1:-1]
        edges = np.unique(np.quantile(present, inner)) if present.size else np.zeros(0)
        codes = np.searchsorted(edges, numbers, side="right").astype(np.int64)
        codes[np.isnan(numbers)] = len(edges) + 1
        return codes
    order = np.argsort(-texts.counts_V, kind="stable")[: LEVELS - 1]
    level_V = np.full(len(texts.values) + 1, LEVELS - 1, np.int64)
    level_V[order] = np.arange(len(order))
    level_V[-1] = LEVELS  # missing
    return level_V[texts.codes_N]


def cramers_v(one_N: NDArray[np.int64], other_N: NDArray[np.int64]) -> float:
    """Bias-corrected Cramér's V in [0, 1] of two code columns; 0 where one is constant."""
    n = len(one_N)
    if n < 2:
        return 0.0
    width = int(other_N.max()) + 1
    table = np.bincount(one_N * width + other_N, minlength=(int(one_N.max()) + 1) * width)
    counts = table.reshape(-1, width).astype(np.float64)
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    r, k = counts.shape
    if r < 2 or k < 2:
        return 0.0
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / n
    phi = float(((counts - expected) ** 2 / expected).sum() / n)
    phi = max(0.0, phi - (r - 1) * (k - 1) / (n - 1))
    smaller = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(min(phi / smaller, 1.0))) if smaller > 0 else 0.0


def mean_association(
    codes: Mapping[str, NDArray[np.int64]], inside: Sequence[str], outside: Sequence[str] = ()
) -> float:
    """Mean Cramér's V over pairs within `inside`, or between `inside` and `outside` where given."""
    pairs = list(product(inside, outside)) if outside else list(combinations(inside, 2))
    if not pairs:
        return 0.0
    return float(np.mean([cramers_v(codes[a], codes[b]) for a, b in pairs]))
