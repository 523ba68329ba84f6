"""Every kind on raw cells of real tables, against the same thing said in pandas."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_series_equal

from featrix_core.features.engineer import FeatureEngineer


@pytest.fixture(scope="module")
def cells(german_credit: Path) -> pd.DataFrame:
    """German credit as text, 1,000 rows, with a few missing and broken cells."""
    frame = pd.read_csv(german_credit, dtype=str, keep_default_na=False)
    frame.loc[3, "duration"] = ""
    frame.loc[4, "credit_amount"] = "n/a"
    frame.loc[5, "age"] = None
    frame.loc[6, "purpose"] = "?"
    frame.loc[7, "num_dependents"] = "0"
    return frame


def made(frame: pd.DataFrame, **suggestion: Any) -> pd.Series:
    return FeatureEngineer([{"name": "made", **suggestion}]).fit_transform(frame)["made"]


def number(frame: pd.DataFrame, name: str) -> pd.Series:
    return pd.to_numeric(frame[name], errors="coerce").astype(float)


def same(found: pd.Series, expected: pd.Series) -> None:
    assert_series_equal(found, expected, check_names=False)


def test_arithmetic(cells: pd.DataFrame) -> None:
    months, amount = number(cells, "duration"), number(cells, "credit_amount")
    assert months.isna().sum() == 1
    pair = {"left": "credit_amount", "right": "duration"}
    same(made(cells, kind="difference", **pair), amount - months)
    same(made(cells, kind="product", **pair), amount * months)
    same(made(cells, kind="sum", columns=list(pair.values())), amount + months)
    ratio = made(cells, kind="ratio", numerator="credit_amount", denominator="duration")
    same(ratio, amount / months)


def test_a_denominator_of_zero_gives_a_missing_cell(cells: pd.DataFrame) -> None:
    found = made(cells, kind="ratio", numerator="age", denominator="num_dependents")
    assert np.isnan(found[7]) and np.isnan(found[5])
    assert found.notna().sum() == 998
    assert np.isfinite(found.dropna()).all()


def test_overflow_is_missing() -> None:
    frame = pd.DataFrame({"a": [1e308, 2.0], "b": [1e308, 3.0]})
    found = made(frame, kind="product", left="a", right="b")
    assert np.isnan(found[0]) and found[1] == 6.0


def test_log_takes_every_sign() -> None:
    found = made(pd.DataFrame({"a": [-9.0, 0.0, 9.0]}), kind="log", column="a")
    assert found.tolist() == pytest.approx([-np.log(10), 0.0, np.log(10)])


def test_bins_contain_their_upper_limit(cells: pd.DataFrame) -> None:
    found = made(cells, kind="bin", column="age", edges=[25, 40.5])
    age = number(cells, "age")
    assert set(found.dropna()) == {"up to 25", "25 to 40.5", "over 40.5"}
    assert ((found == "up to 25") == (age <= 25)).all()
    assert ((found == "over 40.5") == (age > 40.5)).all()
    assert found.isna().tolist() == age.isna().tolist()


def test_quantile_bins_are_of_about_one_size(cells: pd.DataFrame) -> None:
    found = made(cells, kind="bin", column="credit_amount", n_bins=4)
    counts = found.value_counts()
    assert len(counts) == 4
    assert counts.between(240, 260).all()


def test_flags_know_what_they_do_not_know(cells: pd.DataFrame) -> None:
    young = {"column": "age", "op": "lt", "value": 30}
    car = {"column": "purpose", "op": "in", "values": ["new car", "used car"]}
    age, purpose = number(cells, "age"), cells["purpose"]
    is_young = (age < 30).astype("boolean").where(age.notna())
    is_car = purpose.isin(car["values"]).astype("boolean").where(purpose != "?")
    assert is_young.isna().sum() == is_car.isna().sum() == 1
    same(made(cells, kind="flag", conditions=[young, car]), is_young & is_car)
    same(made(cells, kind="flag", conditions=[young, car], combine="or"), is_young | is_car)
    same(made(cells, kind="flag", conditions=[{**car, "op": "not_in"}]), ~is_car)


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("lt", [True, False, False]),
        ("le", [True, True, False]),
        ("gt", [False, False, True]),
        ("ge", [False, True, True]),
        ("eq", [False, True, False]),
        ("ne", [True, False, True]),
    ],
)
def test_comparisons(op: str, expected: list[bool]) -> None:
    condition = {"column": "a", "op": op, "value": 2}
    frame = pd.DataFrame({"a": ["1", "2", "3"]})
    assert made(frame, kind="flag", conditions=[condition]).tolist() == expected


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("year", 2024),
        ("quarter", 4),
        ("month", 12),
        ("week", 1),
        ("day", 30),
        ("day_of_year", 365),
        ("weekday", 0),
        ("hour", 23),
        ("minute", 45),
    ],
)
def test_date_parts_are_of_the_moments_own_zone(part: str, expected: float) -> None:
    frame = pd.DataFrame({"at": ["2024-12-30T23:45:00-05:00", "", None, "soon"]})
    found = made(frame, kind="date_part", column="at", part=part)
    assert found[0] == expected
    assert found[1:].isna().all()


def test_date_parts_of_stored_moments(flights: Path) -> None:
    hours = pd.read_parquet(flights / "flights.parquet", columns=["time_hour"])["time_hour"]
    moments = pd.to_datetime(hours).rename("at")
    found = made(moments.to_frame(), kind="date_part", column="at", part="weekday")
    same(found, moments.dt.day_of_week.astype(float))


def test_interactions_keep_the_most_frequent_crossings(cells: pd.DataFrame) -> None:
    columns = ["housing", "purpose"]
    found = made(cells, kind="interaction", columns=columns, max_categories=3)
    crossed = (cells["housing"] + " & " + cells["purpose"])[cells["purpose"] != "?"]
    top = crossed.value_counts().index[:3]
    assert np.isnan(found[6])
    assert found.drop(6).tolist() == crossed.where(crossed.isin(top), "other").tolist()


@pytest.mark.parametrize("statistic", ["mean", "std"])
def test_aggregates(statistic: Literal["mean", "std"], cells: pd.DataFrame) -> None:
    found = made(cells, kind="aggregate", by="purpose", statistic=statistic, column="credit_amount")
    groups = number(cells, "credit_amount").groupby(cells["purpose"].replace("?", None))
    same(found, groups.transform(statistic))
    assert found.isna().sum() == 1


def test_counts(cells: pd.DataFrame) -> None:
    found = made(cells, kind="aggregate", by="housing", statistic="count")
    same(found, cells.groupby("housing")["age"].transform("size").astype(float))


def test_one_row_has_no_standard_deviation() -> None:
    frame = pd.DataFrame({"g": ["a", "a", "b"], "x": ["1", "3", "5"]})
    found = made(frame, kind="aggregate", by="g", statistic="std", column="x")
    assert found[:2].tolist() == pytest.approx([np.sqrt(2)] * 2)
    assert np.isnan(found[2])
