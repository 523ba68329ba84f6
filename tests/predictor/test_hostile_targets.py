"""Targets and scoring rows as users bring them: a working predictor, or a sentence that says what to mend."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

from featrix_core import EmbeddingSpace, FeatrixInputDataSet, FeatrixUserError, SinglePredictor
from featrix_core.predictor.response import response_schema
from featrix_core.tables.targets import LARGEST_NUMBER

ROWS = 120


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """A number, a category and a count, without any target."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "size": rng.normal(size=ROWS).round(3),
            "kind": rng.choice(["x", "y", "z"], ROWS),
            "count": rng.integers(0, 50, ROWS),
        }
    )


@pytest.fixture(scope="module")
def space(rows: pd.DataFrame) -> EmbeddingSpace:
    return EmbeddingSpace(FeatrixInputDataSet(rows), n_epochs=1).train()


@pytest.fixture(scope="module")
def classes(rows: pd.DataFrame) -> np.ndarray:
    """Two classes that the columns tell something about."""
    told = rows["size"] + np.random.default_rng(1).normal(size=ROWS)
    return np.where(told > 0, "good", "bad").astype(object)


@pytest.fixture(scope="module")
def numbers(rows: pd.DataFrame) -> np.ndarray:
    return (10 + rows["size"] + np.random.default_rng(1).normal(size=ROWS)).round(3).to_numpy()


@pytest.fixture(scope="module")
def predictor(space: EmbeddingSpace, rows: pd.DataFrame, classes: np.ndarray) -> SinglePredictor:
    return _trained(space, rows.assign(y=classes))


def _prepared(
    space: EmbeddingSpace, frame: pd.DataFrame, kind: str | None = None, **names: str
) -> SinglePredictor:
    return SinglePredictor(space, fine_tune=False).prep_for_training(frame, "y", kind, **names)


def _trained(space: EmbeddingSpace, frame: pd.DataFrame, **names: Any) -> SinglePredictor:
    predictor = _prepared(space, frame, **names).train(n_epochs=1)
    _answers(predictor, frame.iloc[:3])
    return predictor


def _answers(predictor: SinglePredictor, frame: pd.DataFrame) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = predictor.predict(frame, explain=False)
    assert len(answers) == len(frame)
    for answer in answers:
        jsonschema.validate(answer, response_schema())
    return answers


def _codes(predictor: SinglePredictor) -> set[str]:
    return {notice.code for notice in predictor.notices}


# -- names of classes -----------------------------------------------------------------------------


def test_names_that_look_like_one_class_are_told(
    space: EmbeddingSpace, rows: pd.DataFrame, classes: np.ndarray
) -> None:
    labels = classes.copy()
    labels[:9] = [
        "Good",
        "Good",
        "GOOD",
        "GOOD",
        " good ",
        "not good",
        "not good",
        "not_good",
        "n/a",
    ]
    labels[9:11] = "not_good"
    predictor = _prepared(space, rows.assign(y=labels))
    (notice,) = [n for n in predictor.notices if n.code == "similar_classes"]
    assert notice.column == "y" and notice.figure == 2.0
    assert "'Good' (2 rows)" in notice.message and "'GOOD' (2 rows)" in notice.message
    assert "'not_good' (3 rows) and 'not good' (2 rows)" in notice.message
    # They are learned as they stand; blanks around a cell are no part of it in any column.
    assert predictor.classes == ("GOOD", "Good", "bad", "good", "not good", "not_good")


def test_a_mistyped_class_is_told(space: EmbeddingSpace, rows: pd.DataFrame) -> None:
    labels = np.where(np.arange(ROWS) % 2 == 0, "approved", "declined").astype(object)
    labels[:2] = "aproved"
    predictor = _prepared(space, rows.assign(y=labels))
    (notice,) = [n for n in predictor.notices if n.code == "similar_classes"]
    assert "'approved' (59 rows) and 'aproved' (2 rows)" in notice.message


# -- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [".", ","])
def test_numbers_as_text(
    mark: str, space: EmbeddingSpace, rows: pd.DataFrame, numbers: np.ndarray
) -> None:
    numbers = numbers.round(2)  # three digits behind a comma may be thousands, which a notice says
    texts = [f"{value:.2f}".replace(".", mark) for value in numbers]
    predictor = _prepared(space, rows.assign(y=texts))
    assert predictor._rows is not None
    np.testing.assert_allclose(predictor._rows.labels_N, numbers)


@pytest.mark.parametrize("infinite", [np.inf, "-Infinity", "1e400"])
def test_infinite_values_are_no_labels(
    infinite: object, space: EmbeddingSpace, rows: pd.DataFrame, numbers: np.ndarray
) -> None:
    values = numbers.astype(object)
    values[:3] = infinite
    predictor = _prepared(space, rows.assign(y=values))
    assert "unparsed_target" in _codes(predictor)
    assert predictor._rows is not None and len(predictor._rows.labels_N) == ROWS - 3


