"""What kind of column is this? Candidate types are tried in turn and refuse themselves (DATA-2).

The order matters: the first candidate that accepts decides.

1. boolean: two values only, so nothing else is meant by them.
2. vector, list of strings, JSON: brackets speak for themselves.
3. codes that would pass for numbers or dates (leading zeros, network addresses, versions), and
   telephone numbers of bare digits.
4. ordinal: ranges and numbered levels would pass for broken numbers.
5. timestamps beyond doubt (digits such as 20240131), numbers that name users or places, then numbers,
   then mostly timestamps.
6. e-mail, URL, domain, phone, address: by the form of the values.
7. documents, delimited lists, structured codes, free text, and categories for the rest.

The values decide. A column's name is weak evidence: it tells plain numbers that are moments, postal
or phone numbers from quantities, and lets letters be grades.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from featrix_core.tables import candidates, text_kinds
from featrix_core.tables.column import CLEAR_SHARE, MAJORITY_SHARE, Accepted, Column, Refused
from featrix_core.tables.schema import ColumnType, Refusal
from featrix_core.tables.structured import arrow_vectors
from featrix_core.tables.text_kinds import IDENTIFIER_PATTERNS, identifier_pattern
from featrix_core.tables.texts import DistinctTexts, distinct_texts

__all__ = [
    "CLEAR_SHARE",
    "IDENTIFIER_PATTERNS",
    "MAJORITY_SHARE",
    "TypeDecision",
    "decide_column",
    "decide_type",
    "detect_type",
    "identifier_pattern",
]

Candidate = Callable[[Column], Accepted | Refused]
_RUNNER_UP_SHARE = 0.2
_CHAIN: tuple[Candidate, ...] = (
    candidates.boolean,
    candidates.vector,
    text_kinds.string_lists,
    candidates.json_cells,
    text_kinds.coded,
    candidates.called_phone,
    candidates.ordinal,
    candidates.clear_timestamp,
    candidates.recurring_id,
    candidates.scalar,
    candidates.mostly_timestamp,
    candidates.email,
    candidates.url,
    candidates.domain,
    candidates.phone,
    candidates.address,
    text_kinds.document,
    text_kinds.delimited,
    text_kinds.structured_code,
    candidates.text,
    candidates.category,
)


def _nothing() -> Accepted:
    return Accepted(ColumnType.SET, "no cell has a value")


@dataclass(frozen=True)
class TypeDecision:
    """The type of a column, why, the type that came second, and those that refused with reasons.

    `fit` is what the type learned of the cells: format, decimal mark, unit, delimiter, …
    """

    type: ColumnType
    evidence: str
    runner_up: ColumnType | None = None
    refusals: tuple[Refusal, ...] = ()
    fit: Accepted = field(default_factory=_nothing)


def detect_type(name: str, array: pa.Array | pa.ChunkedArray) -> TypeDecision:
    """Semantic type of a column of cells; `name` is weak evidence beside them."""
    decision = native_type(array)
    return decision if decision is not None else decide_type(distinct_texts(array), name)


def native_type(array: pa.Array | pa.ChunkedArray) -> TypeDecision | None:
    """The type that an Arrow list of numbers of one length has; None for all other columns."""
    vectors = arrow_vectors(array)
    if vectors is None or vectors.vectors_NH.shape[1] < 2 or vectors.share < CLEAR_SHARE:
        return None
    fit = Accepted(
        ColumnType.VECTOR,
        f"{vectors.share:.1%} of the lists hold {vectors.vectors_NH.shape[1]} numbers",
        vectors.share,
        ColumnType.JSON,
        dimension=vectors.vectors_NH.shape[1],
    )
    return TypeDecision(fit.type, fit.evidence, fit.runner_up, (), fit)


def decide_type(texts: DistinctTexts, name: str = "") -> TypeDecision:
    """`detect_type` for texts that are at hand already."""
    return decide_column(Column(name, texts))


def decide_column(column: Column) -> TypeDecision:
    """`detect_type` for a column whose figures are wanted later on."""
    if not column.values:
        return TypeDecision(ColumnType.SET, _nothing().evidence)
    refused: list[Refused] = []
    for candidate in _CHAIN:
        verdict = candidate(column)
        if isinstance(verdict, Accepted):
            return TypeDecision(
                verdict.type,
                verdict.evidence,
                _runner_up(verdict, refused),
                _reasons(verdict, refused),
                verdict,
            )
        refused.append(verdict)
    raise AssertionError("the last candidate takes every column")


def _runner_up(verdict: Accepted, refused: list[Refused]) -> ColumnType | None:
    """The type that nearly took the column, else what the accepted one is closest to."""
    close = [r for r in refused if r.type is not verdict.type and r.share > _RUNNER_UP_SHARE]
    return max(close, key=lambda r: r.share).type if close else verdict.runner_up


def _reasons(verdict: Accepted, refused: list[Refused]) -> tuple[Refusal, ...]:
    """One reason per type: the last one, of candidates that were tried twice."""
    reasons = {r.type: r.reason for r in refused if r.type is not verdict.type}
    return tuple(Refusal(type=type, reason=reason) for type, reason in reasons.items())
