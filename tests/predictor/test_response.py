"""Responses validate against the published schema; frames have exactly the promised columns."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from featrix_core.predictor.guardrails import merge_flags, sigma_flags
from featrix_core.predictor.prediction_sets import PredictionSets
from featrix_core.predictor.response import (
    SCHEMA_PATH,
    ClassScores,
    Importance,
    NumberScores,
    PredictionRow,
    ResponseMetadata,
    build_frame,
    build_responses,
    confidence_levels,
    response_schema,
    to_arrow,
)
from featrix_core.tables.bad_rows import BadRows

DOCS = Path(__file__).parents[2] / "docs" / "response-schema.md"
META = ResponseMetadata(
    model_version="3",
    featrix_version="0.1.0",
    trained_date="2025-01-03T10:30:00Z",
    target="class",
    positive_class="bad",
    threshold=0.34,
    class_distribution_train={"good": 0.7, "bad": 0.3},
)
TWO = ClassScores(("good", "bad"), np.array([[0.153, 0.847], [0.64, 0.36], [0.95, 0.05]]), 0.34)
THREE = ClassScores(
    ("gold", "silver", "bronze"), np.array([[0.63, 0.28, 0.09], [0.34, 0.33, 0.33]])
)
NUMBERS = NumberScores(
    np.array([1840.3, 10.0, 20.0]),
    np.array([1204.2, 9.0, -70.0]),
    np.array([2476.4, 11.0, 110.0]),
    np.array([318.1, 0.5, 40.0]),
    target_width=2000.0,
)


def check(rows: list[dict[str, object]]) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA_PATH.read_text("utf-8")))
    for row in json.loads(json.dumps(rows, allow_nan=False)):
        validator.validate(row)
        PredictionRow.model_validate(row)


def test_the_published_schema_is_fresh_and_valid() -> None:
    published = json.loads(SCHEMA_PATH.read_text("utf-8"))
    assert published == response_schema(), "run: python -m featrix_core.predictor.response"
    jsonschema.Draft202012Validator.check_schema(published)


def test_the_document_names_every_field_and_its_examples_validate() -> None:
    text = DOCS.read_text("utf-8")
    for model in (PredictionRow, ResponseMetadata):
        for name in model.model_fields:
            assert f"`{name}`" in text, name
    examples = [part.split("```")[0] for part in text.split("```json")[1:]]
    assert len(examples) == 2
    check([json.loads(example) for example in examples])


def importance_of(names: tuple[str, ...], values: ArrayLike) -> Importance:
    """Row by row the bases 0, 1, 2, … and the errors 0, 0.25, 0.5, …"""
    values_NC = np.asarray(values, dtype=np.float64)
    count_N = np.arange(float(len(values_NC)))
    return Importance(names, values_NC, count_N, count_N / 4)


def test_two_classes() -> None:
    flags = sigma_flags([0.0, 0.1, 2.5])
    importance = importance_of(("age", "income"), [[0.4, -0.2], [0.0, 0.1], [-0.3, 0.2]])
    rows = build_responses(
        TWO, META, sigma_N=np.array([0.0, 0.1, 2.5]), flags=flags, importance=importance
    )
    check(rows)
    assert [row["prediction"] for row in rows] == ["bad", "bad", "good"]
    # Of the predicted class, also where the threshold lies under a half.
    assert [row["probability"] for row in rows] == [0.847, 0.36, 0.95]
    assert [row["confidence"] for row in rows] == ["high", "low", "medium"]
    assert rows[0]["feature_importance"] == {"age": 0.4, "income": -0.2}
    assert (rows[2]["importance_base"], rows[2]["importance_error"]) == (2.0, 0.5)
    plain = build_responses(TWO, META)
    assert not [name for name in plain[0] if "importance" in name]
    assert rows[2]["warning_codes"] == ["unusual_row"] and len(rows[2]["warnings"]) == 1
    assert [row["ood_sigma"] for row in rows] == [0.0, 0.1, 2.5]
    assert rows[0]["metadata"]["threshold"] == 0.34 and "probabilities" not in rows[0]


def test_more_classes_and_numbers() -> None:
    rows = build_responses(THREE, META)
    check(rows)
    assert rows[0]["prediction"] == "gold" and rows[0]["confidence"] == "medium"
    assert rows[0]["probabilities"] == {"gold": 0.63, "silver": 0.28, "bronze": 0.09}
    assert rows[1]["confidence"] == "low" and "probability" not in rows[0]
    numbers = build_responses(NUMBERS, META)
    check(numbers)
    assert numbers[0]["interval_low"] == 1204.2 and numbers[0]["std"] == 318.1
    assert [row["confidence"] for row in numbers] == ["medium", "high", "high"]


def test_sets_of_classes(tmp_path: Path) -> None:
    sets = PredictionSets(level=0.9, cut=0.3, n_rows=100, coverage=0.9, size=1.5)
    meta = META.model_copy(update={"prediction_set_level": 0.9})
    bad = BadRows()
    bad.add(1, 2, "3 fields, 2 are expected", b"1,2,3")
    two, three = replace(TWO, sets=sets), replace(THREE, sets=sets)
    rows = build_responses(two, meta, bad=bad)
    check(rows)
    wanted = [["bad"], ["good", "bad"], ["good"]]
    assert [row["prediction_set"] for row in rows[1:]] == wanted
    assert "prediction_set" not in rows[0] and rows[1]["metadata"]["prediction_set_level"] == 0.9
    check(build_responses(three, meta))
    frame = build_frame(three)
    after = ["prediction_set", "confidence", "warnings", "warning_codes"]
    assert list(frame.columns)[-4:] == after
    assert frame["prediction_set"].tolist() == [["gold"], ["gold", "silver", "bronze"]]
    for n in (0, 4):
        table = to_arrow(build_frame(two, bad=bad).iloc[:n])
        pq.write_table(table, tmp_path / "scored.parquet")
        back = pq.read_table(tmp_path / "scored.parquet")
        assert back.schema.field("prediction_set").type == pa.list_(pa.string())
        assert back["prediction_set"].to_pylist() == [None, *wanted][:n]


def test_classes_in_an_order() -> None:
    ranked = replace(THREE, ordered=True)
    bad = BadRows()
    bad.add(1, 2, "3 fields, 2 are expected", b"1,2,3")
    rows = build_responses(ranked, META, bad=bad)
    check(rows)
    # 0 * 0.63 + 1 * 0.28 + 2 * 0.09, and still the most probable class.
    assert "expected_level" not in rows[0]
    assert rows[1]["expected_level"] == pytest.approx(0.46) and rows[1]["prediction"] == "gold"
    assert rows[2]["expected_level"] == pytest.approx(0.99) and rows[2]["prediction"] == "gold"
    frame = build_frame(ranked, bad=bad)
    assert list(frame.columns)[4:6] == ["probability_bronze", "expected_level"]
    assert to_arrow(frame).schema.field("expected_level").type == pa.float64()
    assert np.isnan(frame["expected_level"][0]) and frame["expected_level"][2] == pytest.approx(
        0.99
    )
    assert "expected_level" not in build_frame(THREE).columns
    assert all("expected_level" not in row for row in build_responses(THREE, META))


def test_distance_caps_the_confidence() -> None:
    sigma = np.array([1.9, 2.1, 3.1])
    sure = ClassScores(("a", "b"), np.array([[0.01, 0.99]] * 3))
    assert confidence_levels(sure, sigma).tolist() == ["high", "medium", "low"]
    unknown = NumberScores(np.ones(1), np.zeros(1), np.ones(1) * 2, np.ones(1), target_width=0.0)
    assert confidence_levels(unknown).tolist() == ["low"]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=0, max_size=20),
    st.floats(0, 1),
    st.lists(st.floats(-2, 50), min_size=20, max_size=20),
)
def test_any_probabilities_make_a_valid_response(
    positive: list[float], threshold: float, sigma: list[float]
) -> None:
    p = np.array(positive)
    scores = ClassScores(("no", "yes"), np.column_stack([1 - p, p]).reshape(-1, 2), threshold)
    distance = np.array(sigma[: len(p)])
    flags = merge_flags(sigma_flags(distance))
    check(build_responses(scores, META, sigma_N=distance, flags=flags))
    assert len(build_frame(scores, sigma_N=distance, flags=flags)) == len(p)


def test_frames_have_the_promised_columns() -> None:
    two = build_frame(TWO)
    assert list(two.columns) == [
        "row_id",
        "prediction",
        "probability_good",
        "probability_bad",
        "confidence",
        "warnings",
        "warning_codes",
    ]
    assert two["prediction"].tolist() == ["bad", "bad", "good"]
    importance = importance_of(("x",), np.zeros((3, 1)))
    sigma = np.array([-1.0, 0.5, 2.5])
    numbers = build_frame(NUMBERS, sigma_N=sigma, importance=importance)
    assert list(numbers.columns) == [
        "row_id",
        "prediction",
        "interval_low",
        "interval_high",
        "std",
        "confidence",
        "ood_sigma",
        "warnings",
        "warning_codes",
        "importance",
        "importance_base",
        "importance_error",
    ]


@pytest.mark.parametrize("scores", [TWO, NUMBERS])
def test_both_forms_say_the_same(scores: ClassScores | NumberScores, tmp_path: Path) -> None:
    bad = BadRows()
    bad.add(1, 2, "3 fields, 2 are expected", b"1,2,3")
    sigma = np.array([-1.5, 2.5, 3.5])
    parts = {"sigma_N": sigma, "flags": sigma_flags(sigma), "bad": bad}
    rows = build_responses(scores, META, **parts)
    check(rows)
    pq.write_table(to_arrow(build_frame(scores, **parts)), tmp_path / "scored.parquet")
    table = pq.read_table(tmp_path / "scored.parquet")
    assert table.schema.field("row_id").type == pa.int64()
    assert table.schema.field("warning_codes").type == pa.list_(pa.string())
    for name in set(table.column_names) & set(PredictionRow.model_fields):
        assert table[name].to_pylist() == [row.get(name) for row in rows], name
    shared = {"row_id", "prediction", "confidence", "ood_sigma", "warnings", "warning_codes"}
    numbers = {"interval_low", "interval_high", "std"} if scores is NUMBERS else set()
    assert set(rows[1]) & set(table.column_names) == shared | numbers
    assert table["ood_sigma"].to_pylist() == [None, *sigma]


@pytest.mark.parametrize("scores", [TWO, THREE, NUMBERS])
def test_unreadable_records_keep_their_places(
    scores: ClassScores | NumberScores, tmp_path: Path
) -> None:
    bad = BadRows()
    bad.add(1, 2, "3 fields, 2 are expected", b"1,2,3")
    bad.add(4, 7, "a NUL character", b"")
    n_good = 2 if scores is THREE else 3
    importance = importance_of(("age",), np.ones((n_good, 1)))
    plain = build_responses(scores, META, importance=importance)
    rows = build_responses(scores, META, importance=importance, bad=bad)
    check(rows)
    assert [row["row_id"] for row in rows] == list(range(n_good + 2))
    assert [row["prediction"] is None for row in rows][:4] == [True, False, False, True]
    assert rows[0]["warnings"] == ["Line 2 cannot be read: 3 fields, 2 are expected."]
    assert rows[3]["warning_codes"] == ["unreadable_row"]
    assert rows[1] == {**plain[0], "row_id": 1}
    frame = build_frame(scores, importance=importance, bad=bad)
    pq.write_table(to_arrow(frame), tmp_path / "scored.parquet")
    back = pq.read_table(tmp_path / "scored.parquet").to_pylist()
    assert [row["prediction"] for row in back] == [row["prediction"] for row in rows]
    assert [row["warnings"] for row in back] == [row["warnings"] for row in rows]
    assert [row["confidence"] for row in back] == [row["confidence"] for row in rows]
    assert [row["row_id"] for row in back] == [row["row_id"] for row in rows]
    assert [row["warning_codes"] for row in back] == [row["warning_codes"] for row in rows]
    kept = ("row_id", "confidence", "warnings", "warning_codes")
    assert all(value is None for name, value in back[3].items() if name not in kept)


@pytest.mark.parametrize("scores", [TWO, NUMBERS])
@pytest.mark.parametrize("n", [0, 3])
def test_parquet_has_the_same_types_with_and_without_rows(
    scores: ClassScores | NumberScores, n: int, tmp_path: Path
) -> None:
    importance = importance_of(("age", "income"), [[0.5, -0.25]] * 3)
    table = to_arrow(build_frame(scores, importance=importance).iloc[:n])
    pq.write_table(table, tmp_path / "scored.parquet")
    back = pq.read_table(tmp_path / "scored.parquet")
    assert back.num_rows == n
    assert back.schema.field("warnings").type.value_type == pa.string()
    assert back.schema.field("warning_codes").type.value_type == pa.string()
    assert pa.types.is_map(back.schema.field("importance").type)
    assert back.schema.field("importance_base").type == pa.float64()
    assert back["importance_error"].to_pylist() == [0.0, 0.25, 0.5][:n]
    wanted = pa.string() if isinstance(scores, ClassScores) else pa.float64()
    assert back.schema.field("prediction").type == wanted
    if n:
        assert dict(back["importance"][0].as_py()) == {"age": 0.5, "income": -0.25}
