"""Joins are measured before they are made (JOIN-1, JOIN-2).

`validate_joins` says for every join of a specification what it would do to the rows; `join_tables`
makes the joins that leave every base row exactly once.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.join_check import check_join
from featrix_core.tables.join_match import Matcher, load_tables
from featrix_core.tables.join_report import JoinCheck, JoinFinding, JoinReport, KeyTypes, worst
from featrix_core.tables.join_spec import (
    Join,
    JoinSpec,
    TableRef,
    TimeRule,
    load_join_spec,
    parse_join_spec,
)

__all__ = [
    "Join",
    "JoinCheck",
    "JoinFinding",
    "JoinReport",
    "JoinSpec",
    "KeyTypes",
    "TableRef",
    "TimeRule",
    "join_tables",
    "load_join_spec",
    "parse_join_spec",
    "validate_joins",
]


def validate_joins(spec: JoinSpec) -> JoinReport:
    """Measure every join of a specification.

    Failures of the data are findings in the report, not exceptions.

    Raises:
        FeatrixUserError: a file cannot be read, or a column that the specification names is absent.
    """
    tables = load_tables(spec)
    checks = tuple(check_join(join, Matcher(spec, join, tables), tables) for join in spec.joins)
    return JoinReport(
        base=spec.base,
        base_rows=tables[spec.base].num_rows,
        target=spec.target,
        joins=checks,
        verdict=worst([finding.level for check in checks for finding in check.findings]),
    )


def join_tables(spec: JoinSpec) -> pa.Table:
    """The base table with the columns of all joined tables, one row per base row, in base order.

    Right key columns are left out (the left ones hold the same values). A column name that occurs
    in more than one table gets its join's name in front; base columns keep theirs. Rows that find
    nothing get nulls.

    Raises:
        FeatrixUserError: a join is declared 1:N or N:M, or its validation ends in an error.
    """
    for join in spec.joins:
        if join.cardinality in ("1:N", "N:M"):
            raise FeatrixUserError(
                f"Join {join.label!r} is {join.cardinality}: it would repeat rows of "
                f"{join.left!r}, and rows with many partners would weigh more in training",
                column=join.label,
                remedy="Aggregate the right table to one row per key, or train a space per table",
            )
    tables = load_tables(spec)
    nodes = {spec.base: np.arange(tables[spec.base].num_rows)}
    for join in spec.joins:
        match = Matcher(spec, join, tables)
        check = check_join(join, match, tables)
        errors = [finding for finding in check.findings if finding.level == "error"]
        if errors:
            raise FeatrixUserError(
                f"Join {join.label!r} does not hold: {errors[0].message}",
                column=join.label,
                remedy=errors[0].remedy,
            )
        reached = nodes[join.left]
        nodes[join.label] = np.where(reached >= 0, match.right_rows(check.left_rows)[reached], -1)
    return _side_by_side(spec, tables, nodes)


def _side_by_side(
    spec: JoinSpec, tables: dict[str, pa.Table], nodes: dict[str, NDArray[np.int64]]
) -> pa.Table:
    joined = tables[spec.base]
    parts = {
        join.label: tables[join.right].drop_columns(list(dict.fromkeys(join.right_keys)))
        for join in spec.joins
    }
    uses = Counter(joined.column_names)
    for part in parts.values():
        uses.update(part.column_names)
    for label, part in parts.items():
        rows = pa.array(nodes[label], mask=nodes[label] < 0)
        for column in part.column_names:
            name = column if uses[column] == 1 else f"{label}_{column}"
            if name in joined.column_names:
                raise FeatrixUserError(
                    f"Join {label!r} would make a second column {name!r}",
                    column=name,
                    remedy="Give the join another name, or rename the column",
                )
            joined = joined.append_column(name, part[column].take(rows))
    return joined
