"""Readers: one table in three forms, and every way a file can be wrong (DATA-1)."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featrix_core.errors import FeatrixUserError
from featrix_core.files import sha256_of
from featrix_core.input_data_set import as_table
from featrix_core.tables.build import build_schema, typed_columns
from featrix_core.tables.reading import read_table

GERMAN = Path(__file__).parents[2] / "examples" / "data" / "german_credit.csv"


def write(folder: Path, data: bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_german_credit_is_the_same_table_in_every_form(tmp_path: Path) -> None:
    frame = pd.read_csv(GERMAN)
    parquet = tmp_path / "german.parquet"
    frame.to_parquet(parquet)
    csv, native, memory = (read_table(source) for source in (GERMAN, parquet, frame))
    assert csv.source.sha256 == sha256_of(GERMAN)
    assert csv.n_rows == 1000 and len(csv.names) == 21
    schemas = [build_schema(table, targets=["class"]) for table in (csv, native, memory)]
    bare = [schema.model_copy(update={"source_sha256": ""}) for schema in schemas]
    assert bare[0] == bare[1] == bare[2]
    first = typed_columns(csv, schemas[0])
    for table in (native, memory):
        for name, column in typed_columns(table, schemas[0]).items():
            assert column.texts == first[name].texts
            for cells in ("missing_N", "numbers_N", "codes_N"):
                expected = getattr(first[name], cells)
                if expected is not None:
                    np.testing.assert_array_equal(getattr(column, cells), expected)


def test_mixed_forms_of_one_value_agree(tmp_path: Path) -> None:
    """Booleans, whole floats with gaps, dates and nullable integers survive the way over CSV."""
    frame = pd.DataFrame(
        {
            "flag": [True, False, True, False] * 5,
            "count": [1.0, 2.0, None, 4.0] * 5,
            "share": [0.1, 2.5, None, 1e-7] * 5,
            "day": pd.to_datetime(["2020-01-01", "2021-06-05", "NaT", "2020-02-29"] * 5),
            "moment": pd.to_datetime(
                ["2020-01-01 10:00:00", "2021-06-05 23:59:01", "NaT", "2020-02-29 00:00:00"] * 5
            ).tz_localize("Europe/Berlin"),
            "kind": pd.Categorical(["a", "b", None, "a"] * 5),
            "nullable": pd.array([1, None, 3, 7] * 5, dtype="Int64"),
            "single": np.array([0.1, 0.2, 0.3, 0.4] * 5, dtype=np.float32),
        }
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    tables = [read_table(s) for s in (frame, tmp_path / "t.csv", tmp_path / "t.parquet")]
    schemas = [build_schema(t).model_copy(update={"source_sha256": ""}) for t in tables]
    assert schemas[0] == schemas[1] == schemas[2]
    types = {column.name: column.type.value for column in schemas[0].columns}
    assert types == {
        "flag": "boolean",
        "count": "scalar",
        "share": "scalar",
        "day": "timestamp",
        "moment": "timestamp",
        "kind": "set",
        "nullable": "scalar",
        "single": "scalar",
    }
    typed = [typed_columns(table, schemas[0]) for table in tables]
    np.testing.assert_array_equal(typed[0]["moment"].offsets_N, typed[1]["moment"].offsets_N)
    assert typed[0]["moment"].offsets_N is not None
    assert sorted(set(typed[0]["moment"].offsets_N[:2])) == [1.0, 2.0]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(tmp_path: Path, delimiter: str) -> None:
    lines = ["a{0}b{0}c", '1{0}"x, y; z"{0}2', "3{0}w{0}4"]
    path = write(tmp_path, "\n".join(lines).format(delimiter).encode())
    table = read_table(path)
    assert table.source.delimiter == delimiter
    assert table.arrow.to_pydict() == {"a": ["1", "3"], "b": ["x, y; z", "w"], "c": ["2", "4"]}


@pytest.mark.parametrize(
    ("encoding", "expected"), [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("utf-16", "utf-16")]
)
def test_byte_order_marks(tmp_path: Path, encoding: str, expected: str) -> None:
    path = write(tmp_path, "größe,b\nä,1\n€,2\n".encode(encoding))
    table = read_table(path)
    assert table.names == ["größe", "b"]
    assert table.arrow["größe"].to_pylist() == ["ä", "€"]
    assert table.source.encoding == expected


def test_quoted_newlines_and_quotes(tmp_path: Path) -> None:
    path = write(tmp_path, b'"a\nb",c\r\n"x\ny","say ""hi"""\r\n,\r\n')
    assert read_table(path).arrow.to_pydict() == {"a\nb": ["x\ny", ""], "c": ['say "hi"', ""]}


