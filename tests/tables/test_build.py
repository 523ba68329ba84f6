"""Schema building, and reading further tables by a frozen schema (DATA-2 … DATA-6)."""

from __future__ import annotations

import random
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.build import (
    build_schema,
    missing_column,
    scoring_notices,
    typed_columns,
)
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import ColumnType, TableSchema

GERMAN = Path(__file__).parents[2] / "examples" / "data" / "german_credit.csv"


@pytest.fixture(scope="module")
def schema() -> TableSchema:
    return build_schema(read_table(GERMAN), targets=["class"], exclude=["purpose"])


def german() -> pd.DataFrame:
    return pd.read_csv(GERMAN, dtype=str)


def test_the_schema_survives_json(schema: TableSchema) -> None:
    assert TableSchema.model_validate_json(schema.model_dump_json()) == schema


def test_targets_and_ignored_columns_are_listed(schema: TableSchema) -> None:
    assert {column.name: column.reason for column in schema.dropped} == {
        "class": "target",
        "purpose": "ignored",
    }
    assert len(schema.columns) == 19


def test_statistics_are_those_of_pandas(schema: TableSchema) -> None:
    amounts = pd.to_numeric(german()["credit_amount"])
    statistics = schema.column("credit_amount").statistics
    assert statistics["mean"] == pytest.approx(amounts.mean())
    assert statistics["std"] == pytest.approx(amounts.std(ddof=0))
    assert statistics["median"] == pytest.approx(amounts.median())
    assert statistics["q99"] == pytest.approx(amounts.quantile(0.99))
    assert statistics["skew"] == pytest.approx(amounts.skew(), rel=0.01)
    assert (statistics["integer"], statistics["zero_share"]) == (1.0, 0.0)
    assert schema.column("credit_amount").n_unique == amounts.nunique()


def test_huge_numbers_have_finite_statistics() -> None:
    frame = pd.DataFrame({"x": [1e308, -1e308, 5e307, 0.0] * 5})
    statistics = build_schema(read_table(frame)).column("x").statistics
    assert all(np.isfinite(value) for value in statistics.values())
    assert statistics["max"] == 1e308


def test_categories_are_ranked(schema: TableSchema) -> None:
    column = schema.column("housing")
    counts = german()["housing"].value_counts()
    assert column.categories == ("own", "rent", "for free")
    assert column.category_counts == tuple(counts[list(column.categories)])


def test_overrides() -> None:
    frame = pd.DataFrame({"shop": [10115, 20095, 80331] * 10, "day": ["2020-01-02"] * 29 + ["x"]})
    overrides = {"shop": ColumnType.SET, "day": ColumnType.SET}
    schema = build_schema(read_table(frame), overrides=overrides)
    column = schema.column("shop")
    assert (column.type, column.runner_up, column.overridden) == (
        ColumnType.SET,
        ColumnType.SCALAR,
        True,
    )
    with pytest.raises(FeatrixUserError, match="not a number") as caught:
        build_schema(read_table(GERMAN), overrides={"housing": ColumnType.SCALAR})
    assert caught.value.column == "housing"


def test_an_override_keeps_an_identifier() -> None:
    draw = random.Random(0)
    frame = pd.DataFrame(
        {"key": [str(uuid.UUID(int=draw.getrandbits(128))) for _ in range(50)], "x": range(50)}
    )
    assert build_schema(read_table(frame)).names == ("x",)
    kept = build_schema(read_table(frame), overrides={"key": ColumnType.SET})
    assert kept.names == ("key", "x")


def test_unknown_names_are_refused_with_a_suggestion() -> None:
    with pytest.raises(FeatrixUserError, match="Did you mean 'class'"):
        build_schema(read_table(GERMAN), targets=["clas"])


def test_no_usable_column() -> None:
    frame = pd.DataFrame({"a": [1] * 30, "b": [None] * 30, "y": [0, 1] * 15})
    with pytest.raises(FeatrixUserError, match=r"no usable column: a \(uniform\), b \(all_null\)"):
        build_schema(read_table(frame), targets=["y"])


