"""Which decimal mark do numbers have that leave it open, such as 3,190? The table's others tell (DATA-3)."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa

from featrix_core.tables.column import CLEAR_SHARE, Column
from featrix_core.tables.numbers import Decimal, clear_decimal, parse_numbers
from featrix_core.tables.table import Table
from featrix_core.tables.texts import distinct_texts

_ROWS = 10_000


class MarkedColumns:
    """Columns of a table; where cells leave the decimal mark open, with that of the others."""

    def __init__(self, table: Table) -> None:
        self.table = table

    @cached_property
    def decimal(self) -> Decimal:
        """`table_decimal`; it takes a look at all columns, so it is asked for once and only if needed."""
        return table_decimal(self.table)

    def column(self, name: str) -> Column:
        """The column called `name`."""
        array = self.table.arrow[name]
        column = Column(name, distinct_texts(array))
        if not _is_text(array.type):
            column.written = False
        elif column.open_decimal is not None:
            column.likely = self.decimal
        return column


def table_decimal(table: Table) -> Decimal:
    """The mark of most number columns that leave no doubt, by their first rows.

    Without any, files with semicolons between their fields have decimal commas, others points.
    """
    votes = {".": 0, ",": 0}
    for name in table.names:
        array = table.arrow[name]
        if not _is_text(array.type):
            continue
        texts = distinct_texts(array.slice(0, _ROWS))
        hard = ~texts.soft_V
        values = [text for text, kept in zip(texts.values, hard, strict=True) if kept]
        mark = clear_decimal(values, texts.counts_V[hard])
        if mark is None:
            continue
        votes[mark] += texts.share(~np.isnan(parse_numbers(texts.values, mark))) >= CLEAR_SHARE
    if votes["."] != votes[","]:
        return "," if votes[","] > votes["."] else "."
    return "," if table.source.delimiter == ";" else "."


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )
