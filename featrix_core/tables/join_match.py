"""Keys of two tables made comparable, and the matching of their rows in DuckDB (JOIN-2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.join_spec import Join, JoinSpec, KeyCast
from featrix_core.tables.reading import read_table

MAX_CLASSES = 20
THREADS = 2


def load_tables(spec: JoinSpec) -> dict[str, pa.Table]:
    """Every table that the specification uses, read once; CSV cells stay text.

    Raises:
        FeatrixUserError: a file is no readable table, or lacks a column that the specification
            names; the message names table and key.
    """
    used = [spec.base, *(join.right for join in spec.joins)]
    tables = {name: read_table(spec.tables[name].path).arrow for name in dict.fromkeys(used)}

    def require(table: str, columns: tuple[str, ...], where: str) -> None:
        for column in columns:
            if column not in tables[table].column_names:
                raise FeatrixUserError(
                    f"Table {table!r} has no column {column!r}, named by {where}",
                    column=column,
                    remedy=f"Columns of {Path(spec.tables[table].path).name}: "
                    f"{', '.join(tables[table].column_names)}",
                )

    if spec.target is not None:
        require(spec.base, (spec.target,), "target")
    for join in spec.joins:
        left = spec.table_of(join.left)
        require(left, join.left_keys, f"left_keys of join {join.label!r}")
        require(join.right, join.right_keys, f"right_keys of join {join.label!r}")
        if join.time is not None:
            require(left, (join.time.left,), f"time.left of join {join.label!r}")
            require(join.right, (join.time.right,), f"time.right of join {join.label!r}")
    return tables


def family(arrow_type: pa.DataType) -> str:
    """Which values a key column holds: integer, decimal, text, timestamp, boolean or other."""
    if pa.types.is_dictionary(arrow_type):
        arrow_type = arrow_type.value_type
    kinds = pa.types
    if kinds.is_integer(arrow_type):
        return "integer"
    if kinds.is_floating(arrow_type) or kinds.is_decimal(arrow_type):
        return "decimal"
    texts = (kinds.is_string, kinds.is_large_string, kinds.is_string_view)
    if any(is_text(arrow_type) for is_text in texts):
        return "text"
    if kinds.is_timestamp(arrow_type) or kinds.is_date(arrow_type):
        return "timestamp"
    return "boolean" if kinds.is_boolean(arrow_type) else "other"


def comparable(left: str, right: str) -> bool:
    """Whether two key families can be equal without a cast."""
    return left != "other" and (left == right or {left, right} == {"integer", "decimal"})


def mending_casts(left: str, right: str) -> tuple[KeyCast, ...]:
    """Casts that may make two families comparable, the preferred one first."""
    pair = {left, right}
    if pair <= {"integer", "decimal", "text"}:
        return ("integer", "text")
    if pair == {"timestamp", "text"}:
        return ("timestamp",)
    return ()


def _key_sql(column: str, kind: str, cast: KeyCast | None) -> str:
    """SQL of one key cell; NULL where it is missing or the cast cannot read it."""
    column = f"{column}::DOUBLE" if kind == "decimal" else column
    whole = f"CASE WHEN {column} = floor({column}) THEN TRY_CAST({column} AS HUGEINT) END"
    if cast == "integer":
        if kind == "text":
            digits = f"regexp_full_match(trim({column}), '[+-]?[0-9]+(\\.0*)?')"
            return (
                f"CASE WHEN {digits} THEN "
                f"TRY_CAST(split_part(trim({column}), '.', 1) AS HUGEINT) END"
            )
        return whole if kind == "decimal" else f"CAST({column} AS HUGEINT)"
    if cast == "text" and kind == "decimal":
        # Whole numbers that a missing cell turned into floats read as 7, not as 7.0.
        return (
            f"CASE WHEN NOT isnan({column}) THEN "
            f"coalesce(CAST({whole} AS VARCHAR), CAST({column} AS VARCHAR)) END"
        )
    if cast == "timestamp" or kind == "timestamp":
        return f"CAST(TRY_CAST({column} AS TIMESTAMPTZ) AS VARCHAR)"
    if kind == "decimal":
        return f"CASE WHEN NOT isnan({column}) THEN {column} END"
    return f"nullif(CAST({column} AS VARCHAR), '')" if kind in ("text", "other") else column


def _time_sql(column: str, kind: str) -> str:
    if kind == "decimal":
        return f"CASE WHEN NOT isnan({column}::DOUBLE) THEN {column}::DOUBLE END"
    return column if kind == "integer" else f"epoch(TRY_CAST({column} AS TIMESTAMPTZ))"


def class_labels(column: pa.ChunkedArray) -> pa.Array:
    """Class of every row as text, null where missing; many-valued numbers fall into quartiles."""
    if family(column.type) in ("integer", "decimal") and len(column.unique()) > MAX_CLASSES:
        values = column.cast(pa.float64(), safe=False).to_numpy()
        known = np.isfinite(values)
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, 5)))
        codes = np.searchsorted(edges[1:-1], values, side="left")
        names = np.array([f"≤ {edge:g}" for edge in edges[1:]], dtype=object)
        return pa.array(np.where(known, names[codes], None), pa.string())
    return column.cast(pa.string()).combine_chunks()


class Matcher:
    """The two sides of one join as DuckDB tables `l` and `r`, and their matches `m`.

    `l` and `r` hold `row` (position in the file), `k0 … kn` (keys made comparable; NULL where the
    cell is missing or the cast cannot read it), `ok` (no key is NULL) and `t` (time, NULL where
    unknown or no time rule); `l` also holds `y` (class of the target, or NULL). `m(row, n, mate)`
    has one line per left row that finds n ≥ 1 right rows, `mate` being the first of them. Keys of
    different types that no cast mends match nothing (`mismatched` holds their positions).
    `unread_times` counts the cells per side that hold something, but no time.
    """

    def __init__(
        self,
        spec: JoinSpec,
        join: Join,
        tables: dict[str, pa.Table],
        cast: KeyCast | None = None,
    ) -> None:
        cast = cast or join.cast
        self.spec = spec
        left, right = tables[spec.table_of(join.left)], tables[join.right]
        self.join = join
        self.has_target = spec.target is not None and join.left == spec.base
        self.left_types = [left.schema.field(name).type for name in join.left_keys]
        self.right_types = [right.schema.field(name).type for name in join.right_keys]
        self.families = [
            (family(a), family(b)) for a, b in zip(self.left_types, self.right_types, strict=True)
        ]
        self.mismatched = [
            i
            for i, pair in enumerate(self.families)
            if not comparable(*pair) and (cast is None or cast not in mending_casts(*pair))
        ]
        self.keys = [f"k{i}" for i in range(len(self.families))]
        self.key_list = ", ".join(self.keys)
        self.same = " AND ".join(f"l.{key} = r.{key}" for key in self.keys)
        self.as_of = join.time is not None and join.time.rule == "as_of"
        self.right_key_list = f"{self.key_list}, t" if self.as_of else self.key_list
        self.con = duckdb.connect(config={"threads": THREADS})
        self.con.execute("SET TimeZone = 'UTC'")
        self.unread_times: dict[str, int] = {}
        self.numeric_time = False
        self._check_times(left, right)
        target = class_labels(left[spec.target]) if self.has_target and spec.target else None
        self._load(
            "l", left, join.left_keys, 0, cast, join.time.left if join.time else None, target
        )
        self._load(
            "r", right, join.right_keys, 1, cast, join.time.right if join.time else None, None
        )
        self._match()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Result rows of a query."""
        found: list[tuple[Any, ...]] = self.con.execute(sql).fetchall()
        return found

    def figure(self, sql: str) -> int:
        """The one whole number that a query gives (0 for NULL)."""
        return int(self.rows(sql)[0][0] or 0)

    def time_text(self, column: str) -> str:
        """SQL that shows a `t` column."""
        shown = f"format('{{:.15g}}', {column})"
        return shown if self.numeric_time else f"CAST(to_timestamp({column}) AS VARCHAR)"

    def right_rows(self, n_left: int) -> NDArray[np.int64]:
        """Position of the matched right row for each of the `n_left` left rows, -1 without one."""
        found = self.con.execute("SELECT row, mate FROM m").fetchnumpy()
        positions = np.full(n_left, -1, dtype=np.int64)
        positions[np.asarray(found["row"])] = np.asarray(found["mate"])
        return positions

    def _check_times(self, left: pa.Table, right: pa.Table) -> None:
        time = self.join.time
        if time is None:
            return
        kinds = [family(left.schema.field(time.left).type)]
        kinds.append(family(right.schema.field(time.right).type))
        numeric = [kind in ("integer", "decimal") for kind in kinds]
        if numeric[0] != numeric[1] or {"boolean", "other"} & set(kinds):
            raise FeatrixUserError(
                f"The times of join {self.join.label!r} cannot be compared: {time.left!r} is "
                f"{kinds[0]}, {time.right!r} of table {self.join.right!r} is {kinds[1]}",
                column=time.right,
                remedy="Give two timestamps (or ISO texts), or two numbers",
            )
        self.numeric_time = numeric[0]
        if numeric[0] and time.max_age_hours is not None:
            raise FeatrixUserError(
                f"Join {self.join.label!r} gives max_age_hours, but its times are numbers",
                column=time.left,
                remedy="Leave max_age_hours out, or name timestamp columns",
            )

    def _load(
        self,
        name: str,
        table: pa.Table,
        columns: tuple[str, ...],
        side: int,
        cast: KeyCast | None,
        time: str | None,
        target: pa.Array | None,
    ) -> None:
        raw = {key: table[column] for key, column in zip(self.keys, columns, strict=True)}
        raw["row"] = pa.array(np.arange(table.num_rows))
        parts = ["row"]
        for i, (key, pair) in enumerate(zip(self.keys, self.families, strict=True)):
            own = None if comparable(*pair) or i in self.mismatched else cast
            parts.append(f"{_key_sql(key, pair[side], own)} AS {key}")
        if time is None:
            parts.append("NULL::DOUBLE AS t")
        else:
            raw["t"] = table[time]
            parts.append(f"{_time_sql('t', family(raw['t'].type))}::DOUBLE AS t")
        if target is not None:
            raw["y"] = target
            parts.append("nullif(y, '') AS y")
        elif name == "l":
            parts.append("NULL::VARCHAR AS y")
        given = " AND ".join(f"{key} IS NOT NULL" for key in self.keys)
        self.con.register("raw", pa.table(raw))
        self.con.execute(
            f"CREATE TEMP TABLE {name} AS "
            f"SELECT *, {given} AS ok FROM (SELECT {', '.join(parts)} FROM raw)"
        )
        if time is not None:
            empty = "t IS NULL OR CAST(t AS VARCHAR) IN ('', 'nan')"
            n_empty = self.figure(f"SELECT count(*) FILTER ({empty}) FROM raw")
            n_null = self.figure(f"SELECT count(*) FILTER (t IS NULL) FROM {name}")
            self.unread_times[name] = n_null - n_empty
        self.con.unregister("raw")

    def _match(self) -> None:
        if self.mismatched:
            self.con.execute("CREATE TEMP TABLE m (row BIGINT, n BIGINT, mate BIGINT)")
        elif self.as_of:
            time = self.join.time
            limit = time.max_age_hours if time is not None else None
            young = "" if limit is None else f" AND l.t - r.t <= {limit * 3600!r}"
            # Of right rows with the same keys and time, the first one is taken; it is reported.
            self.con.execute(
                f"CREATE TEMP TABLE m AS SELECT l.row, 1 AS n, r.row AS mate FROM l ASOF JOIN "
                f"(SELECT {self.key_list}, t, min(row) AS row FROM r "
                f"WHERE ok AND t IS NOT NULL GROUP BY {self.key_list}, t) r "
                f"ON {self.same} AND l.t >= r.t WHERE l.ok{young}"
            )
        else:
            self.con.execute(
                f"CREATE TEMP TABLE m AS SELECT l.row, r.n, r.mate FROM l JOIN "
                f"(SELECT {self.key_list}, count(*) AS n, min(row) AS mate FROM r WHERE ok "
                f"GROUP BY {self.key_list}) r ON {self.same} WHERE l.ok"
            )
