"""`FeatrixInputDataSet`: a table with its schema, ready to be split and trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from featrix_core.tables.build import build_schema
from featrix_core.tables.json_reading import printable
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import ColumnType, TableSchema
from featrix_core.tables.splits import random_split
from featrix_core.tables.table import Table

TableLike: TypeAlias = (
    str | Path | pd.DataFrame | Table | Mapping[str, Any] | Sequence[Mapping[str, Any]]
)


def as_table(data: TableLike | FeatrixInputDataSet) -> Table:
    """A `Table` from whatever a user hands over."""
    if isinstance(data, FeatrixInputDataSet):
        return data.table
    return data if isinstance(data, Table) else read_table(data)


def as_name(name: Any) -> Any:
    """A column's name as tables have it: those of a DataFrame may be numbers. None stays."""
    return None if name is None else printable(name)


class FeatrixInputDataSet:
    """A table and the columns of it that may enter a space.

    Args:
        df: a DataFrame, the path of a table file, rows as dicts, or a `Table`.
        ignore_cols: columns that never enter the space (name the prediction targets here).
        overrides: column types to use instead of the detected ones.

    Example:
        >>> train, validation = FeatrixInputDataSet(df, ignore_cols=["class"]).split(0.2)
    """

    def __init__(
        self,
        df: TableLike,
        ignore_cols: Sequence[str] = (),
        overrides: Mapping[str, ColumnType] | None = None,
    ) -> None:
        self.table = as_table(df)
        self.ignore_cols = tuple(map(as_name, ignore_cols))
        self.overrides = {as_name(name): type for name, type in (overrides or {}).items()}

    def split(
        self, fraction: float = 0.2, seed: int = 42
    ) -> tuple[FeatrixInputDataSet, FeatrixInputDataSet]:
        """(training part, validation part) with `fraction` of the rows in the second (DATA-7)."""
        parts = random_split(self.table.n_rows, fraction, seed)
        return self._part(parts.train_rows), self._part(parts.validation_rows)

    def _part(self, rows: object) -> FeatrixInputDataSet:
        part = self.table.take(rows)  # type: ignore[arg-type]
        return FeatrixInputDataSet(part, self.ignore_cols, self.overrides)

    def schema(self) -> TableSchema:
        """Types, filter decisions and statistics of this part's rows."""
        return build_schema(self.table, exclude=self.ignore_cols, overrides=self.overrides)
