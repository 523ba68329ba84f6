"""Engineered columns from declarative suggestions, and what is refused (EXT-2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featrix_core.errors import FeatrixUserError
from featrix_core.features.engineer import FeatureEngineer
from featrix_core.files import canonical_json
from tests.features.samples import RATIO

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    return pd.read_parquet(EXAMPLES / "data" / "flights" / "flights.parquet")


def engineered(frame: pd.DataFrame, *suggestions: dict[str, Any]) -> pd.DataFrame:
    return FeatureEngineer(suggestions).fit_transform(frame)


def test_the_shipped_example(credit: pd.DataFrame) -> None:
    engineer = FeatureEngineer.from_json(EXAMPLES / "german_credit_features.json")
    rich = engineer.fit_transform(credit.iloc[:800], verbose=True)
    assert engineer.names == ("credit_per_month", "younger_borrower")
    assert list(rich.columns) == [*credit.columns, *engineer.names]
    pd.testing.assert_frame_equal(rich[credit.columns], credit.iloc[:800])
    expected = credit.credit_amount.astype(float) / credit.duration.astype(float)
    np.testing.assert_allclose(rich.credit_per_month, expected[:800])
    young = engineer.transform(credit.iloc[800:]).younger_borrower
    assert (young == (credit.age.astype(int) < 25)[800:]).all() and young.any()
    assert list(young.index) == list(range(800, 1000))


def test_arithmetic(credit: pd.DataFrame) -> None:
    rich = engineered(
        credit,
        {"kind": "difference", "name": "d", "left": "age", "right": "duration"},
        {"kind": "product", "name": "p", "left": "age", "right": "duration"},
        {"kind": "sum", "name": "s", "columns": ["age", "duration", "credit_amount"]},
        {"kind": "log", "name": "l", "column": "d"},
    )
    age, months = credit.age.astype(float), credit.duration.astype(float)
    np.testing.assert_array_equal(rich.d, age - months)
    np.testing.assert_array_equal(rich.p, age * months)
    np.testing.assert_array_equal(rich.s, age + months + credit.credit_amount.astype(float))
    assert (rich.d < 0).any()
    np.testing.assert_allclose(rich.l, np.sign(rich.d) * np.log1p(rich.d.abs()))


def test_a_ratio_keeps_signs_and_is_missing_at_zero(flights: pd.DataFrame) -> None:
    rich = engineered(
        flights,
        {"kind": "ratio", "name": "r", "numerator": "arr_delay", "denominator": "dep_delay"},
    )
    usable = flights.arr_delay.notna() & (flights.dep_delay.fillna(0) != 0)
    assert (flights.dep_delay == 0).any() and (flights.dep_delay < 0).any()
    assert (rich.r.notna() == usable).all()
    assert (np.sign(rich.r) == np.sign(flights.arr_delay * flights.dep_delay))[usable].all()


def test_overflow_is_missing_not_infinite() -> None:
    frame = pd.DataFrame({"a": [1e308, 1.0], "b": [1e-308, 2.0]})
    rich = engineered(
        frame,
        {"kind": "ratio", "name": "r", "numerator": "a", "denominator": "b"},
        {"kind": "product", "name": "p", "left": "a", "right": "a"},
    )
    assert rich.r.isna().tolist() == [True, False] and rich.p.isna().tolist() == [True, False]


def test_bins_by_quantile_and_by_edges(credit: pd.DataFrame) -> None:
    engineer = FeatureEngineer(
        [
            {"kind": "bin", "name": "q", "column": "credit_amount", "n_bins": 4},
            {"kind": "bin", "name": "e", "column": "age", "edges": [25, 60]},
        ]
    )
    train = engineer.fit_transform(credit.iloc[:800])
    shares = train.q.value_counts(normalize=True)
    assert len(shares) == 4 and shares.between(0.24, 0.26).all()
    assert set(train.e) == {"up to 25", "25 to 60", "over 60"}
    assert (train.e[train.age == "25"] == "up to 25").all()
    # The limits are those of the training rows, whatever rows come later.
    one = engineer.transform(credit.iloc[:1].assign(credit_amount="999999", age="?"))
    assert one.q.item().startswith("over ") and one.q.item() in set(train.q)
    assert one.e.isna().item()


def test_flags_know_three_values(flights: pd.DataFrame) -> None:
    far = {"column": "distance", "op": "ge", "value": 1000}
    late = {"column": "dep_delay", "op": "gt", "value": 0}
    big = {"column": "carrier", "op": "in", "values": ["UA", "DL"]}
    small = {"column": "carrier", "op": "not_in", "values": ["UA", "DL"]}
    rich = engineered(
        flights,
        {"kind": "flag", "name": "both", "conditions": [far, late, big]},
        {"kind": "flag", "name": "either", "conditions": [far, late], "combine": "or"},
        {"kind": "flag", "name": "small", "conditions": [small]},
    )
    unknown = flights.dep_delay.isna()
    is_far, is_big = flights.distance >= 1000, flights.carrier.isin(["UA", "DL"])
    assert unknown.any()
    assert (rich.both.isna() == (unknown & is_far & is_big)).all()
    assert (rich.either.isna() == (unknown & ~is_far)).all()
    assert (rich.both.fillna(False) == (is_far & is_big & (flights.dep_delay > 0))).all()
    assert (rich.small == ~is_big).all()


def test_date_parts(flights: pd.DataFrame) -> None:
    parts = ["year", "quarter", "month", "week", "day", "day_of_year", "weekday", "hour", "minute"]
    rich = engineered(
        flights,
        *[
            {"kind": "date_part", "name": f"t_{part}", "column": "time_hour", "part": part}
            for part in parts
        ],
    )
    moments = pd.to_datetime(flights.time_hour).dt
    np.testing.assert_array_equal(rich.t_month, moments.month)
    np.testing.assert_array_equal(rich.t_weekday, moments.dayofweek)
    np.testing.assert_array_equal(rich.t_hour, moments.hour)
    np.testing.assert_array_equal(rich.t_week, moments.isocalendar().week)
    np.testing.assert_array_equal(rich.t_day_of_year, moments.dayofyear)


def test_the_date_format_of_training_is_kept() -> None:
    engineer = FeatureEngineer(
        [{"kind": "date_part", "name": "m", "column": "day", "part": "month"}]
    )
    engineer.fit_transform(pd.DataFrame({"day": ["25/12/2020", "03/04/2020", "30/01/2021"]}))
    assert engineer.transform(pd.DataFrame({"day": ["03/04/2020"]})).m.item() == 4


def test_interactions_keep_the_frequent_crossings(flights: pd.DataFrame) -> None:
    engineer = FeatureEngineer(
        [
            {
                "kind": "interaction",
                "name": "route",
                "columns": ["origin", "dest"],
                "max_categories": 10,
            }
        ]
    )
    route = engineer.fit_transform(flights).route
    counts = (flights.origin + " & " + flights.dest).value_counts()
    assert set(route) == {*counts.index[:10], "other"}
    assert (route == "JFK & LAX").sum() == counts["JFK & LAX"]
    new = engineer.transform(
        pd.DataFrame({"origin": ["JFK", "MUC", None], "dest": ["LAX", "LAX", "LAX"]})
    )
    assert new.route.tolist()[:2] == ["JFK & LAX", "other"] and new.route.isna().tolist()[2]


def test_aggregates_are_those_of_the_training_rows(flights: pd.DataFrame) -> None:
    engineer = FeatureEngineer(
        [
            {
                "kind": "aggregate",
                "name": "m",
                "by": "dest",
                "statistic": "mean",
                "column": "distance",
            },
            {
                "kind": "aggregate",
                "name": "s",
                "by": "dest",
                "statistic": "std",
                "column": "distance",
            },
            {"kind": "aggregate", "name": "n", "by": "dest", "statistic": "count"},
        ]
    )
    train, later = flights.iloc[:3000], flights.iloc[3000:].copy()
    later.loc[:3004, "dest"] = "MUC"
    rich = engineer.fit_transform(train)
    by = train.groupby("dest").distance
    np.testing.assert_allclose(rich.m, by.transform("mean"))
    np.testing.assert_allclose(rich.s, by.transform("std"), atol=1e-9)
    np.testing.assert_array_equal(rich.n, by.transform("size"))
    new = engineer.transform(later)
    np.testing.assert_allclose(new.m, later.dest.map(by.mean()))
    np.testing.assert_array_equal(new.n, later.dest.map(by.size()).fillna(0))
    assert new.m.isna().sum() == 5 and (new.n == 0).sum() == 5


def test_a_suggestion_may_read_the_ones_before_it(credit: pd.DataFrame) -> None:
    rich = engineered(
        credit,
        RATIO,
        {"kind": "bin", "name": "rate_bin", "column": "rate", "n_bins": 3},
        {"kind": "interaction", "name": "rate_housing", "columns": ["rate_bin", "housing"]},
    )
    assert rich.rate_housing.nunique() == 9


def test_index_and_dtypes_of_the_table_survive(flights: pd.DataFrame) -> None:
    odd = flights.set_index("flight").iloc[::-1]
    assert odd.index.has_duplicates
    rich = engineered(
        odd, {"kind": "difference", "name": "d", "left": "arr_delay", "right": "dep_delay"}
    )
    pd.testing.assert_frame_equal(rich[odd.columns], odd)
    np.testing.assert_array_equal(rich.d, odd.arr_delay - odd.dep_delay)


def test_the_fitted_state_is_plain_json(flights: pd.DataFrame) -> None:
    engineer = FeatureEngineer(
        [
            {"kind": "bin", "name": "q", "column": "distance", "n_bins": 5},
            {"kind": "interaction", "name": "i", "columns": ["origin", "carrier"]},
            {
                "kind": "aggregate",
                "name": "a",
                "by": "tailnum",
                "statistic": "std",
                "column": "air_time",
            },
            {"kind": "date_part", "name": "h", "column": "time_hour", "part": "hour"},
            {
                "kind": "flag",
                "name": "f",
                "conditions": [{"column": "hour", "op": "lt", "value": 12}],
            },
        ],
        exclude=["late"],
    )
    assert FeatureEngineer.from_dict(engineer.to_dict()).to_dict() == engineer.to_dict()
    engineer.fit_transform(flights.iloc[:3000])
    text = canonical_json(engineer.to_dict())
    again = FeatureEngineer.from_dict(json.loads(text))
    assert canonical_json(again.to_dict()) == text
    later = flights.iloc[3000:]
    pd.testing.assert_frame_equal(again.transform(later), engineer.transform(later))


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"code": "x"},
        {"states": {}},
        {"states": {"rate": {"timestamp_format": "%n"}}},
        {"suggestions": [{"kind": "shell", "name": "rate"}]},
    ],
)
def test_a_stored_engineer_that_was_altered(credit: pd.DataFrame, change: dict[str, Any]) -> None:
    engineer = FeatureEngineer([RATIO])
    engineer.fit_transform(credit)
    with pytest.raises(FeatrixUserError):
        FeatureEngineer.from_dict({**engineer.to_dict(), **change})


def test_histories_are_read_in_order(tmp_path: Path, credit: pd.DataFrame) -> None:
    path = tmp_path / "feature_suggestion_history.json"
    other = {"kind": "log", "name": "log_amount", "column": "credit_amount"}
    runs = [{"run": "1", "suggestions": [RATIO]}, {"run": "2", "suggestions": [other, RATIO]}]
    path.write_text(json.dumps({"history": runs}))
    assert FeatureEngineer.from_json(path).names == ("rate", "log_amount")
    path.write_text(json.dumps([RATIO]))
    assert FeatureEngineer.from_json(path).suggestions == [RATIO]
    runs[1]["suggestions"] = [{**RATIO, "denominator": "age"}]
    path.write_text(json.dumps({"history": runs}))
    with pytest.raises(FeatrixUserError, match=r"same name.*'rate'"):
        FeatureEngineer.from_json(path)


@settings(max_examples=100, deadline=None)
@given(
    top=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=20),
    seed=st.integers(0, 1000),
)
def test_ratios_are_finite_or_missing(top: list[float], seed: int) -> None:
    below = np.random.default_rng(seed).integers(-2, 3, len(top)).astype(float)
    frame = pd.DataFrame({"a": top, "b": below})
    if not np.isfinite(frame.a).any():
        return
    rate = engineered(frame, {**RATIO, "numerator": "a", "denominator": "b"}).rate
    with np.errstate(all="ignore"):
        expected = np.where(np.isfinite(frame.a) & (below != 0), frame.a / below, np.nan)
    expected[~np.isfinite(expected)] = np.nan
    np.testing.assert_array_equal(rate, expected)
