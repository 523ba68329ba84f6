"""Warnings about columns as data (DATA-6): what was seen, the figure, and what was done."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featrix_core.tables.column import CLEAR_SHARE, Accepted, Column
from featrix_core.tables.fit import COMPOSITE
from featrix_core.tables.numbers import in_unit
from featrix_core.tables.schema import ColumnSchema, ColumnType, DroppedColumn, Notice
from featrix_core.tables.table import TypedColumn

HIGH_MISSING_SHARE = 0.5
RARE_ROWS = 5
FEW_NUMBERS = 3
FEW_NUMBERS_ROWS = 100
_SHOWN = 40
_CALLED = {
    ColumnType.SCALAR: ("a number", "numbers"),
    ColumnType.TIMESTAMP: (
        "a date or time of the column's form",
        "dates or times of the column's form",
    ),
    ColumnType.VECTOR: ("a vector of the column's length", "vectors of the column's length"),
    ColumnType.JSON: ("a JSON object or array", "JSON objects or arrays"),
}


def dropped_notice(column: DroppedColumn) -> Notice:
    """A column that the filter kept out."""
    return Notice(
        code=f"column_{column.reason}",
        message=f"Column {column.name!r}: {column.message}",
        column=column.name,
        figure=column.score or None,
        action="excluded from the space",
    )


def unparsed_notice(
    typed: TypedColumn, cells: int | None = None, examples: tuple[str, ...] | None = None
) -> Notice:
    """Cells that the column's type cannot read; `cells` and `examples` where others tell of the rest."""
    cells = typed.n_unparsed if cells is None else cells
    examples = typed.unparsed_examples if examples is None else examples
    return Notice(
        code="unparsed_cells",
        message=f"Column {typed.name!r}: {_cells_are_not(cells, typed.type)}"
        + (f": {_listed(examples)}" if examples else ""),
        column=typed.name,
        figure=float(cells),
        action="treated as missing",
    )


def _cells_are_not(cells: int, type: ColumnType) -> str:
    one, many = _CALLED.get(type, (f"of the type {type.value}", f"of the type {type.value}"))
    return f"1 cell is not {one}" if cells == 1 else f"{cells} cells are not {many}"


def unknown_notice(column: ColumnSchema, typed: TypedColumn) -> list[Notice]:
    """Categories that training did not see."""
    codes = typed.codes_N
    assert codes is not None
    known = set(column.categories)
    unknown = [index for index, text in enumerate(typed.texts) if text not in known]
    cells = int(np.isin(codes, unknown).sum()) if unknown else 0
    if not cells:
        return []
    return [
        Notice(
            code="unknown_categories",
            message=f"Column {column.name!r}: {cells} cell{'s hold values' if cells > 1 else ' holds a value'} "
            "not known from training: "
            + _listed(tuple(typed.texts[index] for index in unknown[:5])),
            column=column.name,
            figure=float(cells),
            action="treated as unknown, which is not the same as missing",
        )
    ]


def column_notices(
    column: ColumnSchema,
    typed: TypedColumn,
    judged: Column,
    fit: Accepted,
    counts: tuple[int, ...],
    max_categories: int,
) -> list[Notice]:
    """All that is worth knowing about one column of the training table.

    `counts` are the cells of every category, also of those beyond `max_categories`.
    """
    notices: list[Notice] = []
    missing_share = column.n_missing / max(column.n_rows, 1)
    if missing_share > HIGH_MISSING_SHARE:
        notices.append(
            _notice(
                column, "high_missing", f"{missing_share:.1%} of the cells are missing",
                missing_share, "kept; a learned embedding stands for missing",
            )
        )  # fmt: skip
    strange = _other_units(column, judged)
    unread = typed.n_unparsed - int(judged.texts.counts_V[strange].sum())
    if unread > 0:
        examples = typed.unparsed_examples
        if strange.any():
            rest = np.isnan(judged.numbers_V) & ~strange & ~judged.texts.soft_V
            examples = judged.texts.examples(rest)
        notices.append(unparsed_notice(typed, unread, examples))
        notices += _mixed_cells(column, unread)
    notices += _numeric_notices(column, judged, fit)
    if column.type in COMPOSITE and fit.share < CLEAR_SHARE:
        notices.append(
            _notice(
                column, "mixed_column",
                f"{1 - fit.share:.1%} of the values do not have the form of the type "
                f"{column.type.value}",
                1 - fit.share, "kept as they are; parts that cannot be told are missing",
            )
        )  # fmt: skip
    off = [text for text, key in zip(judged.values, fit.keys, strict=False) if np.isnan(key)]
    if column.type is ColumnType.ORDINAL and off:
        notices.append(
            _notice(
                column, "off_scale", f"{len(off)} values have no place in the order: "
                + _listed(tuple(off[:5])), float(len(off)), "kept as categories in the middle",
            )
        )  # fmt: skip
    if len(counts) > max_categories:
        notices.append(
            _notice(
                column, "categories_capped",
                f"{len(counts)} categories; {sum(counts[max_categories:])} cells are beyond the "
                f"{max_categories} most frequent",
                float(len(counts)), "cells beyond the limit are unknown",
            )
        )  # fmt: skip
    rare = sum(count < RARE_ROWS for count in counts)
    if rare:
        notices.append(
            _notice(
                column, "rare_categories",
                f"{rare} of {len(counts)} categories have fewer than {RARE_ROWS} rows",
                float(rare), "kept",
            )
        )  # fmt: skip
    return notices


