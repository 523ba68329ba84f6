"""Suggestions are measured, repeatable and find what is there (EXT-3)."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featrix_core.features.engineer import FeatureEngineer
from featrix_core.features.suggest import suggest_features
from featrix_core.tables.build import build_schema
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import TableSchema
from featrix_core.tables.table import Table
from featrix_core.tables.targets import TargetSchema, detect_target, encode_target

CREDIT = Path(__file__).parents[2] / "examples" / "data" / "german_credit.csv"


@pytest.fixture(scope="module")
def table() -> Table:
    return read_table(CREDIT)


@pytest.fixture(scope="module")
def schema(table: Table) -> TableSchema:
    return build_schema(table, targets=["class"])


@pytest.fixture(scope="module")
def target(table: Table) -> TargetSchema:
    return detect_target(table, "class")


def test_german_credit(table: Table, schema: TableSchema, target: TargetSchema) -> None:
    frame, labels = table.to_pandas(), encode_target(table, target)
    start = time.process_time()
    found = suggest_features(frame, schema, target, labels)
    assert time.process_time() - start < 5
    assert 1 <= len(found) <= 2
    assert found == suggest_features(frame, schema, target, labels)
    gains = [suggestion["gain"] for suggestion in found]
    assert gains[0] > 0 and all("log loss" in suggestion["reason"] for suggestion in found)
    rich = FeatureEngineer(found, exclude=["class"]).fit_transform(frame)
    assert len(rich.columns) == len(frame.columns) + len(found)


@pytest.mark.parametrize("kind", ["ratio", "product"])
def test_a_planted_interaction_is_found(table: Table, schema: TableSchema, kind: str) -> None:
    """The label is made from two real columns; no single column tells it."""
    frame = table.to_pandas()
    amount, months = frame.credit_amount.astype(float), frame.duration.astype(float)
    truth = amount / months if kind == "ratio" else (amount - 2300) * (months - 18)
    labels = (truth > truth.median()).to_numpy(np.float64, copy=True)
    labels[:50] = np.nan
    target = TargetSchema(
        name="planted", kind="binary", classes=("0", "1"), n_rows=len(frame), n_missing=50
    )
    best = suggest_features(frame, schema, target, labels, limit=1)[0]
    assert {"credit_amount", "duration"} <= set(best.values())
    assert best["gain"] > 0.05


def test_a_scalar_target(table: Table) -> None:
    schema = build_schema(table, targets=["credit_amount"])
    target = detect_target(table, "credit_amount", "scalar")
    labels = encode_target(table, target)
    found = suggest_features(table.to_pandas(), schema, target, labels, limit=3)
    assert all("R²" in suggestion["reason"] and suggestion["gain"] > 0 for suggestion in found)
    assert not any("credit_amount" in map(str, suggestion.values()) for suggestion in found)


def test_names_are_free_and_safe(table: Table) -> None:
    frame = table.to_pandas().rename(columns={"duration": "2nd (months)", "age": "__age"})
    frame["credit_amount_per_x2nd_months"] = "taken"
    renamed = read_table(frame)
    schema = build_schema(renamed, targets=["class"])
    target = detect_target(renamed, "class")
    found = suggest_features(frame, schema, target, encode_target(renamed, target), limit=5)
    assert found
    assert not {suggestion["name"] for suggestion in found} & set(frame.columns)
    FeatureEngineer(found).fit_transform(frame)


def test_too_little_to_learn_from(table: Table, schema: TableSchema, target: TargetSchema) -> None:
    labels = encode_target(table, target)
    assert suggest_features(table.to_pandas()[:40], schema, target, labels[:40]) == []
    same = np.zeros_like(labels)
    assert suggest_features(table.to_pandas(), schema, target, same) == []
    texts_only = pd.DataFrame(table.to_pandas()[["purpose", "housing", "class"]])
    narrow = build_schema(read_table(texts_only), targets=["class"])
    assert suggest_features(texts_only, narrow, target, labels) == []
