"""CSV, TSV and TXT files to an Arrow table of text columns, as a stream (DATA-1)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.bad_rows import BadRows
from featrix_core.tables.csv_dialect import Layout, complete_records, find_layout
from featrix_core.tables.csv_fields import Dialect
from featrix_core.tables.csv_records import RecordScanner
from featrix_core.tables.csv_specials import line_ends
from featrix_core.tables.limits import check_names
from featrix_core.tables.sampling import RowSample
from featrix_core.tables.schema import Notice
from featrix_core.tables.text_encoding import Utf8Text

_HEAD_BYTES = 256 * 1024
_MOST_HEAD_BYTES = 64 * 1024 * 1024
_HTML = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)
_PARSED_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class CsvContent:
    """What a CSV holds: the sample's pieces, and how the file is written."""

    pieces: list[pa.Table]
    names: tuple[str, ...]
    encoding: str
    dialect: Dialect
    notices: tuple[Notice, ...]


def read_csv(raw: Iterator[bytes], where: str, sample: RowSample, bad: BadRows) -> CsvContent:
    """Read a stream of bytes; cells are text, an empty cell is "".

    Raises:
        FeatrixUserError: no text, nothing but blank lines, an HTML page, or column names that are not distinct.
    """
    text = Utf8Text(raw)
    blocks = text.blocks()
    head, whole = _head(blocks)
    if not head.strip():
        raise FeatrixUserError(
            f"{where} is empty (blank lines only)", remedy="Give a file with a header and rows"
        )
    if _HTML.match(head):
        raise FeatrixUserError(
            f"{where} is an HTML page, not a table",
            remedy="Often it is a page of login or error; download the file itself",
        )
    layout = find_layout(head, whole, where)
    check_names(list(layout.names), where)
    dialect = layout.dialect
    width = len(layout.names) + layout.tail
    above = len(line_ends(head[: layout.start]))
    head = head[layout.start :]
    scanner = RecordScanner(
        dialect, width, bad, skip=int(layout.has_header), tail=layout.tail, line=above + 1
    )
    parser = _Parser(layout, sample)
    for records in scanner.scan(chain((head,), blocks)):
        chosen, keys = sample.admit(len(records))
        parser.add(records.bytes_of(chosen), keys)
    parser.flush()
    notices = (*text.notices(), *layout.notices)
    return CsvContent(sample.tables(), layout.names, text.encoding, dialect, notices)


def _head(blocks: Iterator[bytes]) -> tuple[bytes, bool]:
    """As much of the text as it takes to judge by, and whether that is all of it."""
    head = b""
    while len(head) < _HEAD_BYTES or not complete_records(head, False):
        block = next(blocks, None)
        if block is None:
            return head, True
        head += block
        if len(head) > _MOST_HEAD_BYTES:
            break
    return head, False


class _Parser:
    """Cuts records into cells, some megabytes at a time."""

    def __init__(self, layout: Layout, sample: RowSample) -> None:
        beyond = [f"\0beyond {place}" for place in range(layout.tail)]
        self._names = [*layout.names, *beyond]
        self._dialect = layout.dialect
        self._sample = sample
        self._convert = pa_csv.ConvertOptions(
            column_types={name: pa.string() for name in self._names},
            strings_can_be_null=False,
            include_columns=list(layout.names),
        )
        self._pending: list[bytes] = []
        self._keys: list[NDArray[np.uint64]] = []
        self._size = 0

    def add(self, records: bytes, keys: NDArray[np.uint64]) -> None:
        """Whole records with a key each."""
        self._pending.append(records)
        self._keys.append(keys)
        self._size += len(records)
        if self._size >= _PARSED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Parse what is pending."""
        if not self._size:
            return
        data = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        if data.startswith(codecs.BOM_UTF8):  # one at the start is skipped; this one is text
            data = codecs.BOM_UTF8 + data
        dialect = self._dialect
        rows = pa_csv.read_csv(
            pa.BufferReader(data),
            pa_csv.ReadOptions(
                column_names=self._names, block_size=len(data) + 1, use_threads=False
            ),
            pa_csv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char=dialect.quote,
                escape_char="\\" if dialect.escape else False,
                newlines_in_values=True,
            ),
            self._convert,
        )
        self._sample.add(rows, np.concatenate(self._keys))
        self._pending, self._keys, self._size = [], [], 0
