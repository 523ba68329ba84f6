"""Schema building, and reading further tables by a frozen schema (DATA-2 … DATA-6)."""

from __future__ import annotations

import random
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.build import build_schema, scoring_notices, typed_columns
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
