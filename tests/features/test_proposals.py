"""What is planted is proposed, on every seed; rows and classes that tell nothing take no part."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from featrix_core.features.engineer import FeatureEngineer
from featrix_core.features.suggest import suggest_features
from featrix_core.features.suggestions import parse_suggestions
from featrix_core.tables.build import build_schema
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import TableSchema
from featrix_core.tables.targets import TargetSchema, detect_target, encode_target

Task: TypeAlias = tuple[pd.DataFrame, TableSchema, TargetSchema, NDArray[np.float64]]


def task(frame: pd.DataFrame, name: str) -> Task:
    table = read_table(frame)
    target = detect_target(table, name)
    return frame, build_schema(table, targets=[name]), target, encode_target(table, target)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    income, debt = rng.lognormal(3, 0.6, (2, 600)).round(2)
    return pd.DataFrame({"debt": debt, "income": income, "age": rng.integers(18, 80, 600)})


@pytest.fixture(scope="module")
def planted(rows: pd.DataFrame) -> pd.DataFrame:
    """Who pays late is a matter of debt over income and of nothing else."""
    ratio = rows["debt"] / rows["income"]
    return rows.assign(late=np.where(ratio > ratio.quantile(0.6), "yes", "no")).astype(str)


def test_a_planted_ratio_of_classes_is_found(planted: pd.DataFrame) -> None:
    best = suggest_features(*task(planted, "late"))[0]
    assert {best["kind"], best["numerator"], best["denominator"]} == {"ratio", "debt", "income"}
    assert best["gain"] > 0.05
    assert FeatureEngineer([best]).fit_transform(planted)[best["name"]].notna().all()


def test_a_planted_ratio_in_a_number_is_found(rows: pd.DataFrame) -> None:
    frame = rows.assign(rate=(rows["debt"] / rows["income"]).clip(upper=4.0))
    best = suggest_features(*task(frame, "rate"))[0]
    assert {best["kind"], best["numerator"], best["denominator"]} == {"ratio", "debt", "income"}
    assert "R²" in best["reason"]


def test_the_same_rows_give_the_same_proposals(planted: pd.DataFrame) -> None:
    first = suggest_features(*task(planted, "late"), limit=3, seed=5)
    assert first == suggest_features(*task(planted, "late"), limit=3, seed=5)


def test_new_names_do_not_meet_columns_of_the_table(planted: pd.DataFrame) -> None:
    best = suggest_features(*task(planted, "late"))[0]
    taken = planted.assign(**{best["name"]: "1"})
    assert suggest_features(*task(taken, "late"))[0]["name"] == f"{best['name']}_2"


def test_rows_without_a_label_take_no_part(planted: pd.DataFrame) -> None:
    frame, schema, target, labels = task(planted, "late")
    hidden = labels.copy()
    hidden[300:] = np.nan
    half = suggest_features(frame, schema, target, hidden)
    assert half
    assert half == suggest_features(frame.iloc[:300], schema, target, labels[:300])


@pytest.mark.parametrize("seed", range(4))
def test_classes_too_rare_for_every_fold_are_left_out(seed: int, rows: pd.DataFrame) -> None:
    late = np.array(["yes"] * 2 + ["no"] * 598, dtype=object)
    assert suggest_features(*task(rows.assign(late=late), "late"), seed=seed) == []
    ratio = rows["debt"] / rows["income"]
    late[ratio > ratio.quantile(0.6)] = "yes"
    late[:2] = "maybe"
    (best,) = suggest_features(*task(rows.assign(late=late), "late"), limit=1, seed=seed)
    (parsed,) = parse_suggestions([best])
    assert set(parsed.inputs) == {"debt", "income"}
