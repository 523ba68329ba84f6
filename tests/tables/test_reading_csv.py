"""CSV in every dialect, encoding and state of repair (DATA-1, DATA-3)."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.bad_rows import BadRows
from featrix_core.tables.csv_fields import Dialect, read_record
from featrix_core.tables.csv_records import RecordScanner
from featrix_core.tables.reading import read_table

QUIET = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
PIECES = [b"a", b"7", b",", b",", b"\n", b"\n", b"\r\n", b"\r", b'"', b'"', b'""', b" ", b"\xff"]
PIECES += [b"\0", "é".encode(), b'"x"', b'"x,y"', b'"p\nq"', b"\\", b'\\"']


def write(folder: Path, data: bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def bad_of(path: Path, folder: Path) -> list[dict[str, Any]]:
    target = folder / "bad_rows.jsonl"
    read_table(path, bad_rows_to=target)
    return [json.loads(line) for line in target.read_text().splitlines()]


# --- the scanner ------------------------------------------------------------------------------


def scanned(data: bytes, size: int, escape: bool) -> tuple[list[bytes], list[Any]]:
    bad = BadRows()
    scanner = RecordScanner(Dialect(escape=escape), 2, bad)
    rows: list[bytes] = []
    for part in scanner.scan(data[at : at + size] for at in range(0, len(data), size)):
        edges = zip(part.starts_R.tolist(), part.ends_R.tolist(), strict=True)
        rows += [part.data[start:end].rstrip(b"\r\n") for start, end in edges]
    return rows, bad.listed


@QUIET
@given(
    data=st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join),
    size=st.integers(1, 12),
    escape=st.booleans(),
)
def test_blocks_make_no_difference(data: bytes, size: int, escape: bool) -> None:
    assert scanned(data, size, escape) == scanned(data, 10**6, escape)


@QUIET
@given(data=st.lists(st.sampled_from(PIECES[:11]), max_size=40).map(b"".join))
def test_records_are_those_that_are_read_one_by_one(data: bytes) -> None:
    """Whole blocks at once find what a reader finds that goes from field to field."""
    dialect = Dialect()
    good, at, text = [], 0, data if data.endswith((b"\n", b"\r")) else data + b"\n"
    while at < len(text):
        record = read_record(text, at, dialect)
        if record.reason:
            ends = [text.find(end, at) for end in (b"\n", b"\r")]
            first = min(end for end in ends if end >= 0)
            at = first + (2 if text[first : first + 2] == b"\r\n" else 1)
            continue
        if len(record.fields) == 2:
            good.append(b",".join(record.fields))
        at = record.end
    assert scanned(data, 10**6, False)[0] == good


# --- round trips ------------------------------------------------------------------------------

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)


@QUIET
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8),
    delimiter=st.sampled_from(",;\t|"),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_csv_writes_is_read_back(
    tmp_path: Path,
    rows: list[tuple[str, str, str]],
    delimiter: str,
    line_end: str,
    quoting: Any,
) -> None:
    """Cell for cell; the header says the delimiter, as the cells may hold all of them."""
    if quoting == csv.QUOTE_MINIMAL:  # the writer quotes no carriage return by itself
        rows = [(a.replace("\r", ""), b.replace("\r", ""), c.replace("\r", "")) for a, b, c in rows]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    # Enough ordinary rows that delimiter and quoting can be found out.
    writer.writerows([("left", "middle", "right"), *rows, *[("word", "x", "y")] * 40])
    table = read_table(write(tmp_path, text.getvalue().encode()))
    assert table.source.delimiter == delimiter and table.source.bad_rows == 0
    cells = zip(*(column.to_pylist() for column in table.arrow.columns), strict=True)
    assert list(cells)[: len(rows)] == rows


# --- dialects and encodings -------------------------------------------------------------------

DIALECTS: dict[str, tuple[str, list[list[str]]]] = {
    "decimal commas": ("1,5;2,25\n3,5;4,75\n1,0;2,5\n", [["1,5", "3,5", "1,0"], ["2,25", "4,75", "2,5"]]),
    "commas in text": ("a;b\nX, Y;3\nU, V;4\n", [["X, Y", "U, V"], ["3", "4"]]),
    "single quotes": ("'a','b'\n'x, y','1'\n'it''s','2'\n", [["x, y", "it's"], ["1", "2"]]),
    "backslash quotes": ('a,b\n"say \\"hi\\" now",1\n"x",2\n', [['say "hi" now', "x"], ["1", "2"]]),
    "windows paths": ('a,b\n"C:\\dir\\",1\n"D:\\",2\n', [["C:\\dir\\", "D:\\"], ["1", "2"]]),
    "quotes inside": ('a,b\n5" pipe,1\n3" pipe,2\n', [['5" pipe', '3" pipe'], ["1", "2"]]),
    "old Mac": ("a,b\rx,1\ry,2\r", [["x", "y"], ["1", "2"]]),
    "blank lines": ("\n\na,b\n\nx,1\n  \ny,2\n\n", [["x", "y"], ["1", "2"]]),
    "no final line end": ("a,b\nx,1\ny,2", [["x", "y"], ["1", "2"]]),
    "marks inside": ("a,b\n\ufeffx,1\ny,2\n", [["\ufeffx", "y"], ["1", "2"]]),
    "one column": ("a\nx\n\ny\n", [["x", "y"]]),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(DIALECTS))
def test_dialects(tmp_path: Path, case: str) -> None:
    text, columns = DIALECTS[case]
    table = read_table(write(tmp_path, text.encode()))
    assert [column.to_pylist() for column in table.arrow.columns] == columns
    assert table.source.bad_rows == 0


TEXTS = {
    "cp1252": "Zoë zahlt 5 € für „Käse“ und Brötchen, Größe ½",
    "latin_1": "Zo\xeb zahlt f\xfcr K\xe4se\x81",
    "cp1251": "Счёт оплачен полностью, заказ отправлен покупателю вчера",
    "shift_jis": "東京都渋谷区の配送は完了しました、ありがとうございます",
    "gb18030": "北京市海淀区的订单已经发货，请注意查收，谢谢您的惠顾",
    "euc_kr": "서울특별시 강남구 주문이 배송되었습니다 감사합니다",
}


@pytest.mark.parametrize("encoding", sorted(TEXTS))
def test_encodings_are_guessed_and_named(tmp_path: Path, encoding: str) -> None:
    text = TEXTS[encoding].replace(",", "")
    data = ("note,n\n" + "".join(f"{text},{n}\n" for n in range(60))).encode(encoding)
    table = read_table(write(tmp_path, b"plain,n\n" + b"ascii,1\n" * 20 + data))
    assert table.arrow.column(0).to_pylist()[-1] == text
    (notice,) = table.notices
    assert notice.code == "encoding_guessed" and table.source.encoding in notice.message


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark(tmp_path: Path, encoding: str) -> None:
    table = read_table(write(tmp_path, "name,n\nÄrger,1\nÜbung,2\n".encode(encoding)))
    assert table.arrow["name"].to_pylist() == ["Ärger", "Übung"]
    assert table.source.encoding == encoding


def test_two_encodings_in_one_file(tmp_path: Path) -> None:
    """Where Latin-1 prevails, lines in UTF-8 stay what they are; where UTF-8 does, others are bad."""
    latin, utf8 = "Käse,1\n".encode("latin1"), "Käse,1\n".encode()
    table = read_table(write(tmp_path, b"a,n\n" + latin * 9 + utf8 * 3))
    assert table.arrow["a"].to_pylist() == ["Käse"] * 12
    assert "3 lines are UTF-8" in table.notices[0].message
    bad = bad_of(write(tmp_path, b"a,n\n" + utf8 * 9 + latin * 3), tmp_path)
    assert [(row["line"], row["text"]) for row in bad] == [(n, "K\\xe4se,1") for n in (11, 12, 13)]


# --- bad rows ---------------------------------------------------------------------------------


def test_bad_rows_are_set_aside_with_place_and_reason(tmp_path: Path) -> None:
    lines = [
        b"a,b",
        b'"two\nlines",1',
        b"1,2,3",
        b"x,2",
        b'y,"open',
        b"z,3",
        b'"q" r,4',
        b"u,\xff5",
        b"v,\x006",
        b"w",
        b'"w, w",7',
        *["mehr ü,8".encode()] * 9,
    ]
    path = write(tmp_path, b"\r\n".join(lines) + b"\r\n")
    target = tmp_path / "bad.jsonl"
    table = read_table(path, bad_rows_to=target)
    assert table.arrow["a"].to_pylist() == ["two\nlines", "x", "z", "w, w", *["mehr ü"] * 9]
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [(row["row"], row["line"], row["reason"]) for row in rows] == [
        (2, 4, "3 fields, 2 are expected"),
        (4, 6, "a quote is not closed on its line"),
        (6, 8, "text follows a closing quote"),
        (7, 9, "bytes that are not UTF-8"),
        (8, 10, "a NUL character"),
        (9, 11, "1 fields, 2 are expected"),
    ]
    assert [row["text"] for row in rows][:2] == ["1,2,3", 'y,"open']
    (notice,) = table.notices
    assert (notice.code, notice.figure) == ("bad_rows", 6.0)
    assert notice.message.startswith("6 of 19 rows") and "line 4" in notice.message
    assert (table.source.rows_read, table.source.bad_rows) == (13, 6)
    assert table.bad is not None and table.n_records == 19
    assert table.bad.positions_B.tolist() == [1, 3, 5, 6, 7, 8]
    assert table.bad.reasons()[0] == "Line 4 cannot be read: 3 fields, 2 are expected."
    assert table.take(np.arange(3)).bad is None, "places among chosen rows mean nothing"
    assert read_table(path, max_rows=5).bad is None


def test_all_bad_rows_are_counted_and_ten_thousand_listed(tmp_path: Path) -> None:
    path = write(tmp_path, b"a,b\n" + b"1,2\n1\n" * 11_000 + b"1,2\n")
    target = tmp_path / "bad.jsonl"
    table = read_table(path, bad_rows_to=target)
    assert (table.n_rows, table.source.bad_rows) == (11_001, 11_000)
    assert table.bad is not None
    np.testing.assert_array_equal(table.bad.positions_B, np.arange(1, 22_001, 2))
    assert table.bad.reasons()[-1] == "Row 22000 cannot be read."
    lines = target.read_text().splitlines()
    assert len(lines) == 10_000 and json.loads(lines[-1])["line"] == 20_001


def test_long_texts_of_bad_rows_are_cut(tmp_path: Path) -> None:
    rows = bad_of(write(tmp_path, b"a,b\n1,2\n" + b"x" * 5000 + b"\n3,4\n"), tmp_path)
    assert rows[0]["text"] == "x" * 500 + "…"


def test_mostly_bad_is_an_error_that_names_the_first(tmp_path: Path) -> None:
    path = write(tmp_path, b"a,b\n1,2\n" + b"1,2,3\n" * 2)
    with pytest.raises(FeatrixUserError, match=r"2 of 3 rows cannot be read.*line 3: 3 fields"):
        read_table(path)
    assert read_table(write(tmp_path, b"a,b\n1,2\n1,2,3\n")).n_rows == 1, "half is not most"


def test_no_bad_rows_no_file(tmp_path: Path, german_credit: Path) -> None:
    read_table(german_credit, bad_rows_to=tmp_path / "bad.jsonl")
    assert not (tmp_path / "bad.jsonl").exists()


def test_quotes_that_never_close_in_a_long_file(tmp_path: Path) -> None:
    """Each costs its own line, not the rest of the file, and not the time of reading it again and again."""
    path = write(tmp_path, b"a,b\n" + (b"x,1\n" * 50 + b'y,"2\n') * 4000)
    table = read_table(path)
    assert (table.n_rows, table.source.bad_rows) == (200_000, 4000)
