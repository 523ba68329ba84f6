"""JSON arrays and JSON lines to an Arrow table of text columns, as a stream (DATA-1).

A cell is the text of its value: numbers as they are written, nested objects and lists as JSON text. There
is no vectorised parser that keeps numbers as they are written, so objects are parsed one by one. Only a
number such as 1.234, which a decimal comma would make a thousand, is changed: columns of numbers alone that
hold one are float64, and among texts it is 1.2340.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from featrix_core.tables.bad_rows import BadRows
from featrix_core.tables.json_elements import MAX_ELEMENT_BYTES, array_elements
from featrix_core.tables.limits import MAX_COLUMNS, check_names
from featrix_core.tables.numbers import clear_points
from featrix_core.tables.sampling import RowSample
from featrix_core.tables.schema import Notice
from featrix_core.tables.text_encoding import Utf8Text

MAX_DEPTH = 100
_BATCH_ROWS = 4096
_BATCH_BYTES = 8 * 1024 * 1024
_ROWS = "\0rows"  # holds the number of rows where objects are empty


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


_DECODER = json.JSONDecoder(parse_float=_Number, parse_int=_Number, parse_constant=_Number)


def read_json_table(
    raw: Iterator[bytes], where: str, sample: RowSample, bad: BadRows, by_line: bool | None
) -> tuple[pa.Table, str, tuple[Notice, ...]]:
    """Table, encoding and notices. `by_line`: JSON lines; None finds out.

    Raises:
        FeatrixUserError: neither of the known forms, or too many different keys.
    """
    text = Utf8Text(raw)
    blocks = text.blocks()
    if by_line is None:
        head = next(blocks, b"")
        by_line = _is_lines(head)
        blocks = chain((head,), blocks)
    elements = _lines(blocks) if by_line else _numbered(array_elements(blocks, where))
    names: dict[str, None] = {}
    worded: set[str] = set()
    for rows in _batches(elements, bad):
        chosen, keys = sample.admit(len(rows))
        kept = rows if len(chosen) == len(rows) else [rows[at] for at in chosen.tolist()]
        names.update(dict.fromkeys(chain.from_iterable(rows)))
        if len(names) > MAX_COLUMNS:
            check_names(list(names), where)
        sample.add(_columns(kept, list(names), worded), keys)
    pieces = sample.tables()
    if not pieces:
        return pa.table({}), text.encoding, text.notices()
    table = pa.concat_tables(pieces, promote_options="default").drop_columns([_ROWS])
    for at, name in enumerate(table.column_names):
        if name not in worded:
            table = table.set_column(at, name, _figures(table.column(at)))
    return table, text.encoding, text.notices()


def _is_lines(head: bytes) -> bool:
    """Whether the first line is an object, and the next one starts like one."""
    first, _, rest = head.lstrip().partition(b"\n")
    if not first.startswith(b"{") or not rest.lstrip().startswith(b"{"):
        return False
    try:
        return isinstance(_DECODER.decode(first.decode("utf-8")), dict)
    except (ValueError, RecursionError):
        return False


def _lines(blocks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers; one of more than 32 MB comes in pieces that do not parse."""
    carry, number = b"", 0
    for block in blocks:
        data = carry + block if carry else block
        *lines, carry = data.split(b"\n")
        for line in lines:
            number += 1
            yield number, line
        if len(carry) > MAX_ELEMENT_BYTES:
            yield number + 1, carry
            carry = b""
    if carry:
        yield number + 1, carry


def _numbered(elements: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    for element in elements:
        yield 0, element


def _batches(elements: Iterable[tuple[int, bytes]], bad: BadRows) -> Iterator[list[dict[str, Any]]]:
    """Parsed objects, some thousand at a time; what is none goes to `bad`."""
    rows: list[dict[str, Any]] = []
    size = row = 0
    for line, raw in elements:
        if line and not raw.strip():
            continue
        row += 1
        parsed = _parsed(raw)
        if isinstance(parsed, str):
            bad.add(row, line, parsed, raw)
            continue
        rows.append(parsed)
        size += len(raw)
        if len(rows) >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def _parsed(raw: bytes) -> dict[str, Any] | str:
    """The object, or why there is none."""
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(raw) > MAX_DEPTH:
        return f"nested more than {MAX_DEPTH} deep"
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return "bytes that are not UTF-8"
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} at character {error.pos + 1}"
    return value if isinstance(value, dict) else "not a JSON object"


def _depth(raw: bytes) -> int:
    """How deep brackets open."""
    depth = deepest = 0
    for character in _STRING.sub(b"", raw).translate(None, _NO_BRACKETS):
        depth += 1 if character in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NO_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")


def _columns(rows: list[dict[str, Any]], names: list[str], worded: set[str]) -> pa.Table:
    """Text columns; `worded` learns the names of those with cells other than numbers."""
    arrays: dict[str, Any] = {_ROWS: pa.nulls(len(rows))}
    for name in names:
        cells = [row.get(name) for row in rows]
        kinds = set(map(type, cells)) - {type(None)}
        number = [isinstance(cell, _Number) for cell in cells] if _Number in kinds else []
        if kinds - {str, _Number}:
            cells = [_cell(value) for value in cells]
        texts = text_array(cells)
        if number:
            texts = pc.if_else(pa.array(number), clear_points(texts), texts)
        if kinds - {_Number}:
            worded.add(printable(name))
        arrays[printable(name)] = texts
    return pa.table(arrays)


def _figures(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of numbers alone: float64 where one could be taken for a thousand, else as it is."""
    doubtful = pc.match_substring_regex(column, r"^-?\d{1,3}\.\d{3}0$")
    # Many digits are more than float64 holds, and exponents may be.
    exact = pc.match_substring_regex(column, r"\d{16}|\d{15}\.|[eNI]")
    if not pc.any(doubtful).as_py() or pc.any(exact).as_py():
        return column
    return column.cast(pa.float64())


def text_array(cells: list[str | None]) -> pa.Array:
    """Text cells; characters that are none (half of a surrogate pair) are written out."""
    try:
        return pa.array(cells, pa.string())
    except UnicodeEncodeError:
        return pa.array([c if c is None else printable(c) for c in cells], pa.string())


def printable(value: object) -> str:
    """Text that can be written as UTF-8."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _cell(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json_text(value)


def json_text(value: Any) -> str:
    """JSON text of a parsed value, keys sorted, numbers as they were written."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        inner = (
            f"{json.dumps(k, ensure_ascii=False)}: {json_text(value[k])}" for k in sorted(value)
        )
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(json_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