def test_infinite_values_among_numbers_train(
    space: EmbeddingSpace, rows: pd.DataFrame, numbers: np.ndarray
) -> None:
    values = numbers.copy()
    values[:3] = [np.inf, -np.inf, np.nan]
    predictor = _trained(space, rows.assign(y=values))
    (answer,) = _answers(predictor, rows.iloc[:1])
    assert 0 < answer["prediction"] < 20


@pytest.mark.parametrize("large", [1e308, -1e200])
def test_numbers_too_large_to_learn(
    large: float, space: EmbeddingSpace, rows: pd.DataFrame, numbers: np.ndarray
) -> None:
    values = numbers.copy()
    values[5] = large
    with pytest.raises(FeatrixUserError, match="too large") as caught:
        _prepared(space, rows.assign(y=values))
    assert caught.value.column == "y" and float(str(caught.value.value)) == large
    assert caught.value.remedy


def test_the_largest_numbers_train(
    space: EmbeddingSpace, rows: pd.DataFrame, numbers: np.ndarray
) -> None:
    predictor = _trained(space, rows.assign(y=numbers / numbers.max() * LARGEST_NUMBER))
    (answer,) = _answers(predictor, rows.iloc[:1])
    assert 0 < answer["prediction"] <= LARGEST_NUMBER


# -- few rows, many classes -----------------------------------------------------------------------


def test_two_rows_of_each_class(space: EmbeddingSpace, rows: pd.DataFrame) -> None:
    predictor = _trained(space, rows.assign(y=[f"c{k // 2}" for k in range(ROWS)]))
    assert len(predictor.classes) == ROWS // 2
    assert np.isfinite(predictor.predict_proba(rows)).all()


@pytest.mark.parametrize("name", ["group_column", "time_column"])
def test_a_class_that_only_validation_has(
    name: str, space: EmbeddingSpace, rows: pd.DataFrame, classes: np.ndarray, tmp_path: Path
) -> None:
    """All rows of a class in one group, or all at the end of time: no fold can learn and check it."""
    labels = classes.copy()
    labels[-6:] = "late"
    order = [f"2024-{1 + k // 10:02d}-01" for k in range(ROWS)]
    predictor = _trained(space, rows.assign(y=labels, when=order), **{name: "when"})
    assert "late" in predictor.classes
    proba = predictor.predict_proba(rows)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    predictor.save(tmp_path / "predictor")
    again = SinglePredictor.load(tmp_path / "predictor")
    assert again.predict(rows[:3], explain=False) == predictor.predict(rows[:3], explain=False)
    assert again.notices == predictor.notices


def test_ten_thousand_classes_are_refused_at_once(space: EmbeddingSpace) -> None:
    rng = np.random.default_rng(0)
    count = 20_000
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=count),
            "kind": rng.choice(["x", "y", "z"], count),
            "count": rng.integers(0, 50, count),
            "y": [f"customer {k // 2}" for k in range(count)],
        }
    )
    started = time.perf_counter()
    with pytest.raises(FeatrixUserError, match="10000 classes") as caught:
        _prepared(space, frame)
    assert time.perf_counter() - started < 10.0
    assert caught.value.column == "y" and caught.value.value == "customer 0"
    assert "Merge" in str(caught.value.remedy)


@pytest.mark.parametrize("count", [4, 9])
def test_too_few_labels(
    count: int, space: EmbeddingSpace, rows: pd.DataFrame, numbers: np.ndarray
) -> None:
    labels = np.where(np.arange(ROWS) < count, numbers, np.nan)
    with pytest.raises(FeatrixUserError, match=f"{count} of {ROWS} rows have a label") as caught:
        _prepared(space, rows.assign(y=labels))
    assert caught.value.column == "y" and caught.value.value == str(count)


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_just_enough_labels(
    kind: str,
    space: EmbeddingSpace,
    rows: pd.DataFrame,
    classes: np.ndarray,
    numbers: np.ndarray,
) -> None:
    labels = classes if kind == "classes" else numbers
    predictor = _trained(space, rows.assign(y=labels).iloc[:10])
    assert predictor.training_info["rows"] == 10


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["only"] * ROWS, "constant"),
        ([None] * ROWS, "no value"),
        ([np.nan] * ROWS, "no value"),
        (["  "] * ROWS, "no value"),
        ([f"name {k}" for k in range(ROWS)], "occurs once"),
        (["a"] * (ROWS - 1) + ["b"], "one row only"),
        (list(pd.date_range("2020", periods=ROWS)), "Timestamps"),
    ],
)
def test_targets_with_nothing_to_learn(
    labels: list[Any], says: str, space: EmbeddingSpace, rows: pd.DataFrame
) -> None:
    with pytest.raises(FeatrixUserError, match=says) as caught:
        _prepared(space, rows.assign(y=labels))
    assert caught.value.column == "y" and caught.value.remedy


