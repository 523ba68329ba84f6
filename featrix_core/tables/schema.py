"""`TableSchema`: what is known about a table's columns, frozen and stored as JSON (DATA-2 … 6).

Everything here is a frozen pydantic model with `extra="forbid"`: a schema that was tampered with,
or written by another version, is refused on reading.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 2


class ColumnType(StrEnum):
    """Semantic types of columns (DATA-2)."""

    SCALAR = "scalar"
    SET = "set"
    ORDINAL = "ordinal"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    TEXT = "text"
    DOCUMENT = "document"
    LIST = "list"
    CODE = "code"
    EMAIL = "email"
    DOMAIN = "domain"
    URL = "url"
    PHONE = "phone"
    ADDRESS = "address"
    VECTOR = "vector"
    JSON = "json"


CATEGORICAL = (ColumnType.SET, ColumnType.ORDINAL, ColumnType.BOOLEAN)
"""Types whose schema lists every category."""


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


class Refusal(Frozen):
    """A type that was tried on a column and refused it, with the reason in figures."""

    type: ColumnType
    reason: str


class HybridGroup(Frozen):
    """Columns that describe one thing (DATA-9), such as the parts of an address or coordinates.

    `strategy`: "merge" (one token in the transformer) or "relationship" (own tokens that share a
    learned group embedding).
    """

    name: str
    kind: str  # address | coordinates | entity
    columns: tuple[str, ...]
    strategy: str
    evidence: str = ""


class ColumnSchema(Frozen):
    """One column that enters the space.

    `categories` (set and boolean columns) are in descending order of frequency, ties by name, and
    `category_counts` stands beside them; `statistics` (scalar columns) holds mean, std, min, max,
    median, q01, q25, q75, q99, skew, zero_share, integer (1.0 / 0.0); for timestamps min and max in
    seconds since 1970 (UTC); for texts mean_words, mean_chars, mean_parts. Counts are of the rows
    that the schema was fitted on. `refusals` are the types that were tried before this one.
    `levels` (ordinal columns) holds every category's place in [0, 1], beside `categories`.
    `decimal` is the decimal mark of a number column and `unit` what stands beside its figures (a
    measure or a currency's code; other units are unparsed), `delimiter` splits a list column's cells,
    `width` is the length of a code column's cells, `dimension` the length of a vector column's, `region`
    the country (ISO code) that a phone column's numbers are read in.
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
    refusals: tuple[Refusal, ...] = ()
    timestamp_format: str | None = None
    decimal: Literal[".", ","] = "."
    unit: str | None = None
    levels: tuple[float, ...] = ()
    delimiter: str | None = None
    width: int | None = None
    dimension: int | None = None
    region: str | None = None


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
    groups: tuple[HybridGroup, ...] = ()
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
