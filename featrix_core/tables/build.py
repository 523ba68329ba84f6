"""Fitting a `TableSchema` to a table, and reading tables by a frozen schema (DATA-2 … DATA-6)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from featrix_core.errors import FeatrixUserError
from featrix_core.strings.embedder import TextEmbedder, get_default_embedder
from featrix_core.tables.column import Accepted, Column
from featrix_core.tables.decimal_marks import MarkedColumns
from featrix_core.tables.filtering import filter_column
from featrix_core.tables.fit import Reading, asked_form, forced_type, typed_column, typed_from_texts
from featrix_core.tables.hybrid import find_groups
from featrix_core.tables.notices import (
    column_notices,
    dropped_notice,
    unknown_notice,
    unparsed_notice,
)
from featrix_core.tables.ordinal import levels_of
from featrix_core.tables.parts import guess_phone_region
from featrix_core.tables.schema import (
    CATEGORICAL,
    ColumnSchema,
    ColumnType,
    DroppedColumn,
    Notice,
    TableSchema,
)
from featrix_core.tables.statistics import numeric_statistics, text_statistics
from featrix_core.tables.structured import arrow_vectors, is_number_list, vector_codes
from featrix_core.tables.table import Table, TypedColumn
from featrix_core.tables.texts import distinct_texts
from featrix_core.tables.types import TypeDecision, decide_column, native_type

_PARSED = (ColumnType.SCALAR, ColumnType.TIMESTAMP, ColumnType.VECTOR, ColumnType.JSON)
_RETYPED_CELLS = 20
"""A frozen column is called retyped on no fewer cells than this: a single row has single odd cells."""
_BY_CHANCE = 0.25
"""How much more of a column's cells than in training may fail to parse before it is taken for another column."""
_WHOLE = (ColumnType.VECTOR, ColumnType.JSON)  # never judged as identifiers


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
    marked = MarkedColumns(table)
    columns: list[ColumnSchema] = []
    dropped: list[DroppedColumn] = []
    notices: list[Notice] = list(table.notices)
    for name in table.names:
        if name in targets or name in exclude:
            dropped.append(_set_aside(name, name in targets))
            continue
        array = table.arrow[name]
        decision = native_type(array)
        if decision is not None:
            vectors = arrow_vectors(array)
            assert vectors is not None
            judged = Column(name, vector_codes(vectors))
        else:
            judged = marked.column(name)
            decision = decide_column(judged)
        override = overrides.get(name)
        type = override or decision.type
        left_out = filter_column(
            name, judged.texts, type, model, keep_identifier=override is not None or type in _WHOLE
        )
        if left_out is not None:
            dropped.append(left_out)
            notices.append(dropped_notice(left_out))
            continue
        column, seen = _fit_column(judged, array, decision, override, max_categories)
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
        groups=find_groups(table, columns),
        source_sha256=table.source.sha256,
    )


def typed_columns(table: Table, schema: TableSchema) -> dict[str, TypedColumn]:
    """Every column of the schema, read from `table` by its frozen type; others are ignored.

    Raises:
        FeatrixUserError: a column is missing, or more than half of the cells of a number or
            timestamp column do not parse, and a quarter more of them than in training (the column
            was retyped); fewer than 20 cells are no evidence of that, those that do not parse are
            missing.
    """
    for name in schema.names:
        if name not in table.names:
            raise missing_column(name, table.names)
    result: dict[str, TypedColumn] = {}
    for column in schema.columns:
        typed = typed_column(column.name, table.arrow[column.name], column.type, column)
        _require_fit(typed, column, _RETYPED_CELLS, _unparsed_share(column))
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
            notices.append(unparsed_notice(cells))
        if column.type in CATEGORICAL:
            notices.extend(unknown_notice(column, cells))
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
    cases = [n for n in names if n.casefold() == name.casefold()]
    close = list(dict.fromkeys(cases + close))[:3]
    hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    if not close and list(names) == [f"column_{place}" for place in range(1, len(names) + 1)]:
        hint = "The file seems to have no header; give it a first line with the names. "
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
    judged: Column,
    array: pa.ChunkedArray,
    decision: TypeDecision,
    override: ColumnType | None,
    max_categories: int,
) -> tuple[ColumnSchema, list[Notice]]:
    type = override or decision.type
    native = decision.type is ColumnType.VECTOR and is_number_list(array.type)
    if override is None or (native and type is ColumnType.VECTOR):
        fit = decision.fit
    else:
        # The labels of native vectors stand for rows, not for texts.
        judged = Column(judged.name, distinct_texts(array)) if native else judged
        fit = forced_type(type, judged)
    if native and type is ColumnType.VECTOR:
        typed = typed_column(judged.name, array, type, None)
    else:
        typed = typed_from_texts(judged.name, judged.texts, type, fit)
    _require_fit(typed, fit)
    statistics: dict[str, float] = {}
    categories: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    n_unique = judged.n_values if typed.vectors_NH is not None else len(typed.texts)
    if typed.numbers_N is not None:
        present = typed.numbers_N[~typed.missing_N]
        n_unique = len(np.unique(present))
        statistics = numeric_statistics(present)
        if type is ColumnType.TIMESTAMP:
            statistics = {key: statistics[key] for key in ("min", "max") if statistics}
    elif type in CATEGORICAL:
        categories, counts = _ranked(typed)
    elif type not in _PARSED:
        statistics = text_statistics(judged.texts, fit.delimiter)
    column = ColumnSchema(
        name=judged.name,
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
        refusals=decision.refusals,
        timestamp_format=fit.timestamp_format,
        decimal=fit.decimal,
        unit=fit.unit,
        levels=_levels(judged, fit, categories)[:max_categories],
        delimiter=fit.delimiter,
        width=fit.width,
        dimension=fit.dimension,
        region=guess_phone_region(judged.values) if type is ColumnType.PHONE else None,
    )
    return column, column_notices(column, typed, judged, fit, counts, max_categories)


def _levels(judged: Column, fit: Accepted, categories: tuple[str, ...]) -> tuple[float, ...]:
    """Places of the categories in [0, 1], beside them; () for columns without an order."""
    if fit.type is not ColumnType.ORDINAL or not fit.keys:
        return ()
    places = dict(zip(judged.values, levels_of(judged.values, np.asarray(fit.keys)), strict=True))
    return tuple(places[category] for category in categories)


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


def _unparsed_share(column: ColumnSchema) -> float:
    """Share of the cells that hold something, among the rows of training."""
    return column.n_unparsed / max(1, column.n_rows - column.n_missing + column.n_unparsed)


def _require_fit(
    typed: TypedColumn, reading: Reading, least_cells: int = 1, usual: float = 0.0
) -> None:
    """Refuse a column that is read in one form only and of which most cells have another; `usual`: share of
    these in training, which few rows may exceed by chance."""
    if typed.type not in _PARSED:
        return
    parsed = int((~typed.missing_N).sum())
    cells = typed.n_unparsed + parsed
    if cells < least_cells or typed.n_unparsed <= max(0.5, usual + _BY_CHANCE) * cells:
        return
    raise FeatrixUserError(
        f"{typed.n_unparsed} of {cells} cells are not {asked_form(typed.type, reading)}, "
        f"which the column's type {typed.type.value} asks for",
        column=typed.name,
        value=typed.unparsed_examples[0],
        remedy="Give the column in its former form, or train again with its new type",
    )
