"""Splits and drift with the figures of the source (DATA-7)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featrix_core.tables.build import build_schema, typed_columns
from featrix_core.tables.reading import read_table
from featrix_core.tables.splits import drift_report, kfold, random_split, stratified_split

DATA = Path(__file__).parents[2] / "examples" / "data"


def test_the_churn_example() -> None:
    labels = np.array(["active"] * 9700 + ["churned"] * 300)
    split = stratified_split(labels)
    assert np.unique(labels[split.train_rows], return_counts=True)[1].tolist() == [7760, 240]
    assert np.unique(labels[split.validation_rows], return_counts=True)[1].tolist() == [1940, 60]
    assert (split.coverage, split.rare_classes, split.notices) == (1.0, (), ())


def test_the_coverage_example() -> None:
    """1,000 rows, 144 of them in 23 categories that are too small."""
    sizes = [428, 428] + [7] * 6 + [6] * 17
    labels = np.repeat(np.arange(25), sizes)
    split = stratified_split(labels, min_samples=8)
    assert split.coverage == pytest.approx(0.856)
    assert len(split.rare_classes) == 23
    assert "85.6%" in split.notices[0].message and "144 rows" in split.notices[0].message
    assert not np.isin(labels[split.validation_rows], np.arange(2, 25)).any()


@settings(deadline=None)
@given(
    st.lists(st.sampled_from("aaaabbbcd"), min_size=1, max_size=60),
    st.floats(0.05, 0.95),
    st.integers(0, 5),
)
def test_every_row_is_on_one_side_and_every_class_in_training(
    labels: list[str], fraction: float, seed: int
) -> None:
    array = np.array(labels)
    split = stratified_split(array, fraction, seed)
    both = np.concatenate([split.train_rows, split.validation_rows])
    assert sorted(both.tolist()) == list(range(len(array)))
    assert set(array[split.train_rows]) == set(labels)
    again = stratified_split(array, fraction, seed)
    np.testing.assert_array_equal(split.validation_rows, again.validation_rows)


def test_tiny_tables_are_split_all_the_same() -> None:
    split = stratified_split(np.array(["a", "b", "a", "b", "a"]))
    assert len(split.validation_rows) == 2
    assert [notice.code for notice in split.notices] == ["few_rows_per_class"]


def test_random_split() -> None:
    split = random_split(1000, 0.25, seed=1)
    assert (len(split.train_rows), len(split.validation_rows)) == (750, 250)
    assert not set(split.train_rows) & set(split.validation_rows)
    assert len(random_split(2, 0.2).validation_rows) == 1
    assert len(random_split(1, 0.2).validation_rows) == 0
    assert not np.array_equal(split.validation_rows, random_split(1000, 0.25, 2).validation_rows)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0])
def test_fractions(fraction: float) -> None:
    with pytest.raises(ValueError, match="fraction"):
        random_split(10, fraction)


def test_kfold() -> None:
    labels = np.array([0] * 70 + [1] * 30)
    folds = kfold(labels, 5, seed=42)
    assert sorted(np.concatenate([held for _, held in folds]).tolist()) == list(range(100))
    assert all(labels[held].sum() == 6 for _, held in folds)
    plain = kfold(None, 4, seed=42, n_rows=10)
    assert sorted(np.concatenate([held for _, held in plain]).tolist()) == list(range(10))


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
