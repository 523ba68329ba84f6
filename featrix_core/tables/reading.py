"""Reading tables: CSV, Parquet, DataFrames and Arrow tables become one `Table` (DATA-1)."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from featrix_core.errors import FeatrixUserError
from featrix_core.files import sha256_of
from featrix_core.tables.schema import Notice
from featrix_core.tables.table import Source, Table

CSV_ENDINGS = (".csv", ".tsv", ".txt")
PARQUET_ENDINGS = (".parquet", ".pq")
DELIMITERS = ",;\t|"
_SNIFFED_BYTES = 64 * 1024
_BLOCK_BYTES = 8 * 1024 * 1024
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


def read_table(data: str | Path | pd.DataFrame | pa.Table) -> Table:
    """Read a table of at least one row.

    Cells of a CSV stay text, Parquet and DataFrames keep their Arrow types; what the cells mean is
    decided later, so that all sources give the same schema.

    Raises:
        FeatrixUserError: the file is missing, a directory, empty, damaged, of an unknown kind,
            not UTF-8, ragged, without rows, or its column names are not distinct and non-empty.
    """
    if isinstance(data, pa.Table):
        return _checked(data, Source(name="Arrow table", format="arrow"))
    if isinstance(data, pd.DataFrame):
        return _checked(_from_pandas(data), Source(name="DataFrame", format="dataframe"))
    path = Path(data)
    _require_file(path)
    ending = path.suffix.lower()
    if ending in CSV_ENDINGS:
        return _read_csv(path)
    if ending in PARQUET_ENDINGS:
        return _read_parquet(path)
    raise FeatrixUserError(
        f"{path} has an ending that is not known",
        value=ending or "(none)",
        remedy=f"Use a file ending in {', '.join(CSV_ENDINGS + PARQUET_ENDINGS)}",
    )


def _require_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise FeatrixUserError(
                f"{path} is a directory, not a table", remedy="Name a CSV or Parquet file in it"
            )
        if not path.exists():
            raise FeatrixUserError(
                f"{path} does not exist", remedy="Check the path given for the data"
            )
        if path.stat().st_size == 0:
            raise FeatrixUserError(
                f"{path} is empty (0 bytes)", remedy="Give a file with a header and rows"
            )
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        raise FeatrixUserError(
            f"{path} cannot be read: {error}", remedy="Check the path and its permissions"
        ) from error


def _checked(arrow: pa.Table, source: Source, notices: tuple[Notice, ...] = ()) -> Table:
    _check_names([str(name) for name in arrow.column_names], source.name)
    if arrow.num_rows == 0:
        raise FeatrixUserError(
            f"{source.name} has columns but no rows", remedy="Give a table with at least one row"
        )
    return Table(arrow.replace_schema_metadata(None), source, notices)


def _check_names(names: list[str], where: str) -> None:
    if not names:
        raise FeatrixUserError(f"{where} has no columns", remedy="Give a table with columns")
    empty = [str(position) for position, name in enumerate(names, start=1) if not name.strip()]
    if empty:
        raise FeatrixUserError(
            f"{where} has columns without a name, at position {', '.join(empty)}",
            remedy="Name every column in the header",
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise FeatrixUserError(
            f"{where} has duplicate column names: {', '.join(map(repr, repeated))}",
            column=repeated[0],
            remedy="Rename the columns so that every name occurs once",
        )


# --- CSV ------------------------------------------------------------------------------------------


def _read_csv(path: Path) -> Table:
    data, encoding = _utf8_bytes(path.read_bytes(), path)
    if not data.strip():
        raise FeatrixUserError(
            f"{path} is empty (blank lines only)", remedy="Give a file with a header and rows"
        )
    delimiter, header = _sniff(data, path)
    names = [name.strip() for name in header]
    _check_names(names, str(path))
    source = Source(str(path), "csv", sha256_of(path), encoding, delimiter)
    return _checked(_parse_csv(data, delimiter, names, path), source, _header_notices(names))


def _utf8_bytes(data: bytes, path: Path) -> tuple[bytes, str]:
    """The file's text as UTF-8 without byte order mark, and the encoding that it was in."""
    if data[:2] in _UTF16_BOMS:
        try:
            return data.decode("utf-16").encode("utf-8"), "utf-16"
        except UnicodeError as error:
            raise FeatrixUserError(
                f"{path} starts with a UTF-16 byte order mark but is not UTF-16: {error}",
                remedy="Save the file as UTF-8",
            ) from error
    encoding = "utf-8"
    if data.startswith(_UTF8_BOM):
        data, encoding = data[len(_UTF8_BOM) :], "utf-8-sig"
    nul = data.find(b"\x00")
    if nul >= 0:
        raise FeatrixUserError(
            f"{path} contains a NUL byte at byte {nul}, line {_line_of(data, nul)}: it is binary, "
            "damaged, or UTF-16 without a byte order mark",
            remedy="Save the file as UTF-8 text, for example `iconv -f utf-16le -t utf-8`",
        )
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FeatrixUserError(
            f"{path} is not UTF-8: byte 0x{data[error.start]:02x} at byte {error.start}, "
            f"line {_line_of(data, error.start)}",
            remedy=f"Convert it, for example `iconv -f latin1 -t utf-8 {path.name}`",
        ) from error
    return data, encoding


