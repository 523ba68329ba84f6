"""What kind of column is this? Candidate types are tried in turn and refuse themselves (DATA-2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from featrix_core.tables.cleaning import (
    DistinctTexts,
    best_timestamp_format,
    distinct_texts,
    parse_numbers,
)
from featrix_core.tables.schema import ColumnType

CLEAR_SHARE = 0.95  # of the cells: the type is beyond doubt
MAJORITY_SHARE = (
    0.5  # of the cells, to be passed: the type wins and the rest is counted as unparsed
)
BOOLEAN_PAIRS = (
    frozenset({"true", "false"}),
    frozenset({"yes", "no"}),
    frozenset({"0", "1"}),
    frozenset({"t", "f"}),
    frozenset({"y", "n"}),
    frozenset({"on", "off"}),
)
_LEADING_ZERO = re.compile(r"^0\d+$")
_LEADING_ZERO_SHARE = 0.05
_FEW_VALUES = 20
_RECURRING_ROWS = 5
_LONG_WORDS = 4.0
_MANY_VALUES = 50
_REPEATED_SHARE = 0.05
_VARIED_SHARE = 0.5

# Forms of identifiers that carry no meaning (section 16 of the source).
IDENTIFIER_PATTERNS: dict[str, re.Pattern[str]] = {
    "UUID": re.compile(r"^\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\}?$", re.IGNORECASE),
    "hexadecimal hash": re.compile(
        r"^(?:0x)?(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$", re.IGNORECASE
    ),
    "snowflake": re.compile(r"^[1-9]\d{18}$"),
}


@dataclass(frozen=True)
class TypeDecision:
    """The type of a column, why, and the type that came second."""

    type: ColumnType
    evidence: str
    runner_up: ColumnType | None = None
    timestamp_format: str | None = None


def detect_type(name: str, array: pa.Array | pa.ChunkedArray) -> TypeDecision:
    """Semantic type of a column; `name` is part of the interface and carries no weight today."""
    return decide_type(distinct_texts(array))


def decide_type(texts: DistinctTexts) -> TypeDecision:
    """`detect_type` for texts that are at hand already."""
    if not texts.values:
        return TypeDecision(ColumnType.SET, "no cell has a value")
    lowered = frozenset(value.lower() for value in texts.values)
    if lowered in BOOLEAN_PAIRS:
        return TypeDecision(
            ColumnType.BOOLEAN,
            f"the two values are {' and '.join(sorted(lowered))}",
            ColumnType.SET,
        )
    return (
        _as_timestamp(texts, CLEAR_SHARE)
        or _as_scalar(texts)
        or _as_timestamp(texts, MAJORITY_SHARE)
        or _as_string(texts)
    )


def identifier_pattern(values: tuple[str, ...]) -> str | None:
    """Which identifier form at least 95 % of the values have, or None."""
    if not values:
        return None
    for kind, pattern in IDENTIFIER_PATTERNS.items():
        if sum(pattern.match(value) is not None for value in values) >= CLEAR_SHARE * len(values):
            return kind
    return None


def _share(fits_V: NDArray[np.bool_], texts: DistinctTexts) -> float:
    """Share of the cells that fit, markers such as "-" left aside."""
    judged = texts.counts_V[~texts.soft_V].sum()
    return float(texts.counts_V[fits_V & ~texts.soft_V].sum() / judged) if judged else 0.0


def _as_timestamp(texts: DistinctTexts, least: float) -> TypeDecision | None:
    hard = ~texts.soft_V
    values = tuple(value for value, kept in zip(texts.values, hard, strict=True) if kept)
    fmt, share = best_timestamp_format(values, texts.counts_V[hard])
    if fmt is None or share < least or share <= MAJORITY_SHARE:
        return None
    return TypeDecision(
        ColumnType.TIMESTAMP,
        f"{share:.1%} of the cells are timestamps of the form {fmt}",
        ColumnType.SCALAR if fmt == "%Y%m%d" else ColumnType.SET,
        fmt,
    )


def _as_scalar(texts: DistinctTexts) -> TypeDecision | None:
    parsed = ~np.isnan(parse_numbers(texts.values))
    share = _share(parsed, texts)
    if share <= MAJORITY_SHARE:
        return None
    zeros = np.fromiter((_LEADING_ZERO.match(v) is not None for v in texts.values), bool)
    if _share(zeros, texts) >= _LEADING_ZERO_SHARE:
        return TypeDecision(
            ColumnType.SET, "digits with leading zeros are codes, not quantities", ColumnType.SCALAR
        )
    doubt = share < CLEAR_SHARE
    if doubt and _recurring_words(parsed, texts):
        return TypeDecision(
            ColumnType.SET,
            f"{share:.1%} of the cells are numbers, the others are a few recurring words",
            ColumnType.SCALAR,
        )
    return TypeDecision(
        ColumnType.SCALAR,
        f"{share:.1%} of the cells are numbers",
        ColumnType.SET if doubt or len(texts.values) <= _FEW_VALUES else None,
    )


def _recurring_words(parsed_V: NDArray[np.bool_], texts: DistinctTexts) -> bool:
    """Levels such as 1, 2, 3, 4, "5+": dropping the words as unparsed would lose a category."""
    words = ~parsed_V & ~texts.soft_V
    return len(texts.values) <= _FEW_VALUES and bool(
        texts.counts_V[words].min(initial=_RECURRING_ROWS) >= _RECURRING_ROWS
    )


def _as_string(texts: DistinctTexts) -> TypeDecision:
    words = np.fromiter((len(value.split()) for value in texts.values), float)
    mean_words = float(words @ texts.counts_V / texts.n_cells)
    distinct = len(texts.values)
    share = distinct / texts.n_cells
    long = mean_words >= _LONG_WORDS and (
        share > _VARIED_SHARE or (distinct > _MANY_VALUES and share > _REPEATED_SHARE)
    )
    varied = (
        mean_words > 1.5
        and share > _VARIED_SHARE
        and distinct > _MANY_VALUES
        and identifier_pattern(texts.values) is None
    )
    figures = f"{distinct} distinct values in {texts.n_cells} cells, {mean_words:.1f} words each"
    if long or varied:
        return TypeDecision(ColumnType.TEXT, figures, ColumnType.SET)
    return TypeDecision(ColumnType.SET, figures, ColumnType.TEXT if mean_words > 1.5 else None)