def test_cell_longer_than_a_block(tmp_path: Path) -> None:
    long = "x" * (9 * 1024 * 1024)
    table = read_table(write(tmp_path, f"a,b\n1,{long}\n2,y\n".encode()))
    assert table.arrow["b"].to_pylist() == [long, "y"]


WRONG: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "empty": (b"", ("empty",)),
    "blank": (b"\n \n", ("empty",)),
    "header only": (b"a,b\n", ("no rows",)),
    "mostly ragged": (
        b"a,b\n3,4,5\n1,2\n6,7,8\n",
        ("2 of 3", "line 2", "3 fields, 2 are expected"),
    ),
    "ragged after a quoted newline": (b'a,b\n"1\n1"\n', ("line 2", "1 fields")),
    "duplicate names": (b"a,b,a\n1,2,3\n", ("duplicate", "'a'")),
    "NUL": (b"a,b\n1,\x002\n", ("NUL", "line 2")),
    "binary": (b"\x00\x01,b\n1,2\n", ("binary",)),
    "not UTF-16": (b"\xff\xfea", ("no text",)),
    "open quote": (b'a,b\n3,"4\n', ("line 2", "never closed")),
    "gzip cut short": (gzip.compress(b"a,b\n" + b"1,2\n" * 999)[:-9], ("cut short",)),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_a_wrong_csv_is_named(tmp_path: Path, case: str) -> None:
    data, words = WRONG[case]
    path = write(tmp_path, data)
    with pytest.raises(FeatrixUserError) as caught:
        read_table(path)
    for word in (str(path), *words):
        assert word in str(caught.value)


def test_wrong_paths(tmp_path: Path) -> None:
    with pytest.raises(FeatrixUserError, match="does not exist"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(FeatrixUserError, match="is a directory"):
        read_table(tmp_path)
    with pytest.raises(FeatrixUserError, match="ending"):
        read_table(write(tmp_path, b"a", "t.dta"))
    with pytest.raises(FeatrixUserError, match="does not exist"):
        read_table("a\x00b.csv")
    with pytest.raises(FeatrixUserError, match="cannot be read"):
        read_table("x" * 5000 + ".csv")


def test_wrong_parquet(tmp_path: Path) -> None:
    good = tmp_path / "good.parquet"
    pq.write_table(pa.table({"a": list(range(1000)), "b": ["x"] * 1000}), good)
    data = good.read_bytes()
    damaged = [b"PAR1", b"a,b\n1,2\n", data[:-20], data[:4] + b"\xff" * 300 + data[304:]]
    for content in damaged:
        with pytest.raises(FeatrixUserError, match="not a readable Parquet file"):
            read_table(write(tmp_path, content, "bad.parquet"))
    double = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(double, good)
    with pytest.raises(FeatrixUserError, match="duplicate"):
        read_table(good)
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), good)
    with pytest.raises(FeatrixUserError, match="no rows"):
        read_table(good)