def _line_of(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _sniff(data: bytes, path: Path) -> tuple[str, list[str]]:
    """Delimiter and header: the delimiter that splits the first lines most evenly."""
    whole = len(data) <= _SNIFFED_BYTES
    head = data if whole else data[:_SNIFFED_BYTES].rpartition(b"\n")[0] or data
    text = head.decode("utf-8", errors="ignore")
    best: tuple[float, int, int] | None = None
    choice, header = ",", list[str]()
    for rank, delimiter in enumerate(DELIMITERS):
        records = _records(text, delimiter)
        if not whole and len(records) > 1:
            records = records[:-1]  # a quoted field may be cut
        if not records:
            continue
        width = len(records[0])
        even = sum(len(record) == width for record in records) / len(records)
        # A delimiter that never occurs is perfectly even, so one column counts least.
        score = (even if width > 1 else -1.0, width, -rank)
        if best is None or score > best:
            best, choice, header = score, delimiter, records[0]
    if best is None:
        raise FeatrixUserError(
            f"{path} could not be split into fields", remedy="Check the quoting of the first lines"
        )
    return choice, header


def _records(text: str, delimiter: str) -> list[list[str]]:
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        return [record for record in reader if record]
    except csv.Error:
        return []


def _parse_csv(data: bytes, delimiter: str, names: list[str], path: Path) -> pa.Table:
    parse = pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=b'"' in data)
    convert = pa_csv.ConvertOptions(
        column_types={name: pa.string() for name in names}, strings_can_be_null=False
    )
    # A record longer than a block cannot be parsed; the second attempt takes all as one block.
    for block in (_BLOCK_BYTES, max(len(data) + 1, _BLOCK_BYTES)):
        read = pa_csv.ReadOptions(column_names=names, skip_rows_after_names=1, block_size=block)
        try:
            table = pa_csv.read_csv(pa.py_buffer(data), read, parse, convert)
            _require_closed_quotes(data, table, path)
            return table
        except (pa.ArrowInvalid, pa.ArrowCapacityError, OverflowError) as error:
            failure = error
            if "straddling" not in str(error):
                break
    raise _csv_failure(data, delimiter, len(names), path, failure) from failure


def _require_closed_quotes(data: bytes, table: pa.Table, path: Path) -> None:
    """A quote that is never closed swallows the rest of the file into one cell without an error."""
    if data.count(b'"') % 2 == 0 or table.num_rows == 0:
        return
    last = table.slice(table.num_rows - 1)
    for name in table.column_names:
        cell = last[name][0].as_py()
        if cell is not None and "\n" in cell:
            line = data.rstrip(b"\r\n").count(b"\n") + 1 - cell.rstrip("\r\n").count("\n")
            raise FeatrixUserError(
                f"{path} has a quote on line {line} that is never closed",
                column=name,
                value=cell,
                remedy="Close the quote, or double it where it is part of the text",
            )


def _csv_failure(
    data: bytes, delimiter: str, expected: int, path: Path, error: Exception
) -> FeatrixUserError:
    """Say where a CSV goes wrong; it is only read again, by records, because it failed."""
    reader = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), delimiter=delimiter)
    line = last = 1
    try:
        for record in reader:
            if record and len(record) != expected:
                return FeatrixUserError(
                    f"{path} is ragged: line {line} has {len(record)} fields, "
                    f"the header has {expected} (delimiter {delimiter!r})",
                    remedy="Mend that line; fields that contain the delimiter need quotes",
                )
            last, line = line, reader.line_num + 1
    except csv.Error as broken:
        error, last = broken, line
    # Records agree in width but one never ends: that is a quote without its partner.
    reason = "a quote is never closed" if "straddling" in str(error) else str(error)
    return FeatrixUserError(
        f"{path} is not a well-formed CSV, line {last}: {reason}",
        remedy="Check the quotes and delimiters of that line",
    )


def _header_notices(names: list[str]) -> tuple[Notice, ...]:
    numeric = pd.to_numeric(pd.Series(names, dtype="object"), errors="coerce").notna()
    if not numeric.all():
        return ()
    return (
        Notice(
            code="header_numeric",
            message="All column names are numbers: the file may have no header line",
            figure=float(len(names)),
            action="the first line was taken as header",
        ),
    )


# --- Parquet and pandas -----------------------------------------------------------------------


def _read_parquet(path: Path) -> Table:
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            _check_names(names, str(path))
            arrow = file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FeatrixUserError(
            f"{path} is not a readable Parquet file: {error}",
            remedy="Write the file again; it is damaged or of another format",
        ) from error
    # pandas stores a non-trivial index as extra columns; it is no column of the table.
    index = [name for name in names if name.startswith("__index_level_")]
    if index:
        arrow = arrow.drop_columns(index)
    return _checked(arrow, Source(str(path), "parquet", sha256_of(path)))


def _from_pandas(frame: pd.DataFrame) -> pa.Table:
    names = [_printable(name) for name in frame.columns]
    _check_names(names, "DataFrame")
    columns = [_series_to_arrow(frame.iloc[:, position]) for position in range(len(names))]
    return pa.table(columns, names=names)


def _series_to_arrow(series: pd.Series) -> pa.Array | pa.ChunkedArray:
    if series.dtype == object and _kinds(series) > 1:
        # Objects of several kinds have no Arrow type of their own: they become text.
        return _as_text(series)
    try:
        return pa.Array.from_pandas(series)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _as_text(series)


def _as_text(series: pd.Series) -> pa.Array:
    objects = series.astype(object)
    text = objects.map(_printable, na_action="ignore")
    return pa.array(text.where(objects.notna(), None), type=pa.string())


def _printable(value: object) -> str:
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _kinds(series: pd.Series) -> int:
    """How many Python types the distinct cells have; 1 where cells are lists and the like."""
    try:
        return len({type(value) for value in series.dropna().unique()})
    except TypeError:
        return 1
