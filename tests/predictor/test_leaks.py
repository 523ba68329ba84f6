"""Columns that give the target away are named; honest strong ones are not (PRED-1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine

from featrix_core import FeatrixInputDataSet
from featrix_core.input_data_set import as_table
from featrix_core.predictor.leaks import leak_notices
from featrix_core.tables.schema import Notice


def _notices(
    frame: pd.DataFrame, target: str, classification: bool, seed: int = 42
) -> tuple[Notice, ...]:
    labels = frame[target].astype("category").cat.codes if classification else frame[target]
    numbers = np.asarray(labels, dtype=np.float64)
    schema = FeatrixInputDataSet(frame, [target]).schema()
    return leak_notices(as_table(frame), schema, target, numbers, classification, seed)


def _named(frame: pd.DataFrame, target: str, classification: bool = True) -> set[str | None]:
    return {notice.column for notice in _notices(frame, target, classification)}


@pytest.mark.filterwarnings("error::UserWarning:featrix_core")
@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_digits])
def test_strong_columns_are_no_leak(load: Any) -> None:
    assert _named(load(as_frame=True).frame, "target") == set()


def test_too_few_rows_to_tell_perfect_from_strong() -> None:
    """The length of the petals tells the setosas without a mistake."""
    frame = load_iris(as_frame=True).frame
    assert _named(frame.assign(target=frame["target"] == 0), "target") == set()
    assert _named(frame.iloc[:55].assign(target=frame["target"] == 0), "target") == set()


def test_numbers_of_the_shipped_data_are_no_leak(german_credit: Any, flights: Any) -> None:
    credit = pd.read_csv(german_credit)
    assert _named(credit, "class") == set()
    assert _named(credit, "credit_amount", False) == set()
    trips = pd.read_parquet(flights / "flights.parquet").dropna(subset=["arr_delay"])
    trips = trips.reset_index(drop=True)
    assert _named(trips, "arr_delay", False) == set()
    assert _named(trips, "origin") == set()


def test_cells_that_do_not_parse_are_no_retyped_column() -> None:
    """Classes are drawn in equal shares; texts that are few in the table are most of the drawn cells."""
    rng = np.random.default_rng(0)
    rows = {"kept": 8000, "refused": 1300, "lost": 1300}
    frame = pd.DataFrame({"state": np.repeat(list(rows), list(rows.values()))})
    numbers = rng.integers(0, 90, len(frame)).astype(str)
    texts = "no " + frame["state"] + " " + pd.Series(numbers)
    frame["amount"] = np.where(frame["state"] == "kept", numbers, texts)
    frame = frame.sample(frac=1, random_state=1).reset_index(drop=True)
    assert FeatrixInputDataSet(frame, ["state"]).schema().column("amount").type == "scalar"
    assert _named(frame, "state") == set()


def _leaks(bad: NDArray[np.bool_]) -> dict[str, Any]:
    rng, n = np.random.default_rng(0), len(bad)
    return {
        "copy": np.where(bad, "b", "g"),
        "recoded": bad * 7 + 1,
        "filled": np.where(bad, rng.integers(1, 900, n).astype(float), np.nan),
        "reason": pd.Series(rng.choice(["late", "lost", "fraud"], n)).where(bad),
    }


def _honest(bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
    right = np.random.default_rng(1).random(len(bad)) < 0.97
    return np.where(right, bad, ~bad)


@pytest.mark.parametrize("n_rows", [200, 1000])
def test_planted_leaks_of_a_class(n_rows: int, german_credit: Any) -> None:
    credit = pd.read_csv(german_credit).iloc[:n_rows]
    bad = (credit["class"] == "bad").to_numpy()
    frame = credit.assign(**_leaks(bad), strong=_honest(bad))
    with pytest.warns(UserWarning, match="does it give the target away"):
        notices = _notices(frame, "class", True)
    assert {n.column for n in notices} == set(_leaks(bad))
    for notice in notices:
        assert notice.code == "target_leak" and notice.figure == 1.0
        assert "'class'" in notice.message and repr(notice.column) in notice.message


@pytest.mark.filterwarnings("ignore:Column:UserWarning")
def test_leaks_with_many_values_need_rows(german_credit: Any) -> None:
    credit = pd.read_csv(german_credit)
    bad = (credit["class"] == "bad").to_numpy()
    rng = np.random.default_rng(0)
    frame = credit.assign(
        score=bad + 0.1 * rng.normal(size=1000),
        code=[f"{'R' if is_bad else 'P'}{k:04d}" for k, is_bad in enumerate(bad)],
    )
    assert _named(frame, "class") == {"score", "code"}
    assert _named(frame.iloc[:200], "class") == set()
    ordered = load_iris(as_frame=True).frame
    assert _named(ordered.assign(number=np.arange(150)), "target") == {"number"}


@pytest.mark.filterwarnings("ignore:Column:UserWarning")
def test_a_rare_class() -> None:
    rng = np.random.default_rng(0)
    rare = np.arange(20_000) % 100 == 0
    frame = pd.DataFrame(
        {
            "paid back": np.where(rare, 0.0, rng.uniform(1.0, 9.0, 20_000)),
            "flag": rare.astype(int),
            "noise": rng.normal(size=20_000),
            "strong": _honest(rare),
            "y": np.where(rare, "yes", "no"),
        }
    )
    assert _named(frame, "y") == {"paid back", "flag"}


@pytest.mark.filterwarnings("ignore:Column:UserWarning")
@pytest.mark.parametrize(
    "leak",
    [
        lambda y: y,
        lambda y: 1.0 - 2.0 * y,
        lambda y: np.log(y),
        lambda y: (y / 3.0).round(),
        lambda y: y.astype(str) + " EUR",
    ],
)
def test_planted_leaks_of_a_number(leak: Any) -> None:
    frame = load_diabetes(as_frame=True).frame.iloc[:200]
    rng = np.random.default_rng(0)
    honest = frame["target"] + 12.0 * rng.normal(size=200)  # correlation 0.99
    planted = frame.assign(leak=leak(frame["target"]), honest=honest)
    assert _named(planted, "target", False) == {"leak"}


@pytest.mark.filterwarnings("ignore:Column:UserWarning")
def test_many_classes_and_few_rows() -> None:
    many = pd.DataFrame({"y": [f"c{k % 900}" for k in range(9000)]})
    noise = np.random.default_rng(0).normal(size=9000)
    assert _named(many.assign(copy=many["y"].str.upper(), noise=noise), "y") == {"copy"}
    two_each = pd.DataFrame({"y": [f"c{k // 2}" for k in range(60)], "x": noise[:60]})
    assert _named(two_each, "y") == set()
    each_once = pd.DataFrame({"y": [f"c{k}" for k in range(30)], "x": noise[:30]})
    assert _named(each_once, "y") == set()


@pytest.mark.filterwarnings("ignore:Column:UserWarning")
def test_classes_and_columns_that_are_too_many_to_look_at_are_told() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(404, 300)).round(3)).add_prefix("x")
    frame = frame.assign(target=[f"class {i % 101}" for i in range(404)])
    frame["x7"] = [float(i % 101) for i in range(404)]
    with pytest.warns(UserWarning, match="300 columns gives target 'target' away was not looked"):
        (notice,) = _notices(frame, "target", True)
    assert (notice.code, notice.column) == ("leaks_not_looked_for", None)
    assert "101 classes" in notice.message
    few = frame[["x7", "x8", "target"]]
    with pytest.warns(UserWarning, match="'x7' alone tells"):
        assert _named(few, "target") == {"x7"}


def test_the_same_answer_every_time(german_credit: Any) -> None:
    credit = pd.read_csv(german_credit)
    frame = credit.assign(copy=credit["class"])
    assert _notices(frame, "class", True) == _notices(frame, "class", True)