def test_notices_name_column_figure_and_action() -> None:
    frame = pd.DataFrame(
        {
            "mixed": ["1", "2", "3", "4", "five!"] * 32 + ["six"],
            "sparse": ["a", None, None, None, "b"] * 32 + ["b"],
            "many": [f"kind {chr(97 + n % 70 // 10)}{chr(97 + n % 10)}" for n in range(161)],
            "same": ["x"] * 161,
        }
    )
    schema = build_schema(read_table(frame), max_categories=60)
    notices = {(notice.code, notice.column): notice for notice in schema.notices}
    assert set(notices) == {
        ("unparsed_cells", "mixed"),
        ("mixed_column", "mixed"),
        ("high_missing", "sparse"),
        ("categories_capped", "many"),
        ("rare_categories", "many"),
        ("column_uniform", "same"),
    }
    assert notices["unparsed_cells", "mixed"].figure == 33.0
    assert "'five!', 'six'" in notices["unparsed_cells", "mixed"].message
    assert all(notice.action for notice in notices.values())
    assert len(schema.column("many").categories) == 60
    mixed = schema.column("mixed")
    assert (mixed.n_missing, mixed.n_unparsed, mixed.n_rows) == (33, 33, 161)


def test_scoring_rows_are_read_by_the_frozen_types(schema: TableSchema) -> None:
    one = german().iloc[[17]]
    typed = typed_columns(read_table(one), schema)
    assert list(typed) == list(schema.names)
    assert typed["duration"].numbers_N is not None
    assert typed["duration"].numbers_N.tolist() == [float(one["duration"].iloc[0])]
    assert typed["housing"].texts == (one["housing"].iloc[0],)


def test_a_column_of_zeros_and_ones_stays_scalar_when_scored() -> None:
    """Detection would call it boolean; the frozen schema decides."""
    schema = build_schema(read_table(pd.DataFrame({"n": [0, 1, 2, 3] * 5})))
    typed = typed_columns(read_table(pd.DataFrame({"n": [0, 1]})), schema)
    assert typed["n"].type is ColumnType.SCALAR


def test_a_missing_column_is_named(schema: TableSchema) -> None:
    with pytest.raises(FeatrixUserError, match="no column 'age'") as caught:
        typed_columns(read_table(german().drop(columns="age")), schema)
    assert caught.value.column == "age"


def test_a_retyped_column_is_named(schema: TableSchema) -> None:
    frame = german().assign(age=["young" if n < 600 else "30" for n in range(1000)])
    with pytest.raises(FeatrixUserError, match="600 of 1000 cells are not a number") as caught:
        typed_columns(read_table(frame), schema)
    assert (caught.value.column, caught.value.value) == ("age", "young")
    assert caught.value.remedy


@pytest.mark.parametrize("n", [1, 19])
def test_a_few_cells_that_do_not_parse_are_missing(schema: TableSchema, n: int) -> None:
    table = read_table(german().iloc[:n].assign(age="young"))
    typed = typed_columns(table, schema)
    assert typed["age"].missing_N.all() and typed["age"].n_unparsed == n
    assert "unparsed_cells" in [notice.code for notice in scoring_notices(table, schema, typed)]
    with pytest.raises(FeatrixUserError, match="20 of 20 cells"):
        typed_columns(read_table(german().iloc[:20].assign(age="young")), schema)


def test_missing_columns_are_compared_without_case_and_headers_asked_for() -> None:
    assert "Did you mean 'PRICE'?" in missing_column("price", ["A", "PRICE"]).remedy
    assert "no header" in missing_column("price", ["column_1", "column_2"]).remedy
    assert "no header" not in missing_column("price", ["column_1", "size"]).remedy


def test_all_missing_when_scored_is_no_error(schema: TableSchema) -> None:
    typed = typed_columns(read_table(german().assign(age=None, housing=None)), schema)
    assert typed["age"].missing_N.all() and typed["housing"].missing_N.all()


def test_scoring_notices(schema: TableSchema) -> None:
    frame = german()
    frame.loc[:9, "age"] = "old"
    frame.loc[:4, "housing"] = "houseboat"
    frame["branch"] = "north"
    table = read_table(frame)
    notices = {(n.code, n.column): n.figure for n in scoring_notices(table, schema)}
    assert notices == {
        ("unparsed_cells", "age"): 10.0,
        ("unknown_categories", "housing"): 5.0,
        ("extra_columns", None): 1.0,
    }
    assert scoring_notices(read_table(GERMAN), schema) == ()


