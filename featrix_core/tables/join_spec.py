"""`JoinSpec`: how several tables belong together, as a file (JOIN-1).

A specification is a tree of joins that starts at the base table:

    {"schema_version": 1, "base": "flights", "target": "late",
     "tables": {"flights": {"path": "flights.parquet"}, "planes": {"path": "planes.parquet"}},
     "joins": [{"left": "flights", "right": "planes",
                "left_keys": ["tailnum"], "right_keys": ["tailnum"], "cardinality": "N:1"}]}

An N:M relation goes through its link table: a 1:N join to the link, then an N:1 join from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.schema import Frozen

SPEC_VERSION: Literal[1] = 1
MAX_SPEC_BYTES = 1_000_000

Cardinality = Literal["1:1", "N:1", "1:N", "N:M"]
KeyCast = Literal["integer", "text", "timestamp"]
Label = Annotated[str, Field(min_length=1, max_length=200)]
Keys = Annotated[tuple[Label, ...], Field(min_length=1, max_length=16)]


class TableRef(Frozen):
    """A CSV or Parquet file; in a specification file the path is relative to that file."""

    path: Label


class TimeRule(Frozen):
    """Which moments of the right table a left row may see.

    `left` is the left row's reference time, `right` the time of the right row; both are timestamps
    (or ISO text), or both are numbers such as years. `not_after`: a joined right row that is later
    than the reference time is a leak and is reported. `as_of`: of the right rows with the same
    keys, the latest that is not later than the reference time is taken; `max_age_hours` bounds its
    age (timestamps only).
    """

    left: Label
    right: Label
    rule: Literal["not_after", "as_of"] = "not_after"
    max_age_hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class Join(Frozen):
    """One edge: rows of `left` look up rows of `right`.

    `left` is the base table or the name of an earlier join; `name` (by default the right table's)
    is what reports and column prefixes use, so that one table can be joined twice. `cast` makes
    key columns of different types comparable.
    """

    name: str = Field(default="", max_length=200)
    left: Label
    right: Label
    left_keys: Keys
    right_keys: Keys
    cardinality: Cardinality
    cast: KeyCast | None = None
    time: TimeRule | None = None

    @property
    def label(self) -> str:
        """The join's name, or the right table's where none was given."""
        return self.name or self.right


class JoinSpec(Frozen):
    """Tables, and the joins between them, in the order in which they are made."""

    schema_version: Literal[1] = SPEC_VERSION
    base: Label
    target: Label | None = None
    tables: Annotated[dict[str, TableRef], Field(min_length=1)]
    joins: tuple[Join, ...] = ()

    def table_of(self, node: str) -> str:
        """Name of the table behind a join's `left`: the base, or an earlier join's right table."""
        if node == self.base:
            return self.base
        return next(join.right for join in self.joins if join.label == node)


def load_join_spec(path: str | Path) -> JoinSpec:
    """Read a specification file; table paths in the result are resolved against its folder.

    Raises:
        FeatrixUserError: the file is missing, no JSON, or has unknown, missing or contradictory
            entries; the message names table and key.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_SPEC_BYTES:
            raise FeatrixUserError("The join specification is larger than 1 MB", column=path.name)
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FeatrixUserError(
            "The join specification cannot be read",
            column=str(path),
            value=error.strerror,
            remedy="Give the path of an existing JSON file",
        ) from error
    except (ValueError, RecursionError) as error:
        raise FeatrixUserError(
            f"The join specification {path.name!r} is no valid JSON",
            value=error,
            remedy="Mend it at that place",
        ) from error
    spec = parse_join_spec(raw)
    tables = {
        name: TableRef(path=str((path.parent / table.path).resolve()))
        for name, table in spec.tables.items()
    }
    for name, table in tables.items():
        if not Path(table.path).is_file():
            raise FeatrixUserError(
                f"The file of table {name!r} does not exist",
                column=name,
                value=spec.tables[name].path,
                remedy=f"Paths are relative to {path.name}; correct tables.{name}.path",
            )
    return spec.model_copy(update={"tables": tables})


def parse_join_spec(raw: object) -> JoinSpec:
    """A checked `JoinSpec` from JSON data; paths stay as they are."""
    try:
        # Through JSON text, because only there do strict types and tuples go together.
        spec = JoinSpec.model_validate_json(json.dumps(raw), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file's top level"
        raise FeatrixUserError(
            f"The join specification is wrong at {where}: {first['msg']}",
            value=first["input"] if not isinstance(first["input"], dict) else None,
            remedy="Correct this entry; unknown entries are refused",
        ) from error
    _check_references(spec)
    return spec


def _check_references(spec: JoinSpec) -> None:
    known = ", ".join(sorted(spec.tables))
    if spec.base not in spec.tables:
        raise FeatrixUserError(
            f"The base table {spec.base!r} is not among the tables", remedy=f"Known: {known}"
        )
    nodes = [spec.base]
    for position, join in enumerate(spec.joins):
        where = f"joins[{position}] ({join.label})"
        if join.right not in spec.tables:
            raise FeatrixUserError(
                f"{where} names the right table {join.right!r}, which is not among the tables",
                remedy=f"Known: {known}",
            )
        if join.left not in nodes:
            raise FeatrixUserError(
                f"{where} starts at {join.left!r}, which is neither the base nor an earlier join",
                remedy=f"Known at this place: {', '.join(nodes)}",
            )
        if len(join.left_keys) != len(join.right_keys):
            raise FeatrixUserError(
                f"{where} pairs {len(join.left_keys)} key(s) of {join.left!r} "
                f"{list(join.left_keys)} with {len(join.right_keys)} of {join.right!r} "
                f"{list(join.right_keys)}",
                remedy="Give both sides the same number of keys, in the same order",
            )
        if join.time is not None and join.time.rule == "as_of" and join.cardinality[-1] != "1":
            raise FeatrixUserError(
                f"{where} is declared {join.cardinality}, but the rule as_of finds at most one row",
                remedy='Declare "N:1" (or "1:1")',
            )
        if join.label in nodes:
            raise FeatrixUserError(
                f"{where}: the name {join.label!r} is taken",
                remedy='Give this join a "name" of its own',
            )
        nodes.append(join.label)
