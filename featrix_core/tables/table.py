"""`Table` (cells as they were read) and `TypedColumn` (cells as their type understands them)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from featrix_core.tables.bad_rows import BadRows
from featrix_core.tables.schema import ColumnType, Notice


@dataclass(frozen=True)
class Source:
    """Where a table came from; `sha256` is of the file's bytes (empty for a DataFrame).

    `rows_read` counts the good rows of the source (a sample holds fewer), `bad_rows` those set aside.
    """

    name: str
    format: str
    sha256: str = ""
    encoding: str = ""
    delimiter: str = ""
    compression: str = ""
    rows_read: int = 0
    bad_rows: int = 0


_DATES = {kind: pd.ArrowDtype(kind) for kind in (pa.date32(), pa.date64())}


@dataclass(frozen=True)
class Table:
    """Rows as read: text from CSV (nothing parsed yet), native Arrow types from Parquet.

    `bad`: the records between the rows that cannot be read; None where there are none, and for tables
    that are no longer what was read (samples, chosen rows, other columns).
    """

    arrow: pa.Table
    source: Source
    notices: tuple[Notice, ...] = ()
    bad: BadRows | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.arrow.num_rows)

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return list(self.arrow.column_names)

    @property
    def n_records(self) -> int:
        """Number of rows, those included that cannot be read."""
        return self.n_rows + (self.bad.count if self.bad else 0)

    def take(self, rows: NDArray[np.int64]) -> Table:
        """The given rows, in the given order."""
        return Table(self.arrow.take(pa.array(rows)), self.source, self.notices)

    def drop(self, names: list[str]) -> Table:
        """Without the named columns (those that exist)."""
        kept = [name for name in self.names if name not in set(names)]
        return Table(self.arrow.select(kept), self.source, self.notices)

    def to_pandas(self) -> pd.DataFrame:
        """As a DataFrame with a fresh index; dates stay Arrow's own, as Python's end with the year 9999."""
        frame: pd.DataFrame = self.arrow.to_pandas(types_mapper=_DATES.get)
        return frame


@dataclass(frozen=True)
class TypedColumn:
    """One column's cells after parsing, `n` rows.

    scalar: `numbers_N` float64, NaN where missing or unparsed.
    timestamp: `numbers_N` seconds since 1970 UTC, NaN where missing; `offsets_N` hours from UTC.
    vector: `vectors_NH` float32, rows of zeros where missing.
    all others: `codes_N` int32 into `texts` (distinct cell texts, sorted), -1 if missing.
    Unparsed cells (DATA-3) count as missing and are listed in `unparsed_examples`; where there are any,
    `unread_N` holds int32 numbers into `unread_texts`, -1 for all other cells.
    """

    name: str
    type: ColumnType
    missing_N: NDArray[np.bool_]
    numbers_N: NDArray[np.float64] | None = None
    offsets_N: NDArray[np.float64] | None = None
    codes_N: NDArray[np.int32] | None = None
    texts: tuple[str, ...] = ()
    vectors_NH: NDArray[np.float32] | None = None
    n_unparsed: int = 0
    unparsed_examples: tuple[str, ...] = ()
    unread_N: NDArray[np.int32] | None = None
    unread_texts: tuple[str, ...] = ()

    @classmethod
    def hidden(cls, name: str, type: ColumnType, n_rows: int) -> TypedColumn:
        """A column whose cells are all missing, whatever the type: what a predictor sees of its own target."""
        return cls(
            name,
            type,
            np.ones(n_rows, np.bool_),
            numbers_N=np.full(n_rows, np.nan),
            codes_N=np.full(n_rows, -1, np.int32),
        )

    def rows(self, start: int, stop: int) -> TypedColumn:
        """Rows `start` to `stop`, with the texts that occur in them; notes on unparsed cells stay."""
        part = slice(start, stop)
        cells = replace(
            self,
            missing_N=self.missing_N[part],
            numbers_N=None if self.numbers_N is None else self.numbers_N[part],
            offsets_N=None if self.offsets_N is None else self.offsets_N[part],
            vectors_NH=None if self.vectors_NH is None else self.vectors_NH[part],
            unread_N=None if self.unread_N is None else self.unread_N[part],
        )
        if self.codes_N is None:
            return cells
        codes = self.codes_N[part]
        used = np.unique(codes[codes >= 0])
        places = np.where(codes < 0, -1, np.searchsorted(used, codes)).astype(np.int32)
        return replace(cells, codes_N=places, texts=tuple(self.texts[k] for k in used.tolist()))


def in_parts(
    typed: Mapping[str, TypedColumn], most_rows: int
) -> Iterator[Mapping[str, TypedColumn]]:
    """Typed columns of a table, `most_rows` rows at a time; a table without rows is one part."""
    n_rows = len(next(iter(typed.values())).missing_N) if typed else 0
    if n_rows <= most_rows:
        yield typed
        return
    for start in range(0, n_rows, most_rows):
        yield {name: c.rows(start, start + most_rows) for name, c in typed.items()}
