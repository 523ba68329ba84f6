"""`TableSchema`: what is known about a table's columns, frozen and stored as JSON (DATA-2 … 6).

Everything here is a frozen pydantic model with `extra="forbid"`: a schema that was tampered with,
or written by another version, is refused on reading.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1


class ColumnType(StrEnum):
    """Semantic types of columns (DATA-2)."""

    SCALAR = "scalar"
    SET = "set"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    TEXT = "text"


class Frozen(BaseModel):
    """Base of all stored configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Notice(Frozen):
    """A warning as data (DATA-6): what was seen in which column, the figure, and what was done."""

    code: str
    message: str
    column: str | None = None
    figure: float | None = None
    action: str = ""


class ColumnSchema(Frozen):
    """One column that enters the space.

    `categories` (set and boolean columns) are in descending order of frequency, ties by name, and
    `category_counts` stands beside them; `statistics` (scalar columns) holds mean, std, min, max,
    median, q01, q25, q75, q99, skew, zero_share, integer (1.0 / 0.0); for timestamps min and max in
    seconds since 1970 (UTC). Counts are of the rows that the schema was fitted on.
    """

    name: str
    type: ColumnType
    evidence: str
    runner_up: ColumnType | None = None
    overridden: bool = False
    n_rows: int
    n_missing: int
    n_unparsed: int = 0
    unparsed_examples: tuple[str, ...] = ()
    n_unique: int
    statistics: dict[str, float] = {}
    categories: tuple[str, ...] = ()
    category_counts: tuple[int, ...] = ()
    timestamp_format: str | None = None


class DroppedColumn(Frozen):
    """A column that the filter kept out (DATA-5), with the parts of its identifier score."""

    name: str
    reason: str  # all_null | uniform | internal | identifier | ignored | target
    message: str
    score: float = 0.0
    score_parts: dict[str, float] = {}


class TableSchema(Frozen):
    """All that encoders and predictors need to know about a table; frozen after training."""

    schema_version: int = SCHEMA_VERSION
    columns: tuple[ColumnSchema, ...]
    dropped: tuple[DroppedColumn, ...] = ()
    notices: tuple[Notice, ...] = ()
    source_sha256: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns that enter the space, in the table's order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> ColumnSchema:
        """The column called `name`; `KeyError` if the schema has none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def of_type(self, *types: ColumnType) -> tuple[ColumnSchema, ...]:
        """Columns of the given types, in the table's order."""
        return tuple(column for column in self.columns if column.type in types)
