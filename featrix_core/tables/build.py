"""Fitting a `TableSchema` to a table, and reading tables by a frozen schema (DATA-2 … DATA-6)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import numpy as np

from featrix_core.errors import FeatrixUserError
from featrix_core.strings.embedder import TextEmbedder, get_default_embedder
from featrix_core.tables.cleaning import (
    DistinctTexts,
    best_timestamp_format,
    distinct_texts,
    typed_from_texts,
)
from featrix_core.tables.filtering import filter_column
from featrix_core.tables.schema import (
    ColumnSchema,
    ColumnType,
    DroppedColumn,
    Notice,
    TableSchema,
)
from featrix_core.tables.statistics import numeric_statistics
from featrix_core.tables.table import Table, TypedColumn
from featrix_core.tables.types import CLEAR_SHARE, TypeDecision, decide_type

HIGH_MISSING_SHARE = 0.5
RARE_ROWS = 5
_PARSED = (ColumnType.SCALAR, ColumnType.TIMESTAMP)
_CATEGORICAL = (ColumnType.SET, ColumnType.BOOLEAN)


def build_schema(
    table: Table,
    *,
    targets: Sequence[str] = (),
    exclude: Sequence[str] = (),
    overrides: Mapping[str, ColumnType] | None = None,
    embedder: TextEmbedder | None = None,
    max_categories: int = 4000,
) -> TableSchema:
    """Types, filter decisions and statistics of a table.

    Args:
        table: the training rows.
        targets: columns to be predicted; they stay out with reason "target".
        exclude: columns to leave out with reason "ignored".
        overrides: column types that the user sets; such columns are not judged as identifiers.
        embedder: sentence model for the column filter; loaded only where it decides.
        max_categories: most frequent categories to keep per column; the rest is unknown.

    Raises:
        FeatrixUserError: a named column does not exist, an override does not fit the cells, or no
            usable column is left.
    """
    overrides = overrides or {}
    for name in (*targets, *exclude, *overrides):
        if name not in table.names:
            raise missing_column(name, table.names)
    model = embedder if embedder is not None else get_default_embedder
    columns: list[ColumnSchema] = []
    dropped: list[DroppedColumn] = []
    notices: list[Notice] = list(table.notices)
    for name in table.names:
        if name in targets or name in exclude:
            dropped.append(_set_aside(name, name in targets))
            continue
        texts = distinct_texts(table.arrow[name])
        decision = decide_type(texts)
        override = overrides.get(name)
        left_out = filter_column(
            name, texts, override or decision.type, model, keep_identifier=override is not None
        )
        if left_out is not None:
            dropped.append(left_out)
            notices.append(_dropped_notice(left_out))
            continue
        column, seen = _fit_column(name, texts, decision, override, max_categories)
        columns.append(column)
        notices.extend(seen)
    if not columns:
        reasons = ", ".join(f"{column.name} ({column.reason})" for column in dropped)
        raise FeatrixUserError(
            f"{table.source.name} has no usable column: {reasons}",
            remedy="Give at least one column that varies and is neither target nor identifier",
        )
    return TableSchema(
        columns=tuple(columns),
        dropped=tuple(dropped),
        notices=tuple(notices),
        source_sha256=table.source.sha256,
    )


def typed_columns(table: Table, schema: TableSchema) -> dict[str, TypedColumn]:
    """Every column of the schema, read from `table` by its frozen type; others are ignored.

    Raises:
        FeatrixUserError: a column is missing, or more than half of the cells of a number or
            timestamp column do not parse (the column was retyped).
    """
    for name in schema.names:
        if name not in table.names:
            raise missing_column(name, table.names)
    result: dict[str, TypedColumn] = {}
    for column in schema.columns:
        texts = distinct_texts(table.arrow[column.name])
        typed = typed_from_texts(column.name, texts, column.type, column.timestamp_format)
        _require_fit(typed, column.timestamp_format)
        result[column.name] = typed
    return result


def scoring_notices(
    table: Table, schema: TableSchema, typed: Mapping[str, TypedColumn] | None = None
) -> tuple[Notice, ...]:
    """What differs from the training table: unknown categories, unparsed cells, further columns.

    `typed`: the result of `typed_columns(table, schema)` where it is at hand.
    """
    typed = typed if typed is not None else typed_columns(table, schema)
    notices: list[Notice] = []
    for column in schema.columns:
        cells = typed[column.name]
        if cells.n_unparsed:
            notices.append(_unparsed_notice(cells))
        if column.type in _CATEGORICAL:
            notices.extend(_unknown_notice(column, cells))
    known = {*schema.names, *(column.name for column in schema.dropped)}
    extra = [name for name in table.names if name not in known]
    if extra:
        notices.append(
            Notice(
                code="extra_columns",
                message="Columns that training did not see: " + ", ".join(map(repr, extra)),
                figure=float(len(extra)),
                action="ignored",
            )
        )
    return tuple(notices)


def missing_column(name: str, names: Sequence[str]) -> FeatrixUserError:
    """The error for a column that a table does not have, with the closest names it does have."""
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    shown = ", ".join(list(names)[:20]) + (", …" if len(names) > 20 else "")
    return FeatrixUserError(
        f"The table has no column {name!r}",
        column=name,
        remedy=f"{hint}The table's columns are: {shown}",
    )


def _set_aside(name: str, is_target: bool) -> DroppedColumn:
    if is_target:
        return DroppedColumn(name=name, reason="target", message="this column is predicted")
    return DroppedColumn(name=name, reason="ignored", message="left out on request")


def _fit_column(
    name: str,
    texts: DistinctTexts,
    decision: TypeDecision,
    override: ColumnType | None,
    max_categories: int,
) -> tuple[ColumnSchema, list[Notice]]:
    type = override or decision.type
    timestamp_format = None
    if type is ColumnType.TIMESTAMP:
        timestamp_format = decision.timestamp_format
        if timestamp_format is None:
            timestamp_format = best_timestamp_format(texts.values, texts.counts_V)[0]
    typed = typed_from_texts(name, texts, type, timestamp_format)
    _require_fit(typed, timestamp_format)
    statistics: dict[str, float] = {}
    categories: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    n_unique = len(typed.texts)
    if typed.numbers_N is not None:
        present = typed.numbers_N[~typed.missing_N]
        n_unique = len(np.unique(present))
        statistics = numeric_statistics(present)
        if type is ColumnType.TIMESTAMP:
            statistics = {key: statistics[key] for key in ("min", "max")}
    elif type in _CATEGORICAL:
        categories, counts = _ranked(typed)
    column = ColumnSchema(
        name=name,
        type=type,
        evidence="set by the user" if override else decision.evidence,
        runner_up=decision.type if override else decision.runner_up,
        overridden=override is not None,
        n_rows=len(typed.missing_N),
        n_missing=int(typed.missing_N.sum()),
        n_unparsed=typed.n_unparsed,
        unparsed_examples=typed.unparsed_examples,
        n_unique=n_unique,
        statistics=statistics,
        categories=categories[:max_categories],
        category_counts=counts[:max_categories],
        timestamp_format=timestamp_format,
    )
    return column, _column_notices(column, typed, counts, max_categories)


def _ranked(typed: TypedColumn) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Categories and their counts, most frequent first, ties by name."""
    codes = typed.codes_N
    assert codes is not None
    counts = np.bincount(codes[codes >= 0], minlength=len(typed.texts))
    order = np.argsort(-counts, kind="stable")  # `texts` are sorted, so ties stay by name
    return (
        tuple(typed.texts[index] for index in order.tolist()),
        tuple(int(count) for count in counts[order]),
    )