def test_data_frames() -> None:
    frame = pd.DataFrame({"mixed": [1, "x", None, 2.5], "lists": [[1], [2, 3], None, []], 5: 1})
    table = read_table(frame)
    assert table.names == ["mixed", "lists", "5"]
    assert table.arrow["mixed"].to_pylist() == ["1", "x", None, "2.5"]
    assert build_schema(table).names == ("mixed", "lists")
    with pytest.raises(FeatrixUserError, match="no rows"):
        read_table(frame.iloc[:0])
    with pytest.raises(FeatrixUserError, match="no columns"):
        read_table(pd.DataFrame(index=[1, 2]))
    with pytest.raises(FeatrixUserError, match="duplicate"):
        read_table(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_rows_as_dicts() -> None:
    table = read_table([{"a": 1, "b": "x"}, {"b": "y", "c": 2.5}])
    assert table.arrow.to_pydict() == {"a": [1, None], "b": ["x", "y"], "c": [None, 2.5]}
    one = read_table({"a": 1, "b": None, "v": [1.0, 2.0]})
    assert one.n_rows == 1 and one.names == ["a", "b", "v"]
    assert as_table(({"a": 1},)).arrow.to_pydict() == {"a": [1]}


@pytest.mark.parametrize("data", [None, 3, ["a.csv"], [{"a": 1}, None], {1, 2}, b"a.csv"])
def test_what_is_no_table_is_told_what_is(data: Any) -> None:
    with pytest.raises(FeatrixUserError, match="list of dicts"):
        read_table(data)


def test_nothing_is_no_table() -> None:
    with pytest.raises(FeatrixUserError, match="list of rows is empty"):
        read_table([])
    with pytest.raises(FeatrixUserError, match="path of the data is empty"):
        read_table("")


def test_the_index_of_a_frame_is_no_column(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=["x", "y"])
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").names == read_table(frame).names == ["a"]


# The first line of a file, further lines, and whether the first one is a header.
HEADERS: dict[str, tuple[str, str, bool]] = {
    "names above numbers": ("age,city", "31,Bonn\n45,Kiel\n", True),
    "numbers above numbers": ("31,Bonn", "45,Kiel\n52,Trier\n", False),
    "only numbers": ("1,2", "3,4\n", False),
    "years as names": ("name,2019,2020", "x,5.5,6\ny,7,8\n", True),
    "counted columns": ("0,1,2", "7.5,3,1\n2,2,9\n", True),
    "dates above dates": ("2020-01-05,4", "2020-01-06,5\n2020-01-07,9\n", False),
    "names above dates": ("day,n", "2020-01-06,5\n2020-01-07,9\n", True),
    "words that come again": ("e,x,s", "p,x,s\ne,b,s\ne,x,y\np,b,y\ne,b,y\n", False),
    "words that are names": ("kind,cap,smell", "p,x,s\ne,b,s\ne,x,y\np,b,y\ne,b,y\n", True),
    "a number is missing first": ("?,Bonn", "45,Kiel\n52,Trier\n", True),
}


@pytest.mark.parametrize("case", sorted(HEADERS))
def test_headers_are_found(tmp_path: Path, case: str) -> None:
    first, rows, is_header = HEADERS[case]
    table = read_table(write(tmp_path, f"{first}\n{rows}".encode()))
    assert table.n_rows == rows.count("\n") + (not is_header)
    if is_header:
        assert table.names == first.split(",") and table.notices == ()
    else:
        assert table.names == [f"column_{i + 1}" for i in range(len(first.split(",")))]
        assert [notice.code for notice in table.notices] == ["no_header"]


def test_columns_without_a_name_are_given_one(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, b",b\n0,x\n1,y\n"))
    assert table.names == ["column_1", "b"]
    assert [notice.code for notice in table.notices] == ["unnamed_columns"]


PIECES = [b"a", b"7", b",", b";", b"\t", b"|", b"\n", b"\r\n", b"\r", b'"', b" ", b"\xff", b"\x00"]
PIECES += ["é".encode(), b"\xef\xbb\xbf", b"\xff\xfe", b"1,2\n", b"?", b"1e999", b"2020-01-01"]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=st.binary(max_size=60)
    | st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)
    | st.lists(st.sampled_from(PIECES), max_size=30).map(lambda p: b"x,y\n1,2\n" + b"".join(p))
)
def test_any_bytes_are_a_table_or_a_user_error(tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path, data)
    try:
        table = read_table(path)
        typed = typed_columns(table, build_schema(table))
    except FeatrixUserError as error:
        assert str(error)
    else:
        assert typed and all(len(c.missing_N) == table.n_rows for c in typed.values())


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(
        st.tuples(
            *[st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=8)] * 2
        ),
        min_size=1,
        max_size=8,
    )
)
def test_written_csv_reads_back(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    frame = pd.DataFrame(rows, columns=["left", "right"])
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False, quoting=1, lineterminator="\n")
    arrow = read_table(path).arrow
    assert list(zip(arrow["left"].to_pylist(), arrow["right"].to_pylist(), strict=True)) == rows