def test_every_type_can_be_set_and_is_read_back() -> None:
    frame = pd.DataFrame(
        {
            "scalar": ["1.234,5", "7,25", "8"] * 10,
            "set": [1, 2, 3] * 10,
            "ordinal": [3, 1, 20] * 10,
            "boolean": ["red", "blue"] * 15,
            "timestamp": [1_500_000_000 + n for n in range(30)],
            "text": ["a", "b", "c"] * 10,
            "document": ["a", "b", "c"] * 10,
            "list": ["a;b", "c", "d;e"] * 10,
            "code": ["A1", "B2", "C3"] * 10,
            "email": ["a@b.de", "c@d.com", "e"] * 10,
            "domain": ["b.de", "d.com", "e"] * 10,
            "url": ["https://b.de/x", "d.com/y", "www.e.org"] * 10,
            "phone": ["5551234567", "5551234568", "5551234569"] * 10,
            "address": ["1 Main St", "2 Main St", "Rose Cottage"] * 10,
            "vector": ["[1, 2]", "[3, 4.5]", "[]"] * 10,
            "json": ['{"b": 1, "a": NaN}', "[1]", "{}"] * 10,
        }
    )
    overrides = {name: ColumnType(name) for name in frame.columns}
    table = read_table(frame)
    schema = build_schema(table, overrides=overrides)
    assert {column.name: column.type for column in schema.columns} == overrides
    assert all(column.overridden for column in schema.columns)
    assert TableSchema.model_validate_json(schema.model_dump_json()) == schema
    assert schema.column("scalar").decimal == ","
    assert schema.column("ordinal").categories == ("1", "20", "3")
    assert schema.column("ordinal").levels == (0.0, 1.0, 0.5)
    assert schema.column("timestamp").timestamp_format == "epoch_s"
    assert schema.column("list").delimiter == ";"
    assert schema.column("list").statistics["mean_parts"] == pytest.approx(5 / 3)
    assert schema.column("code").width == 2
    assert (schema.column("vector").dimension, schema.column("vector").n_unparsed) == (2, 10)
    typed = typed_columns(table, schema)
    assert typed["scalar"].numbers_N is not None
    assert typed["scalar"].numbers_N[:3].tolist() == [1234.5, 7.25, 8.0]
    assert typed["vector"].vectors_NH is not None
    assert typed["vector"].vectors_NH[:3].tolist() == [[1.0, 2.0], [3.0, 4.5], [0.0, 0.0]]
    assert typed["vector"].missing_N[:3].tolist() == [False, False, True]
    assert typed["json"].texts == ("[1]", '{"a": null, "b": 1}', "{}")


@pytest.mark.parametrize(
    ("type", "words"),
    [
        (ColumnType.SCALAR, "not a number"),
        (ColumnType.TIMESTAMP, "No cell has a known form"),
        (ColumnType.BOOLEAN, "two values, this one has 3"),
        (ColumnType.ORDINAL, "No order"),
        (ColumnType.VECTOR, "No cell is a vector"),
        (ColumnType.JSON, "not a JSON object"),
        (ColumnType.EMAIL, "form of the type email"),
        (ColumnType.PHONE, "form of the type phone"),
    ],
)
def test_types_that_do_not_fit_are_refused(type: ColumnType, words: str) -> None:
    with pytest.raises(FeatrixUserError, match=words) as caught:
        build_schema(read_table(GERMAN), overrides={"housing": type})
    assert caught.value.column == "housing"
    assert caught.value.value is not None and caught.value.remedy


def test_decimal_mark_and_unit_stay_frozen() -> None:
    frame = pd.DataFrame({"w": [f"{n},5 kg" for n in range(60)], "x": range(60)})
    schema = build_schema(read_table(frame))
    column = schema.column("w")
    assert (column.type, column.decimal, column.unit) == (ColumnType.SCALAR, ",", "kg")
    later = read_table(pd.DataFrame({"w": ["1.234 kg", "7,5", "3 kg", "9 lb"], "x": [1, 2, 3, 4]}))
    typed = typed_columns(later, schema)["w"]
    assert typed.numbers_N is not None
    np.testing.assert_array_equal(typed.numbers_N, [1234.0, 7.5, 3.0, np.nan])
    assert (typed.n_unparsed, typed.unparsed_examples) == (1, ("9 lb",))
    native = typed_columns(read_table(pd.DataFrame({"w": [1.234], "x": [1]})), schema)["w"]
    assert native.numbers_N is not None and native.numbers_N[0] == 1.234


