"""Turn a `TableSchema` into the report's table of columns (DATA-2, DATA-5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from featrix_core.report.content import ColumnEntry, Columns, DroppedEntry
from featrix_core.report.text import number, percent, plain, shorten
from featrix_core.tables.schema import ColumnSchema, ColumnType, TableSchema

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SHOWN_STRATEGIES = 4


def columns_from_schema(
    schema: TableSchema, encodings: Mapping[str, Mapping[str, Any]] | None = None
) -> Columns:
    """The columns section for a schema: kept columns in the table's order, then dropped ones.

    `encodings`: per column what training chose (`training_info["columns"]` of a space).
    """
    warnings: dict[str, list[str]] = defaultdict(list)
    for notice in schema.notices:
        if notice.column is not None:
            said = notice.message.removeprefix(f"Column {notice.column!r}").lstrip(": ")
            warnings[notice.column].append(f"{said} ({notice.action})" if notice.action else said)
    encodings = encodings or {}
    kept = tuple(
        _entry(column, warnings[column.name], encodings.get(column.name, {}))
        for column in schema.columns
    )
    dropped = tuple(
        DroppedEntry(
            name=column.name,
            reason=column.reason,
            message=column.message,
            score=column.score,
            score_parts=column.score_parts,
        )
        for column in schema.dropped
    )
    n_rows = max((column.n_rows for column in schema.columns), default=None)
    return Columns(kept=kept, dropped=dropped, n_rows=n_rows)


def _entry(column: ColumnSchema, warnings: list[str], encoding: Mapping[str, Any]) -> ColumnEntry:
    decision = "kept, type set by hand" if column.overridden else "kept"
    if column.n_unparsed:
        decision += f", {column.n_unparsed:,} cells not parsed"
    return ColumnEntry(
        name=column.name,
        type=column.type.value,
        evidence=column.evidence,
        runner_up=column.runner_up.value if column.runner_up else "",
        refusals=tuple(f"{refusal.type.value}: {refusal.reason}" for refusal in column.refusals),
        warnings=tuple(warnings),
        encoding=_encoding(encoding),
        missing_share=column.n_missing / column.n_rows if column.n_rows else None,
        n_unique=column.n_unique,
        statistics=_summary(column),
        decision=decision,
    )


def _encoding(chosen: Mapping[str, Any]) -> str:
    """Surviving strategies, largest first, and the mean gate, in words."""
    strategies = sorted(chosen.get("strategies", {}).items(), key=lambda pair: -pair[1])
    words = [f"{name} {percent(share)}" for name, share in strategies[:SHOWN_STRATEGIES]]
    if len(strategies) > SHOWN_STRATEGIES:
        words.append(f"{len(strategies) - SHOWN_STRATEGIES} more")
    for gate, what in (("continuous_share", "continuous path"), ("learned_share", "learned path")):
        if gate in chosen:
            words.append(f"{what} {percent(chosen[gate])}")
    return ", ".join(words)


def _summary(column: ColumnSchema) -> str:
    """One line on the column's values."""
    figures = column.statistics
    if column.type is ColumnType.TIMESTAMP and {"min", "max"} <= figures.keys():
        return f"{_day(figures['min'])} to {_day(figures['max'])}"
    if {"median", "q01", "q99"} <= figures.keys():
        middle = f"median {plain(figures['median'])}"
        return f"{middle}, 98 % in {plain(figures['q01'])} … {plain(figures['q99'])}"
    present = column.n_rows - column.n_missing
    if column.categories and present > 0:
        pairs = zip(column.categories[:3], column.category_counts[:3], strict=False)
        return ", ".join(f"{shorten(name, 24)} {percent(n / present)}" for name, n in pairs)
    return ""


def _day(seconds: float) -> str:
    """The UTC day of a time in seconds since 1970; years outside datetime's range stay numbers."""
    try:
        return (EPOCH + timedelta(seconds=seconds)).date().isoformat()
    except OverflowError:
        return number(seconds)
