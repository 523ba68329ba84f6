"""The column to predict: its kind, classes and encoding (PRED-1, DATA-7)."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.build import missing_column
from featrix_core.tables.class_names import similar_classes_notice
from featrix_core.tables.cleaning import DistinctTexts, distinct_texts, parse_numbers
from featrix_core.tables.column import Column
from featrix_core.tables.decimal_marks import MarkedColumns
from featrix_core.tables.notices import ambiguous_numbers
from featrix_core.tables.numbers import native_decimal
from featrix_core.tables.schema import ColumnType, Frozen, Notice
from featrix_core.tables.statistics import numeric_statistics
from featrix_core.tables.table import Table
from featrix_core.tables.target_order import detected_order, requested_order
from featrix_core.tables.types import decide_column

TargetKind = Literal["binary", "multiclass", "ordinal", "scalar"]
MOST_CLASSES = 1000
LARGEST_NUMBER = 1e90
"""Squares and cubes of larger numbers, summed over rows, leave float64."""
_INTEGER_CLASSES = 10


class TargetSchema(Frozen):
    """What is known about a target.

    `classes` are sorted (as numbers where all are numbers; ordinal: from low to high) and `class_counts` is by class;
    `positive` (binary only) is the rarer class, on a tie the last by name. `statistics` (scalar
    only) are those of a scalar column, read with its `decimal` mark and `unit`. `n_missing` counts
    rows without a usable label.
    """

    name: str
    kind: TargetKind
    classes: tuple[str, ...] = ()
    positive: str | None = None
    n_rows: int
    n_missing: int
    class_counts: dict[str, int] = Field(default_factory=dict)
    statistics: dict[str, float] = Field(default_factory=dict)
    decimal: Literal[".", ","] = "."
    unit: str | None = None
    notices: tuple[Notice, ...] = ()


def detect_target(table: Table, name: str, kind: str | None = None) -> TargetSchema:
    """Kind and classes of a target column.

    Without `kind`: numbers with two distinct values are binary, whole numbers with at most ten are
    multiclass, other numbers scalar; texts are classes, ordinal ones where their words or ranges have an order
    (`target_order.detected_order`). Whole numbers become no ordinal classes by themselves, because codes look
    like marks. With the `kind` ordinal they do, and so do texts whose every class has a place in an order that
    is known; two classes are binary even then.

    Raises:
        FeatrixUserError: no such column, nothing but missing values, one value only, a class
            structure that cannot be validated, too many classes, numbers too large, or a `kind` that does not fit.
    """
    if name not in table.names:
        raise missing_column(name, table.names)
    if kind is not None and kind not in get_args(TargetKind):
        raise FeatrixUserError(
            "The kind of a target is ordinal, binary, multiclass or scalar",
            column=name,
            value=kind,
            remedy="Use one of the four, or leave the kind to detection",
        )
    column = MarkedColumns(table).column(name)
    texts = column.texts
    decided = decide_column(column).type
    numeric = decided is ColumnType.SCALAR
    usable = ~texts.soft_V if numeric else np.ones(len(texts.values), dtype=bool)
    if not usable.any():
        raise FeatrixUserError(
            f"The target has no value in any of {table.n_rows} rows",
            column=name,
            remedy="Name another target or supply its labels",
        )
    if usable.sum() == 1:
        raise _constant(column, usable)
    if kind == "scalar" or (kind is None and numeric and not _few_whole_numbers(column)):
        return _scalar_target(table, column)
    endless = _endless(column)
    usable &= ~endless
    if usable.sum() < 2:
        raise _constant(column, usable)
    levels: tuple[str, ...] | None = None
    notices: tuple[Notice, ...] = ()
    if kind is None:
        levels, notices = detected_order(column, decided, usable)
    elif kind == "ordinal" and usable.sum() > 2:
        levels = requested_order(column, numeric, usable)
        usable &= np.isin(texts.values, levels)
    target = _class_target(table, name, texts, usable, kind, decided, levels)
    return target.model_copy(
        update={"notices": (*target.notices, *notices, *_unparsed(column, endless))}
    )


def refit_target(target: TargetSchema, rows: Table) -> TargetSchema:
    """What is known about a target by `rows` alone, such as those that may be trained on.

    Kind and classes stay, so that labels of other rows can be told; a class that none of `rows` has
    counts 0. Statistics, decimal mark, unit, counts and the rarer class are those of `rows`.

    Raises:
        FeatrixUserError: `rows` have one value only, or too few rows of its classes.
    """
    if target.kind == "scalar":
        return detect_target(rows, target.name, "scalar")
    codes = encode_target(rows, target)
    labels = codes[~np.isnan(codes)].astype(np.int64)
    found = np.bincount(labels, minlength=len(target.classes)).tolist()
    counts = dict(zip(target.classes, found, strict=True))
    seen = {text: count for text, count in counts.items() if count}
    if len(seen) < 2:
        raise FeatrixUserError(
            "All rows to train on have the same label, so there is nothing to learn",
            column=target.name,
            value=max(counts, key=lambda text: counts[text]),
            remedy="Split the rows in another way, or give more rows of the other classes",
        )
    _check_repeats(target.name, seen, " among the rows to train on")
    positive = target.positive
    if positive is not None:
        positive = [text for text in target.classes if counts[text] == min(found)][-1]
    return target.model_copy(
        update={
            "positive": positive,
            "n_rows": rows.n_rows,
            "n_missing": rows.n_rows - sum(found),
            "class_counts": counts,
        }
    )


def encode_target(table: Table, target: TargetSchema) -> NDArray[np.float64]:
    """N class indices (into `target.classes`) or numbers; NaN where a label is missing or unknown.

    Raises:
        FeatrixUserError: the table has no column of the target's name.
    """
    if target.name not in table.names:
        raise missing_column(target.name, table.names)
    texts = distinct_texts(table.arrow[target.name])
    if target.kind == "scalar":
        decimal = native_decimal(table.arrow[target.name].type, target.decimal)
        values = parse_numbers(texts.values, decimal, target.unit)
    else:
        index = {text: float(position) for position, text in enumerate(target.classes)}
        values = np.array([index.get(text, np.nan) for text in texts.values], dtype=np.float64)
    encoded: NDArray[np.float64] = np.append(values, np.nan)[texts.codes_N]
    return encoded


def _constant(column: Column, usable_V: NDArray[np.bool_]) -> FeatrixUserError:
    places = np.flatnonzero(usable_V)
    return FeatrixUserError(
        "The target is constant, so there is nothing to learn",
        column=column.name,
        value=column.texts.values[int(places[0])] if len(places) else None,
        remedy="Name another target or add rows with other values",
    )


def _endless(column: Column) -> NDArray[np.bool_]:
    """Infinity among numbers (V), which is no class of its own."""
    said = [text.lower().lstrip("+-") in ("inf", "infinity") for text in column.texts.values]
    endless = np.array(said, dtype=bool)
    others = ~endless & ~column.texts.soft_V
    return endless & bool(others.any() and np.isfinite(column.numbers_V[others]).all())


def _unparsed(column: Column, failed_V: NDArray[np.bool_]) -> list[Notice]:
    """That cells of a target of numbers are none."""
    count = int(column.texts.counts_V[failed_V].sum())
    if not count:
        return []
    example = column.texts.values[int(np.flatnonzero(failed_V)[0])]
    return [
        Notice(
            code="unparsed_target",
            message=f"Target {column.name!r}: {count} cells are not numbers, such as {example!r}",
            column=column.name,
            figure=float(count),
            action="rows without a label are left out",
        )
    ]


def _few_whole_numbers(column: Column) -> bool:
    numbers = column.numbers_V
    distinct = np.unique(numbers[~np.isnan(numbers)])
    if len(distinct) <= 2:
        return True
    whole = bool(np.all(distinct == np.floor(distinct)))
    return whole and len(distinct) <= _INTEGER_CLASSES


def _scalar_target(table: Table, column: Column) -> TargetSchema:
    name, texts, numbers = column.name, column.texts, column.numbers_V
    failed = np.isnan(numbers) & ~texts.soft_V
    n_failed = int(texts.counts_V[failed].sum())
    n_parsed = int(texts.counts_V[~np.isnan(numbers)].sum())
    example = texts.values[int(np.flatnonzero(failed)[0])] if n_failed else None
    if n_failed > n_parsed:
        raise FeatrixUserError(
            "A scalar target needs numbers",
            column=name,
            value=example,
            remedy="Name a numeric target, or leave its kind to detection",
        )
    if len(np.unique(numbers[~np.isnan(numbers)])) < 2:
        raise _constant(column, ~np.isnan(numbers))
    large = np.abs(np.nan_to_num(numbers)) > LARGEST_NUMBER
    if large.any():
        raise FeatrixUserError(
            f"{int(texts.counts_V[large].sum())} of the target's numbers are too large to be learned",
            column=name,
            value=texts.values[int(np.flatnonzero(large)[0])],
            remedy=f"Correct or empty these cells; numbers up to {LARGEST_NUMBER:g} can be learned",
        )
    notices = _unparsed(column, failed)
    if column.open_decimal is not None:
        notices.append(
            ambiguous_numbers(f"Target {name!r}", name, column.open_decimal, column.decimal)
        )
    return TargetSchema(
        name=name,
        kind="scalar",
        n_rows=table.n_rows,
        n_missing=table.n_rows - n_parsed,
        statistics=numeric_statistics(np.append(numbers, np.nan)[texts.codes_N]),
        decimal=column.decimal,
        unit=column.unit,
        notices=tuple(notices),
    )


def _class_target(
    table: Table,
    name: str,
    texts: DistinctTexts,
    usable_V: NDArray[np.bool_],
    kind: str | None,
    decided: ColumnType,
    levels: tuple[str, ...] | None,
) -> TargetSchema:
    counts = {
        texts.values[index]: int(texts.counts_V[index])
        for index in np.flatnonzero(usable_V).tolist()
    }
    _check_classes(name, counts, kind, decided)
    numbers = parse_numbers(list(counts))
    order = sorted(counts)
    if not np.isnan(numbers).any():
        order = [text for _, text in sorted(zip(numbers.tolist(), counts, strict=True))]
    ordinal = levels is not None and len(levels) > 2
    if ordinal and levels is not None:
        order = list(levels)
    binary = len(order) == 2 and kind != "multiclass"
    positive = None
    if binary:
        rarest = min(counts.values())
        positive = [text for text in order if counts[text] == rarest][-1]
    single = [text for text in order if counts[text] == 1]
    notices = []
    if single:
        notices.append(
            Notice(
                code="single_row_classes",
                message=f"Target {name!r}: {len(single)} classes have one row only: "
                + ", ".join(map(repr, single[:10])),
                column=name,
                figure=float(len(single)),
                action="these rows are used for training and cannot be validated",
            )
        )
    return TargetSchema(
        name=name,
        kind="binary" if binary else "ordinal" if ordinal else "multiclass",
        classes=tuple(order),
        positive=positive,
        n_rows=table.n_rows,
        n_missing=table.n_rows - sum(counts.values()),
        class_counts={text: counts[text] for text in order},
        notices=(*notices, *similar_classes_notice(name, counts)),
    )


def _check_classes(
    name: str, counts: dict[str, int], kind: str | None, decided: ColumnType
) -> None:
    example = min(counts)
    if kind == "binary" and len(counts) != 2:
        raise FeatrixUserError(
            f"A binary target needs two classes, this one has {len(counts)}",
            column=name,
            remedy="Leave the target's kind to detection, or merge classes",
        )
    if decided is ColumnType.TIMESTAMP and len(counts) > _INTEGER_CLASSES:
        raise FeatrixUserError(
            "Timestamps cannot be predicted",
            column=name,
            value=example,
            remedy="Predict a number, such as the days between two dates",
        )
    _check_repeats(name, counts)
    if len(counts) > MOST_CLASSES:
        raise FeatrixUserError(
            f"The target has {len(counts)} classes, more than {MOST_CLASSES}",
            column=name,
            value=example,
            remedy="Merge rare classes or name another target",
        )


def _check_repeats(name: str, counts: dict[str, int], where: str = "") -> None:
    """Whether enough classes occur more than once; `where`: which rows were counted, if not all."""
    n_rows = sum(counts.values())
    if len(counts) == n_rows and n_rows > 2:
        raise FeatrixUserError(
            f"Each of the target's {n_rows} values occurs once{where}, so no class can be learned",
            column=name,
            value=min(counts),
            remedy="Name a target whose classes repeat, or one of numbers",
        )
    single = sorted(text for text, count in counts.items() if count == 1)
    enough = len(counts) - len(single)
    if single and (len(counts) == 2 or enough < 2):
        raise FeatrixUserError(
            f"{len(single)} of the target's {len(counts)} classes have one row only{where}, "
            "so the prediction cannot be validated",
            column=name,
            value=single[0],
            remedy="Split the rows in another way, or give more rows of these classes"
            if where
            else "Give at least two rows of each class",
        )
