"""Reading tables: files, DataFrames and Arrow tables become one `Table` (DATA-1, DATA-3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
import pyarrow as pa

from featrix_core.errors import FeatrixUserError
from featrix_core.files import sha256_of
from featrix_core.storage.fetch import fetch, is_remote
from featrix_core.tables.arrow_types import plain_table
from featrix_core.tables.bad_rows import BadRows
from featrix_core.tables.byte_source import COMPRESSED_ENDINGS, OnBytes, blocks, packing
from featrix_core.tables.csv_reading import read_csv
from featrix_core.tables.frame_reading import from_pandas
from featrix_core.tables.json_reading import read_json_table
from featrix_core.tables.limits import check_names
from featrix_core.tables.parquet_reading import read_parquet
from featrix_core.tables.sampling import RowSample
from featrix_core.tables.schema import Notice
from featrix_core.tables.spreadsheets import (
    SPREADSHEET_ENDINGS,
    is_spreadsheet,
    spreadsheet_error,
)
from featrix_core.tables.table import Source, Table

TableData: TypeAlias = (
    str | Path | pd.DataFrame | pa.Table | Mapping[str, Any] | Sequence[Mapping[str, Any]]
)
CSV_ENDINGS = (".csv", ".tsv", ".txt")
PARQUET_ENDINGS = (".parquet", ".pq")
JSON_ENDINGS = (".json",)
JSON_LINES_ENDINGS = (".jsonl", ".ndjson")
ENDINGS = CSV_ENDINGS + PARQUET_ENDINGS + JSON_ENDINGS + JSON_LINES_ENDINGS


def read_table(
    data: TableData,
    *,
    max_rows: int | None = None,
    seed: int = 42,
    on_progress: OnBytes | None = None,
    bad_rows_to: Path | None = None,
) -> Table:
    """Read a table of at least one row.

    CSV, TSV and TXT, Parquet, JSON (an array of objects, or an object that holds one), JSON lines, from a path or
    `s3://bucket/key`; text files plain or as .gz, .zst, .bz2, .xz or .zip. Delimiter, quoting, header, encoding and
    compression are found out. Files are read as a stream, never as a whole. Cells of text files stay text, the others
    keep their plain Arrow types; what cells mean is decided later, so that all sources give the same schema.

    Args:
        data: path, URL, DataFrame, Arrow table, a list of rows as dicts, or one such row.
        max_rows: of more rows, an exact uniform sample is kept, in the order of the file; None keeps all.
        seed: of the sample.
        on_progress: told of bytes read and bytes in all.
        bad_rows_to: file for the rows that cannot be read; written only where there are any.

    Raises:
        FeatrixUserError: the file is missing, empty, damaged, of an unknown kind, without rows, unpacks to too much,
            has column names that are not distinct, or more than half of its rows cannot be read;
            or `data` is none of these things.
    """
    sample = RowSample(max_rows, seed)
    if isinstance(data, pa.Table):
        check_names([str(name) for name in data.column_names], "Arrow table")
        return _in_memory(data, Source(name="Arrow table", format="arrow"), sample)
    if isinstance(data, pd.DataFrame):
        frame = from_pandas(data)
        return _in_memory(frame, Source(name="DataFrame", format="dataframe"), sample)
    if isinstance(data, Mapping) or (isinstance(data, Sequence) and not isinstance(data, str)):
        rows = [data] if isinstance(data, Mapping) else list(data)
        frame = from_pandas(_frame_of(rows))
        return _in_memory(frame, Source(name="list of rows", format="rows"), sample)
    if not isinstance(data, (str, Path)):
        raise _no_table(data)
    if not str(data).strip():
        raise FeatrixUserError("The path of the data is empty", remedy="Name a file")
    if is_remote(str(data)):
        with fetch(str(data), on_progress) as local:
            return _read_file(local, str(data), sample, None, bad_rows_to)
    with fetch(str(data)) as local:
        return _read_file(local, str(local), sample, on_progress, bad_rows_to)


def _frame_of(rows: list[object]) -> pd.DataFrame:
    """Rows given as dicts; a key that a row does not have is a missing cell."""
    if not rows:
        raise FeatrixUserError("The list of rows is empty", remedy="Give at least one row")
    named = [row for row in rows if isinstance(row, Mapping)]
    if len(named) < len(rows):
        raise _no_table(next(row for row in rows if not isinstance(row, Mapping)))
    return pd.DataFrame(named)


def _no_table(data: object) -> FeatrixUserError:
    return FeatrixUserError(
        f"No table can be made of {type(data).__name__}",
        value=repr(data)[:80],
        remedy="Give a path, a DataFrame, an Arrow table, a list of dicts, or a dict for one row",
    )


def _in_memory(arrow: pa.Table, source: Source, sample: RowSample) -> Table:
    chosen, keys = sample.admit(arrow.num_rows)
    if len(chosen) < arrow.num_rows:
        arrow = arrow.take(pa.array(chosen))
    sample.add(plain_table(arrow, source.name), keys)
    pieces = sample.tables() or [arrow]
    return _finished(pa.concat_tables(pieces), source, sample, BadRows(), ())


def _read_file(
    path: Path, where: str, sample: RowSample, on_bytes: OnBytes | None, bad_rows_to: Path | None
) -> Table:
    _require_file(path, where)
    ending = _ending(where)
    if is_spreadsheet(path, ending):
        raise spreadsheet_error(where)
    packed = packing(path)
    if ending in COMPRESSED_ENDINGS or (packed.compression and packed.inner_name != path.name):
        ending = _ending(packed.inner_name)
    if ending in SPREADSHEET_ENDINGS:
        raise spreadsheet_error(where)
    if ending not in ENDINGS:
        raise FeatrixUserError(
            f"{where} has an ending that is not known",
            value=ending or "(none)",
            remedy=f"Use a file ending in {', '.join(ENDINGS)}",
        )
    if packed.compression and ending in PARQUET_ENDINGS:
        raise FeatrixUserError(
            f"{where} is a packed Parquet file", remedy="Unpack it; Parquet is compressed in itself"
        )
    bad = BadRows()
    notices: tuple[Notice, ...] = ()
    encoding = delimiter = ""
    with _hashed(path) as digest:
        if ending in PARQUET_ENDINGS:
            arrow = pa.concat_tables(read_parquet(path, where, sample, on_bytes))
        elif ending in CSV_ENDINGS:
            content = read_csv(blocks(path, on_bytes), where, sample, bad)
            pieces, notices = content.pieces, content.notices
            encoding, delimiter = content.encoding, content.dialect.delimiter
            empty = pa.table({name: pa.array([], pa.string()) for name in content.names})
            arrow = pa.concat_tables(pieces) if pieces else empty
        else:
            by_line = True if ending in JSON_LINES_ENDINGS else None
            stream = blocks(path, on_bytes)
            arrow, encoding, notices = read_json_table(stream, where, sample, bad, by_line)
    source = Source(
        where,
        _FORMATS[ending],
        digest[0],
        encoding,
        delimiter,
        compression=packed.compression,
    )
    if bad_rows_to is not None:
        bad.write(bad_rows_to)
    is_json = ending in JSON_ENDINGS + JSON_LINES_ENDINGS
    notices += bad.notices(where, sample.n_seen, bad_rows_to is not None, is_json)
    if not bad.count or sample.n_seen:
        check_names(arrow.column_names, where)
    return _finished(arrow, source, sample, bad, notices)


_FORMATS = {
    **dict.fromkeys(CSV_ENDINGS, "csv"),
    **dict.fromkeys(PARQUET_ENDINGS, "parquet"),
    **dict.fromkeys(JSON_ENDINGS, "json"),
    **dict.fromkeys(JSON_LINES_ENDINGS, "jsonl"),
}


def _finished(
    arrow: pa.Table,
    source: Source,
    sample: RowSample,
    bad: BadRows,
    notices: tuple[Notice, ...],
) -> Table:
    if arrow.num_rows == 0:
        raise FeatrixUserError(
            f"{source.name} has columns but no rows", remedy="Give a table with at least one row"
        )
    if arrow.num_rows < sample.n_seen:
        sampled = Notice(
            code="rows_sampled",
            message=f"The table has {sample.n_seen} rows; a uniform sample of {arrow.num_rows} is used",
            figure=float(sample.n_seen),
            action="give a larger max_rows to use more",
        )
        notices = (*notices, sampled)
    full = replace(source, rows_read=sample.n_seen, bad_rows=bad.count)
    known = bad if bad.count and arrow.num_rows == sample.n_seen else None
    # What pandas stores of an index is no column of the table, in Parquet or in what was made of it.
    kept = [name for name in arrow.column_names if not name.startswith("__index_level_")]
    return Table(arrow.select(kept).replace_schema_metadata(None), full, notices, known)


def _ending(name: str) -> str:
    return Path(name).suffix.lower()


@contextmanager
def _hashed(path: Path) -> Iterator[list[str]]:
    """The file's sha256, found beside the reading; known when the block ends well."""
    digest: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(sha256_of, path)
        yield digest
        digest.append(found.result())


def _require_file(path: Path, where: str) -> None:
    try:
        if path.is_dir():
            raise FeatrixUserError(
                f"{where} is a directory, not a table", remedy="Name a CSV or Parquet file in it"
            )
        if not path.exists():
            raise FeatrixUserError(
                f"{where} does not exist", remedy="Check the path given for the data"
            )
        if path.stat().st_size == 0:
            raise FeatrixUserError(
                f"{where} is empty (0 bytes)", remedy="Give a file with a header and rows"
            )
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        raise FeatrixUserError(
            f"{where} cannot be read: {error}", remedy="Check the path and its permissions"
        ) from error