def _other_units(column: ColumnSchema, judged: Column) -> NDArray[np.bool_]:
    """Which of the V texts are numbers in another unit than the column's."""
    if column.type is not ColumnType.SCALAR or column.unit is None:
        return np.zeros(judged.n_values, dtype=bool)
    figures = judged.figures
    return ~np.isnan(figures.values_V) & ~in_unit(figures.units_V, column.unit)


def _mixed_cells(column: ColumnSchema, unread: int) -> list[Notice]:
    judged = column.n_rows - column.n_missing + column.n_unparsed
    if unread <= (1 - CLEAR_SHARE) * judged:
        return []
    return [
        _notice(
            column, "mixed_column",
            f"types are mixed: of {judged} cells, {_cells_are_not(unread, column.type)}",
            unread / judged, f"read as {column.type.value}, the majority's type",
        )
    ]  # fmt: skip


def _numeric_notices(column: ColumnSchema, judged: Column, fit: Accepted) -> list[Notice]:
    notices = []
    other = _other_units(column, judged)
    cells = int(judged.texts.counts_V[other].sum())
    if cells:
        said = "1 cell has" if cells == 1 else f"{cells} cells have"
        notices.append(
            _notice(
                column, "mixed_units", f"{said} another unit than {column.unit}: "
                + _listed(judged.texts.examples(other)), float(cells),
                "treated as missing; convert them to one unit to keep them",
            )
        )  # fmt: skip
    example = judged.open_decimal if column.type is ColumnType.SCALAR else None
    if example is not None:
        notices.append(
            ambiguous_numbers(f"Column {column.name!r}", column.name, example, column.decimal)
        )
    few = column.type is ColumnType.SCALAR and 1 < column.n_unique <= FEW_NUMBERS
    if few and column.n_rows >= FEW_NUMBERS_ROWS:
        notices.append(
            _notice(
                column, "few_values", f"only {column.n_unique} different numbers",
                float(column.n_unique), "kept as numbers; set the type set if they are codes",
            )
        )  # fmt: skip
    if column.type is ColumnType.TIMESTAMP and judged.moments.rival is not None:
        notices.append(
            _notice(
                column, "ambiguous_dates",
                f"every date fits {column.timestamp_format} and {judged.moments.rival}",
                judged.moments.share, f"read as {column.timestamp_format}",
            )
        )  # fmt: skip
    if column.type is ColumnType.TIMESTAMP and judged.moments.centuries:
        low, high = (_year(column.statistics[end]) for end in ("min", "max"))
        notices.append(
            _notice(
                column, "ambiguous_century",
                "years of two digits may be of the 1900s or of the 2000s",
                judged.moments.share, f"read as {low} to {high}; write years with four digits",
            )
        )  # fmt: skip
    return notices


def _year(seconds: float) -> int:
    return int(np.datetime64(int(seconds), "s").astype("datetime64[Y]").astype(np.int64)) + 1970


def ambiguous_numbers(said: str, name: str, example: str, decimal: str) -> Notice:
    """Numbers of which none tells a decimal mark from a mark of thousands; `said` names the column."""
    read = "a decimal mark" if decimal in example else "a mark of thousands"
    mark = "," if "," in example else "."
    return Notice(
        code="ambiguous_numbers",
        message=f"{said}: in numbers such as {example!r} the {mark!r} may be a decimal mark or "
        "a mark of thousands",
        column=name,
        action=f"read as {read}",
    )


def _notice(column: ColumnSchema, code: str, what: str, figure: float, action: str) -> Notice:
    return Notice(
        code=code,
        message=f"Column {column.name!r}: {what}",
        column=column.name,
        figure=figure,
        action=action,
    )


def _listed(texts: tuple[str, ...]) -> str:
    return ", ".join(repr(text[:_SHOWN]) for text in texts)
