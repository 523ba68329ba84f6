"""Numbers and moments that arrive as such are read as such, whatever texts training had (DATA-3)."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.build import build_schema, typed_columns
from featrix_core.tables.fit import typed_column
from featrix_core.tables.numbers import native_decimal
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import ColumnType, TableSchema
from featrix_core.tables.table import Table
from featrix_core.tables.targets import detect_target, encode_target

PRICES = [1.234, 12.5, None, -999.875, 7.0]


@pytest.fixture(scope="module")
def comma() -> TableSchema:
    """Prices with a decimal comma, and days with the month first."""
    table = read_table(
        pd.DataFrame(
            {
                "p": [f"{n},{n % 10}" for n in range(60)],
                "day": [f"{1 + n % 12:02d}/{1 + n % 28:02d}/2020" for n in range(60)],
                "x": range(60),
            }
        )
    )
    schema = build_schema(table)
    assert schema.column("p").decimal == ","
    assert schema.column("day").timestamp_format == "%m/%d/%Y"
    return schema


def prices(table: Table, schema: TableSchema) -> NDArray[np.float64]:
    typed = typed_column("p", table.arrow["p"], ColumnType.SCALAR, schema.column("p"))
    assert typed.numbers_N is not None
    return typed.numbers_N


EXPECTED = [np.nan if value is None else value for value in PRICES]


@pytest.mark.parametrize("precision", [6, 15, 16, 30])
def test_decimals_keep_their_point(comma: TableSchema, precision: int, tmp_path: Path) -> None:
    cells = [None if value is None else Decimal(str(value)) for value in PRICES]
    arrow = pa.table({"p": pa.array(cells, pa.decimal128(precision, 3))})
    pq.write_table(arrow, tmp_path / "t.parquet")
    for table in (read_table(arrow), read_table(tmp_path / "t.parquet")):
        np.testing.assert_array_equal(prices(table, comma), EXPECTED)
    np.testing.assert_array_equal(prices(read_table(pd.DataFrame({"p": cells})), comma), EXPECTED)


def test_json_numbers_keep_their_point(comma: TableSchema, tmp_path: Path) -> None:
    rows = [{"p": value} for value in PRICES]
    lines = tmp_path / "t.jsonl"
    lines.write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "t.json").write_text(json.dumps(rows))
    for path in (lines, tmp_path / "t.json"):
        table = read_table(path)
        assert table.arrow["p"].type == pa.float64()
        np.testing.assert_array_equal(prices(table, comma), EXPECTED)
    # Texts among the numbers are read by the mark of training, also where they come much later.
    mixed = [{"p": 1.234}] * 5000 + [{"p": "1.234"}, {"p": "12,5"}, {"p": 999.875}]
    lines.write_text("\n".join(map(json.dumps, mixed)))
    read = prices(read_table(lines), comma)
    np.testing.assert_array_equal(read[:5000], 1.234)
    np.testing.assert_array_equal(read[5000:], [1234.0, 12.5, 999.875])


def test_json_numbers_that_floats_cannot_hold_stay_texts(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1.234, "b": 1.5}\n{"a": 12345678901234567890, "b": 1e400}\n')
    read = read_table(path).arrow
    assert read["a"].to_pylist() == ["1.2340", "12345678901234567890"]
    assert read["b"].to_pylist() == ["1.5", "1e400"]


def test_object_columns_of_numbers_and_texts(comma: TableSchema) -> None:
    frame = pd.DataFrame({"p": [1.234, "1.234", "12,5", Decimal("2.345"), np.float32(0.125), None]})
    expected = [1.234, 1234.0, 12.5, 2.345, 0.125, np.nan]
    np.testing.assert_array_equal(prices(read_table(frame), comma), expected)
    several = pd.DataFrame({"p": pd.Series([1.234, 5, None], dtype=object)})
    assert read_table(several).arrow["p"].type == pa.float64()
    np.testing.assert_array_equal(prices(read_table(several), comma), [1.234, 5.0, np.nan])
    large = pd.DataFrame({"p": pd.Series([1.5, 2**60 + 1, True], dtype=object)})
    assert read_table(large).arrow["p"].to_pylist() == ["1.5", str(2**60 + 1), "True"]


def test_a_scalar_target_of_decimals() -> None:
    frame = pd.DataFrame({"y": [f"{n},{n % 10}" for n in range(40)], "x": range(40)})
    target = detect_target(read_table(frame), "y")
    assert target.decimal == ","
    later = read_table(pa.table({"y": pa.array([Decimal("1.234")], pa.decimal128(8, 3))}))
    np.testing.assert_array_equal(encode_target(later, target), [1.234])


def test_marks_of_arrow_types() -> None:
    for kind in (
        pa.float32(),
        pa.int8(),
        pa.decimal128(8, 3),
        pa.dictionary(pa.int8(), pa.float64()),
    ):
        assert native_decimal(kind, ",") == "."
    for kind in (pa.string(), pa.dictionary(pa.int8(), pa.string())):
        assert native_decimal(kind, ",") == ","


DAYS = [dt.datetime(2021, 2, 3), None, dt.datetime(2021, 11, 30, 12, 30)]


@pytest.mark.parametrize(
    "array",
    [
        pa.array(DAYS, pa.timestamp("s")),
        pa.array(DAYS, pa.timestamp("ns")),
        pa.array(DAYS, pa.timestamp("us", "UTC")),
        pa.array(DAYS, pa.timestamp("ms")).dictionary_encode(),
        pa.array(DAYS, pa.date32()),
        pa.array(DAYS, pa.date64()),
    ],
)
def test_native_moments_need_no_format(comma: TableSchema, array: pa.Array) -> None:
    table = read_table(pa.table({"p": ["1,5"] * 3, "day": array, "x": [1, 2, 3]}))
    typed = typed_columns(table, comma)["day"]
    last = dt.datetime(2021, 11, 30) if pa.types.is_date(array.type) else DAYS[2]
    assert last is not None and typed.numbers_N is not None
    expected = [
        dt.datetime(2021, 2, 3, tzinfo=dt.UTC).timestamp(),
        np.nan,
        last.replace(tzinfo=dt.UTC).timestamp(),
    ]
    np.testing.assert_array_equal(typed.numbers_N, expected)
    assert typed.n_unparsed == 0


def test_datetimes_of_pandas(comma: TableSchema) -> None:
    days = pd.to_datetime(["2021-02-03", "2021-11-30"])
    frame = pd.DataFrame({"p": ["1,5", "2,5"], "day": days, "x": [1, 2]})
    typed = typed_columns(read_table(frame), comma)["day"]
    assert typed.numbers_N is not None
    np.testing.assert_array_equal(typed.numbers_N, [1612310400.0, 1638230400.0])


def test_per_cent_is_a_unit_of_its_column() -> None:
    frame = pd.DataFrame({"rate": [f"{n}%" for n in range(50)] + ["12"] * 10, "x": range(60)})
    schema = build_schema(read_table(frame))
    column = schema.column("rate")
    assert (column.type, column.unit, column.n_unparsed) == (ColumnType.SCALAR, "%", 10)
    said = {n.code: n for n in schema.notices if n.column == "rate"}
    assert said["mixed_units"].figure == 10.0
    later = read_table(pd.DataFrame({"rate": ["12 %", "12", "-1.5%"], "x": [1, 2, 3]}))
    typed = typed_columns(later, schema)["rate"]
    assert typed.numbers_N is not None
    np.testing.assert_allclose(typed.numbers_N, [0.12, np.nan, -0.015])
    assert (typed.n_unparsed, typed.unparsed_examples) == (1, ("12",))
    bare = read_table(pd.DataFrame({"rate": range(60), "x": range(60)}))
    with pytest.raises(FeatrixUserError, match="60 of 60 cells are not a number in %"):
        typed_columns(bare, schema)


def test_a_few_per_cent_signs_are_no_unit() -> None:
    frame = pd.DataFrame({"rate": [f"0.{n}" for n in range(10, 60)] + ["70%"] * 9})
    column = build_schema(read_table(frame)).column("rate")
    assert (column.unit, column.n_unparsed) == (None, 0)
    assert column.statistics["max"] == pytest.approx(0.7)