# -- leaks ----------------------------------------------------------------------------------------


def test_a_column_that_gives_the_target_away_is_named(
    rows: pd.DataFrame, classes: np.ndarray
) -> None:
    frame = rows.assign(outcome=np.where(classes == "bad", 1, 0), y=classes)
    told = EmbeddingSpace(FeatrixInputDataSet(frame, ["y"]), n_epochs=1).train()
    with pytest.warns(UserWarning, match="'outcome' alone tells 100 % .* target 'y'"):
        predictor = _prepared(told, frame)
    (notice,) = [n for n in predictor.notices if n.code == "target_leak"]
    assert notice.column == "outcome" and "leave it out" in notice.action


def test_the_target_in_its_own_space_is_no_leak(rows: pd.DataFrame, classes: np.ndarray) -> None:
    frame = rows.assign(y=classes)
    holds_it = EmbeddingSpace(FeatrixInputDataSet(frame), n_epochs=1).train()
    assert "target_leak" not in _codes(_prepared(holds_it, frame))


# -- scoring --------------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", [None, np.nan, "", "N/A"])
def test_rows_without_any_value(empty: object, predictor: SinglePredictor) -> None:
    frame = pd.DataFrame({name: [empty] * 3 for name in ("size", "kind", "count")})
    for answer in _answers(predictor, frame):
        assert answer["confidence"] == "low" and "unlike_training" in answer["warning_codes"]


def test_missing_columns_are_named(predictor: SinglePredictor, rows: pd.DataFrame) -> None:
    with pytest.raises(FeatrixUserError) as caught:
        predictor.predict(rows.drop(columns=["kind"]))
    assert caught.value.column == "kind" and "size, count" in str(caught.value.remedy)
    with pytest.raises(FeatrixUserError):
        predictor.predict(pd.DataFrame({"other": [1, 2]}))


def test_unknown_columns_are_ignored_with_a_warning(
    predictor: SinglePredictor, rows: pd.DataFrame
) -> None:
    more = rows.iloc[:5].assign(new=1, y="good")
    with pytest.warns(UserWarning, match="does not know 'new'"):
        answers = predictor.predict(more, explain=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert answers == predictor.predict(rows.iloc[:5], explain=False)
    assert "'new'" in predictor.scoring_notices(more)[0].message


@pytest.mark.parametrize(
    ("column", "values", "code"),
    [
        ("size", ["foo", "1.5", "-2", "", "7"], "unparsed_cells"),
        ("size", [True, False, True, True, False], "unparsed_cells"),
        ("size", list(pd.date_range("2020", periods=5)), "unparsed_cells"),
        ("size", [np.inf, -np.inf, 1e308, -1e308, 0.0], "unparsed_cells"),
        ("kind", [1, 2, 3, 4, 5], "unknown_categories"),
        ("kind", [[1], [2], [3], [4], [5]], "unknown_categories"),
    ],
)
def test_retyped_columns(
    column: str,
    values: list[Any],
    code: str,
    predictor: SinglePredictor,
    rows: pd.DataFrame,
) -> None:
    frame = rows.iloc[:5].drop(columns=[column]).assign(**{column: values})
    assert np.isfinite(predictor.predict_proba(frame)).all()
    _answers(predictor, frame)
    (notice,) = predictor.scoring_notices(frame)
    assert (notice.code, notice.column) == (code, column)


def test_numbers_that_come_as_texts_are_read(
    predictor: SinglePredictor, rows: pd.DataFrame
) -> None:
    few = rows.iloc[:5]
    assert _answers(predictor, few.astype(str)) == _answers(predictor, few)


# -- names and wishes -----------------------------------------------------------------------------


def test_columns_that_numbers_name(space: EmbeddingSpace, rows: pd.DataFrame) -> None:
    frame = rows.assign(**{"4": np.arange(ROWS) % 2}).rename(columns={"4": 4})
    predictor = SinglePredictor(space, positive_label=False, fine_tune=False)  # type: ignore[arg-type]
    with pytest.raises(FeatrixUserError, match="not a class"):
        predictor.prep_for_training(frame, 4)  # type: ignore[arg-type]
    predictor = SinglePredictor(space, positive_label=0.0, fine_tune=False)  # type: ignore[arg-type]
    predictor.prep_for_training(frame, 4)  # type: ignore[arg-type]
    assert predictor.classes == ("1", "0")
    flagged = frame.assign(y=frame[4] == 1)
    predictor = SinglePredictor(space, positive_label=False, fine_tune=False)  # type: ignore[arg-type]
    assert predictor.prep_for_training(flagged, "y").classes == ("true", "false")


def test_a_number_has_no_probabilities(
    space: EmbeddingSpace, rows: pd.DataFrame, numbers: np.ndarray
) -> None:
    with pytest.raises(FeatrixUserError, match="no probabilities"):
        _trained(space, rows.assign(y=numbers)).predict_proba(rows)
