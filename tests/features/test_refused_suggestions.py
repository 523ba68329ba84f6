"""Suggestions that are refused: wrong, hostile, or at odds with the columns (EXT-2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featrix_core.errors import FeatrixUserError
from featrix_core.features.engineer import FeatureEngineer
from featrix_core.files import canonical_json
from tests.features.samples import KINDS, RATIO


@pytest.mark.parametrize(
    "suggestion",
    [
        {**RATIO, "kind": "python"},
        {**RATIO, "kind": ["ratio"]},
        {**RATIO, "code": "import os; os.system('true')"},
        {**RATIO, "name": "__class__"},
        {**RATIO, "name": "__import__('os').system('true')"},
        {**RATIO, "name": "a\x00b"},
        {**RATIO, "name": "x" * 101},
        {**RATIO, "name": ""},
        {**RATIO, "name": "../../etc/passwd"},
        {**RATIO, "gain": 10**400},
        {**RATIO, "reason": "x" * 3000},
        {**RATIO, "numerator": {"$ref": "credit_amount"}},
        {**RATIO, "reason": {1, 2}},
        {**RATIO, "reason": "\ud800"},
        {"kind": "bin", "name": "b", "column": "age", "n_bins": 10**9},
        {"kind": "bin", "name": "b", "column": "age", "n_bins": "4"},
        {"kind": "bin", "name": "b", "column": "age", "edges": [3, 1]},
        {"kind": "bin", "name": "b", "column": "age", "edges": [float("nan")]},
        {"kind": "bin", "name": "b", "column": "age"},
        {"kind": "sum", "name": "s", "columns": ["age"] * 1000},
        {"kind": "flag", "name": "f", "conditions": []},
        {
            "kind": "flag",
            "name": "f",
            "conditions": [{"column": "age", "op": "lt", "value": "25 or True"}],
        },
        {
            "kind": "flag",
            "name": "f",
            "conditions": [{"column": "age", "op": "matches", "value": "(a+)+$"}],
        },
        {
            "kind": "flag",
            "name": "f",
            "conditions": [{"conditions": [{"column": "age", "op": "lt", "value": 1}]}],
        },
        {"kind": "aggregate", "name": "a", "by": "age", "statistic": "mean"},
        "ratio",
        None,
        7,
    ],
)
def test_hostile_suggestions_are_refused(suggestion: object) -> None:
    with pytest.raises(FeatrixUserError, match="Suggestion 1"):
        FeatureEngineer([suggestion])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        '{"suggestions": ' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "}",
        '{"suggestions": {}}',
        '{"history": [[]]}',
        '{"features": []}',
        "1" * 5_000,
        json.dumps([RATIO] * 201),
        " " * 1_000_001,
    ],
)
def test_hostile_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "suggestions.json"
    path.write_text(text)
    with pytest.raises(FeatrixUserError):
        FeatureEngineer.from_json(path)


def test_nesting_without_a_file_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    circle: dict[str, Any] = dict(RATIO)
    circle["reason"] = circle
    for hostile in ({**RATIO, "reason": deep}, circle):
        with pytest.raises(FeatrixUserError, match="plain JSON"):
            FeatureEngineer([hostile])


def test_columns_that_do_not_fit(credit: pd.DataFrame) -> None:
    with pytest.raises(FeatrixUserError, match=r"does not have.*'amount'"):
        FeatureEngineer([{**RATIO, "numerator": "amount"}]).fit_transform(credit)
    with pytest.raises(FeatrixUserError, match=r"replace a column.*'age'"):
        FeatureEngineer([{**RATIO, "name": "age"}]).fit_transform(credit)
    with pytest.raises(FeatrixUserError, match=r"needs numbers.*'purpose'"):
        FeatureEngineer([{**RATIO, "numerator": "purpose"}]).fit_transform(credit)
    with pytest.raises(FeatrixUserError, match=r"must not know.*'class'"):
        FeatureEngineer(
            [{"kind": "aggregate", "name": "a", "by": "class", "statistic": "count"}],
            exclude=["class"],
        )
    engineer = FeatureEngineer([RATIO])
    with pytest.raises(FeatrixUserError, match="fit_transform first"):
        engineer.transform(credit)
    engineer.fit_transform(credit)
    with pytest.raises(FeatrixUserError, match="'duration'"):
        engineer.transform(credit.drop(columns="duration"))


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["age", "duration", "purpose", "__dict__", "rate"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
ANY_KIND = st.sampled_from([*KINDS, "exec"])
ENTRIES = st.sampled_from(
    [
        "name",
        "reason",
        "numerator",
        "denominator",
        "left",
        "right",
        "column",
        "columns",
        "by",
        "statistic",
        "part",
        "n_bins",
        "edges",
        "conditions",
        "combine",
        "max_categories",
        "gain",
    ]
)
PLAUSIBLE = (
    JSON_VALUES
    | st.sampled_from(["mean", "count", "or", "month"])
    | st.lists(st.sampled_from(["age", "duration", "purpose"]), max_size=3)
    | st.lists(st.floats(-100, 100), max_size=4)
    | st.lists(
        st.fixed_dictionaries(
            {
                "column": st.sampled_from(["age", "purpose"]),
                "op": st.sampled_from(["lt", "in", "eval"]),
                "value": JSON_VALUES,
            }
        ),
        max_size=2,
    )
)
HOSTILE = st.dictionaries(ENTRIES | st.text(max_size=8), PLAUSIBLE, max_size=6).flatmap(
    lambda rest: st.fixed_dictionaries({"kind": ANY_KIND, "name": st.just("new")}).map(
        lambda head: {**head, **rest}
    )
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(suggestions=st.lists(HOSTILE | JSON_VALUES, max_size=3))
def test_any_suggestion_is_refused_or_makes_a_column(suggestions: list[Any]) -> None:
    frame = pd.DataFrame(
        {
            "age": ["30", "", "25", "x"],
            "duration": [6.0, 0.0, np.nan, 12.0],
            "purpose": ["car", "tv", None, "car"],
        }
    )
    try:
        engineer = FeatureEngineer(suggestions)
        rich = engineer.fit_transform(frame)
    except FeatrixUserError:
        return
    assert list(rich.columns) == [*frame.columns, *engineer.names]
    pd.testing.assert_frame_equal(rich[frame.columns], frame)
    again = FeatureEngineer.from_dict(json.loads(canonical_json(engineer.to_dict())))
    pd.testing.assert_frame_equal(again.transform(frame), rich)