def test_notices_of_units_dates_and_parts() -> None:
    frame = pd.DataFrame(
        {
            "weight": [f"{n} kg" for n in range(50)] + [f"{n} lb" for n in range(10)],
            "day": [f"0{n % 9 + 1}/0{n % 7 + 1}/2020" for n in range(60)],
            "mail": [f"a{n}@b.de" for n in range(45)] + [f"someone {n}" for n in range(15)],
            "time": ["<1", "1-4", "5+", "1-4"] * 14 + ["unemployed"] * 4,
        }
    )
    schema = build_schema(read_table(frame))
    notices = {(notice.code, notice.column): notice for notice in schema.notices}
    assert notices["mixed_units", "weight"].figure == 10.0
    assert ("unparsed_cells", "weight") not in notices
    assert "%d/%m/%Y" in notices["ambiguous_dates", "day"].message
    assert notices["mixed_column", "mail"].figure == pytest.approx(0.25)
    assert "'unemployed'" in notices["off_scale", "time"].message
    assert all(notice.action for notice in notices.values())


def test_native_vectors_and_lists() -> None:
    rng = np.random.default_rng(0)
    rows: list[object] = [list(map(float, row)) for row in rng.normal(size=(40, 5))]
    rows[3], rows[4] = None, [1.0, 2.0]
    frame = pd.DataFrame({"v": rows, "tags": [["a", "b"], ["c"]] * 20, "x": range(40)})
    table = read_table(frame)
    schema = build_schema(table)
    vector = schema.column("v")
    assert (vector.type, vector.dimension, vector.n_unique) == (ColumnType.VECTOR, 5, 38)
    assert (vector.n_missing, vector.n_unparsed) == (2, 1)
    assert vector.unparsed_examples == ("[1.0, 2.0]",)
    typed = typed_columns(table, schema)["v"]
    assert typed.vectors_NH is not None and typed.vectors_NH.dtype == np.float32
    np.testing.assert_array_equal(typed.vectors_NH[0], np.array(rows[0], np.float32))
    assert np.flatnonzero(typed.missing_N).tolist() == [3, 4]
    assert schema.column("tags").type is ColumnType.LIST
    assert schema.column("tags").statistics["mean_parts"] == 1.5


def test_refusals_are_kept_in_the_schema(schema: TableSchema) -> None:
    refusals = {refusal.type: refusal.reason for refusal in schema.column("housing").refusals}
    assert refusals[ColumnType.SCALAR] == "0.0% of the cells are numbers"
    assert ColumnType.SET not in refusals
    assert len(refusals) >= 12


def test_metres_and_millions_are_not_mixed() -> None:
    cells = [f"{n}m" for n in range(40, 80)] + ["4M", "5M"]
    schema = build_schema(read_table(pd.DataFrame({"height": cells})))
    column = schema.column("height")
    assert (column.unit, column.n_unparsed, column.statistics["max"]) == ("m", 2, 79.0)
    notice = next(n for n in schema.notices if n.code == "mixed_units")
    assert (notice.column, notice.figure) == ("height", 2.0)


def test_years_of_two_digits_are_frozen_with_their_century() -> None:
    born = [f"{1 + n % 28:02d}.03.{31 + n}" for n in range(28)]
    schema = build_schema(read_table(pd.DataFrame({"born": born})))
    notice = next(n for n in schema.notices if n.code == "ambiguous_century")
    assert notice.action.startswith("read as 1931 to 1958")
    one = read_table(pd.DataFrame({"born": ["20.03.35"]}))
    numbers = typed_columns(one, schema)["born"].numbers_N
    assert numbers is not None
    assert pd.Timestamp(numbers[0], unit="s").year == 1935


def test_one_notice_per_problem() -> None:
    cells = [f"{n} kg" for n in range(60)] + [f"{n} lb" for n in range(10)]
    schema = build_schema(read_table(pd.DataFrame({"load": cells})))
    assert [n.code for n in schema.notices] == ["mixed_units"]
    schema = build_schema(read_table(pd.DataFrame({"load": [*cells, "much"]})))
    assert {n.code: n.figure for n in schema.notices} == {
        "mixed_units": 10.0,
        "unparsed_cells": 1.0,
    }
    assert "1 cell is not a number: 'much'" in str(schema.notices)


def test_few_different_numbers_are_news_in_long_tables_only() -> None:
    for rows, codes in ((60, []), (120, ["few_values"])):
        table = read_table(pd.DataFrame({"doors": [2, 4, 5] * (rows // 3)}))
        assert [n.code for n in build_schema(table).notices] == codes