def _require_fit(typed: TypedColumn, timestamp_format: str | None) -> None:
    """Refuse a number or timestamp column of which most cells are something else."""
    if typed.type not in _PARSED:
        return
    parsed = int((~typed.missing_N).sum())
    if typed.n_unparsed <= parsed:
        return
    kind = "a number" if typed.type is ColumnType.SCALAR else f"a timestamp ({timestamp_format})"
    raise FeatrixUserError(
        f"{typed.n_unparsed} of {typed.n_unparsed + parsed} cells are not {kind}, "
        f"which the column's type {typed.type.value} asks for",
        column=typed.name,
        value=typed.unparsed_examples[0],
        remedy="Give the column in its former form, or train again with its new type",
    )


def _dropped_notice(column: DroppedColumn) -> Notice:
    return Notice(
        code=f"column_{column.reason}",
        message=f"Column {column.name!r}: {column.message}",
        column=column.name,
        figure=column.score or None,
        action="excluded from the space",
    )


def _unparsed_notice(typed: TypedColumn) -> Notice:
    shown = ", ".join(repr(text[:40]) for text in typed.unparsed_examples)
    return Notice(
        code="unparsed_cells",
        message=f"Column {typed.name!r}: {typed.n_unparsed} cells are no "
        f"{typed.type.value}: {shown}",
        column=typed.name,
        figure=float(typed.n_unparsed),
        action="treated as missing",
    )


