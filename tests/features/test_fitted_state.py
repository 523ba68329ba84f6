"""What a kind learns comes from the training rows, and every row is then made by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from featrix_core.errors import FeatrixUserError
from featrix_core.features.engineer import FeatureEngineer
from featrix_core.tables.reading import read_table

EVERY_KIND: list[dict[str, Any]] = [
    {"kind": "ratio", "name": "rate", "numerator": "credit_amount", "denominator": "duration"},
    {"kind": "difference", "name": "gap", "left": "age", "right": "duration"},
    {"kind": "product", "name": "burden", "left": "rate", "right": "installment_commitment"},
    {"kind": "sum", "name": "people", "columns": ["num_dependents", "existing_credits"]},
    {"kind": "log", "name": "amount log", "column": "credit_amount"},
    {"kind": "bin", "name": "age group", "column": "age", "n_bins": 5},
    {"kind": "flag", "name": "young", "conditions": [{"column": "age", "op": "lt", "value": 25}]},
    {"kind": "date_part", "name": "month", "column": "day", "part": "month"},
    {
        "kind": "interaction",
        "name": "home_purpose",
        "columns": ["housing", "purpose"],
        "max_categories": 8,
    },
    {
        "kind": "aggregate",
        "name": "usual",
        "by": "purpose",
        "statistic": "mean",
        "column": "credit_amount",
    },
    {"kind": "aggregate", "name": "how many", "by": "purpose", "statistic": "count"},
]


@pytest.fixture(scope="module")
def frame(german_credit: Path) -> pd.DataFrame:
    """Raw cells, with a column of days and an index that is no numbering."""
    raw = pd.read_csv(german_credit, dtype=str, keep_default_na=False).iloc[:400]
    days = pd.date_range("2023-01-30", periods=400, freq="31h")
    return raw.assign(day=days.strftime("%d.%m.%Y")).set_axis(range(4000, 3600, -1))


@pytest.fixture(scope="module")
def fitted(frame: pd.DataFrame) -> FeatureEngineer:
    engineer = FeatureEngineer(EVERY_KIND, exclude=["class"])
    engineer.fit_transform(frame.iloc[:300])
    return engineer


def test_rows_and_originals_are_untouched(frame: pd.DataFrame) -> None:
    before = frame.copy(deep=True)
    made = FeatureEngineer(EVERY_KIND).fit_transform(frame, verbose=True)
    assert_frame_equal(frame, before)
    assert_frame_equal(made[frame.columns], before)
    assert [*made.columns] == [*frame.columns, *(s["name"] for s in EVERY_KIND)]
    assert made.notna().all(axis=None)


def test_every_row_stands_by_itself(frame: pd.DataFrame) -> None:
    engineer = FeatureEngineer(EVERY_KIND)
    first = engineer.fit_transform(frame)
    assert_frame_equal(engineer.transform(frame), first)
    shuffled = frame.sample(frac=1.0, random_state=1)
    assert_frame_equal(engineer.transform(shuffled), first.loc[shuffled.index])
    assert_frame_equal(engineer.transform(frame.iloc[[7]]), first.iloc[[7]])


def test_what_is_learned_comes_from_the_training_rows_alone(
    frame: pd.DataFrame, fitted: FeatureEngineer
) -> None:
    train, test = frame.iloc[:300], frame.iloc[300:].copy()
    test["age"] = "99"
    test.loc[test.index[:2], "purpose"] = "spaceship"
    made = fitted.transform(test)
    edges = fitted.to_dict()["states"]["age group"]["edges"]
    assert set(made["age group"]) == {f"over {edges[-1]:g}"}
    assert edges[-1] <= train["age"].astype(int).max()
    means = train["credit_amount"].astype(float).groupby(train["purpose"]).mean()
    counts = train["purpose"].value_counts().astype(float)
    purpose = test["purpose"].iloc[2:]
    assert made["usual"].iloc[2:].tolist() == pytest.approx(purpose.map(means).tolist())
    assert made["how many"].iloc[2:].tolist() == purpose.map(counts).tolist()
    assert made["usual"].iloc[:2].isna().all()
    assert made["how many"].iloc[:2].tolist() == [0.0, 0.0]
    assert made["home_purpose"].iloc[:2].tolist() == ["other", "other"]


def test_stored_and_read_back_it_does_the_same(
    frame: pd.DataFrame, fitted: FeatureEngineer
) -> None:
    stored = json.loads(json.dumps(fitted.to_dict(), allow_nan=False))
    again = FeatureEngineer.from_dict(stored)
    assert_frame_equal(again.transform(frame), fitted.transform(frame), check_exact=True)
    assert again.to_dict() == fitted.to_dict()


def test_unfitted_ones_stay_unfitted(frame: pd.DataFrame) -> None:
    again = FeatureEngineer.from_dict(FeatureEngineer(EVERY_KIND).to_dict())
    with pytest.raises(FeatrixUserError, match="not fitted"):
        again.transform(frame)


@pytest.mark.parametrize(
    "damage",
    [
        {"suggestions": EVERY_KIND[:2]},
        {"states": {}},
        {"states": {"rate": {"edges": ["x"]}}},
        {"states": {"rate": {"code": "1"}}},
        {"states": {"rate": {"timestamp_format": "%s"}}},
        {"exclude": ["age"]},
        {"more": 1},
    ],
    ids=str,
)
def test_altered_state_is_refused(damage: dict[str, Any], fitted: FeatureEngineer) -> None:
    with pytest.raises(FeatrixUserError):
        FeatureEngineer.from_dict(fitted.to_dict() | damage)


@pytest.mark.parametrize(
    "suggestion",
    [
        {"kind": "interaction", "name": "leak", "columns": ["housing", "class"]},
        {"kind": "log", "name": "class", "column": "age"},
    ],
    ids=["read", "made"],
)
def test_targets_can_neither_be_read_nor_made(suggestion: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps([suggestion]), encoding="utf-8")
    with pytest.raises(FeatrixUserError, match="must not know") as refusal:
        FeatureEngineer.from_json(path, exclude=["class"])
    assert refusal.value.column == "class"


def test_dates_that_are_none_are_refused_and_leave_the_former_state(frame: pd.DataFrame) -> None:
    engineer = FeatureEngineer(EVERY_KIND)
    first = engineer.fit_transform(frame)
    with pytest.raises(FeatrixUserError, match="needs dates") as refusal:
        engineer.fit_transform(frame.assign(day=frame["housing"]).iloc[:50])
    assert refusal.value.column == "day"
    assert_frame_equal(engineer.transform(frame), first)


def test_a_column_that_went_missing_is_named(frame: pd.DataFrame, fitted: FeatureEngineer) -> None:
    with pytest.raises(FeatrixUserError, match="does not have") as refusal:
        fitted.transform(frame.drop(columns="age"))
    assert refusal.value.column == "age"


def test_numbers_are_read_as_the_training_rows_wrote_them() -> None:
    """Decimal commas, a unit, and what a batch of one row leaves open."""
    train = pd.DataFrame(
        {
            "length": ["3,16", "6,096", "12,5", "0,25"],
            "weight": ["6.1 kg", "2 kg", "8.5 kg", "1 kg"],
        }
    )
    engineer = FeatureEngineer(
        [{"kind": "ratio", "name": "share", "numerator": "length", "denominator": "weight"}]
    )
    made = engineer.fit_transform(train)["share"]
    assert made.tolist() == pytest.approx([3.16 / 6.1, 3.048, 12.5 / 8.5, 0.25])
    again = FeatureEngineer.from_dict(json.loads(json.dumps(engineer.to_dict())))
    assert again.transform(train.iloc[1:2])["share"].tolist() == pytest.approx([3.048])
    native = pd.DataFrame({"length": [6.096], "weight": ["2 kg"]})
    assert again.transform(native)["share"].tolist() == pytest.approx([3.048])


def test_moments_that_arrive_as_such_have_the_same_parts() -> None:
    texts = pd.DataFrame({"day": ["31.01.2020", "15.03.2021", "02.12.2022"]})
    engineer = FeatureEngineer(
        [{"kind": "date_part", "name": "month", "column": "day", "part": "month"}]
    )
    assert engineer.fit_transform(texts)["month"].tolist() == [1.0, 3.0, 12.0]
    moments = pd.DataFrame({"day": pd.to_datetime(texts["day"], dayfirst=True)})
    assert engineer.transform(moments)["month"].tolist() == [1.0, 3.0, 12.0]
    dates = pd.DataFrame({"day": moments["day"].dt.date})
    assert engineer.transform(dates)["month"].tolist() == [1.0, 3.0, 12.0]


def test_dates_are_the_same_texts_in_every_format() -> None:
    days = ["2020-01-05", "2020-01-06", "2020-01-05", "2020-01-06"]
    texts = pd.DataFrame({"day": days, "paid": [2.0, 3.0, 4.0, 5.0]})
    engineer = FeatureEngineer(
        [
            {
                "kind": "aggregate",
                "name": "mean",
                "column": "paid",
                "by": "day",
                "statistic": "mean",
            },
            {
                "kind": "flag",
                "name": "first",
                "conditions": [{"column": "day", "op": "in", "values": days[:1]}],
            },
        ]
    )
    made = engineer.fit_transform(texts)
    dates = read_table(texts.assign(day=pd.to_datetime(texts["day"]).dt.date)).to_pandas()
    again = engineer.transform(dates)
    assert made["mean"].tolist() == again["mean"].tolist() == [3.0, 4.0, 3.0, 4.0]
    assert made["first"].tolist() == again["first"].tolist()
