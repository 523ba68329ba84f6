"""Drift between two sides of a split, in the four bands of the source (DATA-7)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featrix_core.tables.build import build_schema, typed_columns
from featrix_core.tables.drift import DRIFT_BANDS, drift_band, drift_report
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import ColumnType
from featrix_core.tables.splits import stratified_split
from featrix_core.tables.table import TypedColumn

DATA = Path(__file__).parents[2] / "examples" / "data"


@pytest.mark.parametrize(
    ("kl", "name", "says", "action"),
    [
        (0.0, "identical", "Nearly identical", "None"),
        (0.0999, "identical", "Nearly identical", "None"),
        (0.1, "moderate", "Moderate", "Review"),
        (1.0, "moderate", "Moderate", "Review"),
        (1.001, "high", "High", "Warning"),
        (2.0, "high", "High", "Warning"),
        (2.001, "severe", "Severe", "leakage"),
    ],
)
def test_the_four_bands(kl: float, name: str, says: str, action: str) -> None:
    band = drift_band(kl)
    assert band.name == name
    assert says in band.interpretation and action in band.action
    assert band in DRIFT_BANDS


def test_a_fair_split_does_not_drift_and_a_split_by_value_does() -> None:
    table = read_table(DATA / "german_credit.csv")
    schema = build_schema(table, targets=["class"])
    labels = np.array(table.arrow["class"].to_pylist())
    split = stratified_split(labels)
    sides = [
        typed_columns(table.take(rows), schema)
        for rows in (split.train_rows, split.validation_rows)
    ]
    fair = drift_report(*sides)
    assert {drift.band for drift in fair} == {"identical"}
    assert len(fair) == len(schema.columns)
    ages = pd.to_numeric(pd.Series(table.arrow["age"].to_pylist())).to_numpy()
    order = np.argsort(ages, kind="stable").astype(np.int64)
    unfair = drift_report(
        typed_columns(table.take(order[:800]), schema),
        typed_columns(table.take(order[800:]), schema),
    )
    assert unfair[0].column == "age" and unfair[0].band in ("high", "severe")
    assert unfair[0].kl > 1.0 > unfair[1].kl


def test_bands() -> None:
    def report(train: list[str], held: list[str]) -> str:
        schema = build_schema(read_table(pd.DataFrame({"c": train + held})))
        sides = [typed_columns(read_table(pd.DataFrame({"c": s})), schema) for s in (train, held)]
        return drift_report(*sides)[0].band

    even = ["a"] * 500 + ["b"] * 500
    assert report(even, even[300:700]) == "identical"
    assert report(even, ["a"] * 180 + ["b"] * 20) == "moderate"
    assert report(["a"] * 800 + ["b"] * 200, ["b"] * 200) == "high"
    assert report(["a"] * 990 + ["b"] * 10, ["b"] * 200) == "severe"


def test_text_and_missing_cells_drift() -> None:
    airports = read_table(DATA / "flights" / "airports.parquet").to_pandas()[["name"]]
    schema = build_schema(read_table(airports))
    gone = airports.where(np.arange(len(airports))[:, None] % 10 == 0)
    sides = [typed_columns(read_table(frame), schema) for frame in (airports, gone)]
    assert drift_report(sides[0], sides[0])[0].kl < 0.01
    assert drift_report(*sides)[0].kl > 1.0


def coded(type: ColumnType, cells: list[str]) -> dict[str, TypedColumn]:
    texts, codes = np.unique(cells, return_inverse=True)
    column = TypedColumn(
        "c",
        type,
        np.zeros(len(cells), bool),
        codes_N=codes.astype(np.int32),
        texts=tuple(map(str, texts)),
    )
    return {"c": column}


@pytest.mark.parametrize(
    "type", [ColumnType.LIST, ColumnType.CODE, ColumnType.URL, ColumnType.JSON]
)
def test_composite_columns_by_name_or_length(type: ColumnType) -> None:
    few = coded(type, ["a;b", "b;c", "c"] * 40)
    assert drift_report(few, coded(type, ["a;b", "b;c", "c"] * 10))[0].kl < 0.05
    assert drift_report(few, coded(type, ["a;b"] * 30))[0].kl > 0.9
    many = coded(type, [f"https://example.com/{k:05d}" for k in range(400)])
    alike = coded(type, [f"https://example.com/{k:05d}" for k in range(400, 500)])
    longer = coded(type, [f"https://example.com/{k:05d}/and/more" for k in range(100)])
    assert drift_report(many, alike)[0].kl < 0.05
    assert drift_report(many, longer)[0].kl > 2.0


def test_vectors_by_their_length() -> None:
    rng = np.random.default_rng(0)

    def vectors(scale: float, gaps: int = 0) -> dict[str, TypedColumn]:
        cells = (scale * rng.normal(size=(500, 8))).astype(np.float32)
        missing = np.arange(500) < gaps
        cells[missing] = 0.0
        return {"v": TypedColumn("v", ColumnType.VECTOR, missing, vectors_NH=cells)}

    assert drift_report(vectors(1.0), vectors(1.0))[0].band == "identical"
    assert drift_report(vectors(1.0), vectors(3.0))[0].kl > 1.0
    assert drift_report(vectors(1.0), vectors(1.0, 450))[0].kl > 1.0