def _unknown_notice(column: ColumnSchema, typed: TypedColumn) -> list[Notice]:
    codes = typed.codes_N
    assert codes is not None
    known = set(column.categories)
    unknown = [index for index, text in enumerate(typed.texts) if text not in known]
    cells = int(np.isin(codes, unknown).sum()) if unknown else 0
    if not cells:
        return []
    shown = ", ".join(repr(typed.texts[index][:40]) for index in unknown[:5])
    return [
        Notice(
            code="unknown_categories",
            message=f"Column {column.name!r}: {cells} cells hold values not known from training: "
            + shown,
            column=column.name,
            figure=float(cells),
            action="treated as unknown, which is not the same as missing",
        )
    ]


def _column_notices(
    column: ColumnSchema, typed: TypedColumn, counts: tuple[int, ...], max_categories: int
) -> list[Notice]:
    notices: list[Notice] = []
    missing_share = column.n_missing / column.n_rows
    if missing_share > HIGH_MISSING_SHARE:
        notices.append(
            Notice(
                code="high_missing",
                message=f"Column {column.name!r}: {missing_share:.1%} of the cells are missing",
                column=column.name,
                figure=missing_share,
                action="kept; a learned embedding stands for missing",
            )
        )
    if typed.n_unparsed:
        notices.append(_unparsed_notice(typed))
        judged = column.n_rows - column.n_missing + column.n_unparsed
        if column.n_unparsed > (1 - CLEAR_SHARE) * judged:
            notices.append(
                Notice(
                    code="mixed_column",
                    message=f"Column {column.name!r} mixes types: {column.n_unparsed} of {judged} "
                    f"cells are no {column.type.value}",
                    column=column.name,
                    figure=column.n_unparsed / judged,
                    action=f"read as {column.type.value}, the majority's type",
                )
            )
    if len(counts) > max_categories:
        lost = sum(counts[max_categories:])
        notices.append(
            Notice(
                code="categories_capped",
                message=f"Column {column.name!r} has {len(counts)} categories; "
                f"{lost} cells are beyond the {max_categories} most frequent",
                column=column.name,
                figure=float(len(counts)),
                action="cells beyond the limit are unknown",
            )
        )
    rare = sum(count < RARE_ROWS for count in counts)
    if rare:
        notices.append(
            Notice(
                code="rare_categories",
                message=f"Column {column.name!r}: {rare} of {len(counts)} categories have fewer "
                f"than {RARE_ROWS} rows",
                column=column.name,
                figure=float(rare),
                action="kept",
            )
        )
    return notices
