"""Planted strangers are flagged; rows from the same source are not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from featrix_core.predictor.guardrails import (
    GuardrailReference,
    imbalance_note,
    merge_flags,
    sigma_flags,
    value_flags,
)
from featrix_core.tables.build import build_schema, typed_columns
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import ColumnSchema, ColumnType, TableSchema
from featrix_core.tables.table import TypedColumn

DATA = Path(__file__).parents[2] / "examples" / "data"
FLIGHTS = DATA / "flights" / "flights.parquet"
Floats = NDArray[np.float64]


def digits() -> tuple[Floats, Floats, Floats]:
    """Embeddings of training rows, of other rows, and of the other rows with their pixels mixed."""
    x, _ = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    x = x[rng.permutation(len(x))]
    pca = PCA(32, random_state=0).fit(x[:900])
    mixed = rng.permuted(x[900:], axis=1)
    return pca.transform(x[:900]), pca.transform(x[900:]), pca.transform(mixed)


def test_ordinary_rows_are_rarely_flagged_and_strangers_are() -> None:
    train, other, mixed = digits()
    reference = GuardrailReference.fit(train)
    sigma = reference.apply(other)
    assert (sigma > 2).mean() < 0.06
    assert (sigma > 3).mean() < 0.015
    assert abs(np.median(sigma)) < 0.3
    # Measured: 93 % of them above 2 sigma, where a row is flagged, and 55 % above 3.
    assert (reference.apply(mixed) > 2).mean() > 0.85
    assert (reference.apply(mixed) > 3).mean() > 0.4


def test_many_dimensions_and_few_rows_do_not_flag_ordinary_rows() -> None:
    """In-sample distances would be far too small here; the reference is cross-fitted."""
    train, other, _ = digits()
    wide = np.random.default_rng(1).normal(size=(32, 128))
    noise = np.random.default_rng(2).normal(scale=8.0, size=(len(train) + len(other), 128))
    reference = GuardrailReference.fit((train @ wide + noise[: len(train)])[:300])
    assert (reference.apply(other @ wide + noise[len(train) :]) > 2).mean() < 0.06


def test_sigma_grows_along_the_way_out() -> None:
    rng = np.random.default_rng(0)
    train = rng.normal(size=(500, 8)) * 0.05 + np.eye(8)[0]
    reference = GuardrailReference.fit(train)
    angle = np.linspace(0.0, 1.5, 20)
    path = np.cos(angle)[:, None] * np.eye(8)[0] + np.sin(angle)[:, None] * np.eye(8)[1]
    sigma = reference.apply(path)
    assert (np.diff(sigma) > 0).all() and sigma[-1] > 10


def test_state_survives_and_bad_input_is_refused() -> None:
    train, other, _ = digits()
    reference = GuardrailReference.fit(train)
    again = GuardrailReference.from_dict(reference.to_dict())
    np.testing.assert_array_equal(again.apply(other), reference.apply(other))
    with pytest.raises(ValueError, match="dimensions"):
        again.apply(other[:, :5])
    with pytest.raises(ValueError, match="finite"):
        again.apply(np.full((1, 32), np.nan))
    with pytest.raises(ValueError, match="too few"):
        GuardrailReference.fit(train[:3])
    with pytest.raises(ValueError, match="fit together"):
        GuardrailReference.from_dict({**reference.to_dict(), "mean": np.zeros(5)})


def test_a_collapsed_space_flags_none_of_its_rows() -> None:
    same = np.tile(np.eye(6)[0], (50, 1))
    assert (GuardrailReference.fit(same).apply(same) <= 2).all()


def scalar(name: str, values: object) -> TypedColumn:
    numbers = np.asarray(values, dtype=np.float64)
    return TypedColumn(name, ColumnType.SCALAR, np.isnan(numbers), numbers_N=numbers)


def flights() -> tuple[dict[str, TypedColumn], TableSchema]:
    frame = pd.read_parquet(FLIGHTS)
    carrier = pd.Categorical(frame["carrier"])
    since = pd.to_datetime(frame["time_hour"], utc=True) - pd.Timestamp("1970-01-01", tz="UTC")
    seconds = np.asarray(since.dt.total_seconds(), dtype=np.float64)
    typed = {
        "distance": scalar("distance", frame["distance"]),
        "carrier": TypedColumn(
            "carrier",
            ColumnType.SET,
            np.asarray(carrier.codes < 0),
            codes_N=carrier.codes.astype(np.int32),
            texts=tuple(str(name) for name in carrier.categories),
        ),
        "time_hour": TypedColumn(
            "time_hour", ColumnType.TIMESTAMP, np.isnan(seconds), numbers_N=seconds
        ),
    }
    n = len(frame)
    columns = [
        ColumnSchema(
            name=name,
            type=column.type,
            evidence="",
            n_rows=n,
            n_missing=int(column.missing_N.sum()),
            n_unique=2,
            statistics={}
            if column.numbers_N is None
            else {
                "min": float(np.nanmin(column.numbers_N)),
                "max": float(np.nanmax(column.numbers_N)),
            },
            categories=column.texts,
        )
        for name, column in typed.items()
    ]
    return typed, TableSchema(columns=tuple(columns))


def take(typed: dict[str, TypedColumn], rows: NDArray[np.int64]) -> dict[str, TypedColumn]:
    return {
        name: dataclasses.replace(
            column,
            missing_N=column.missing_N[rows],
            numbers_N=None if column.numbers_N is None else column.numbers_N[rows],
            codes_N=None if column.codes_N is None else column.codes_N[rows],
        )
        for name, column in typed.items()
    }


def test_no_training_row_is_flagged() -> None:
    typed, schema = flights()
    assert value_flags(typed, schema) == [[] for _ in range(len(typed["carrier"].missing_N))]


def test_planted_values_are_flagged_with_column_and_value() -> None:
    typed, schema = flights()
    four = take(typed, np.arange(4))
    far = four["distance"].numbers_N
    late = four["time_hour"].numbers_N
    assert far is not None and late is not None
    planted = {
        "distance": scalar("distance", [far[0], 60_000.0, -3.0, np.nan]),
        "carrier": TypedColumn(
            "carrier",
            ColumnType.SET,
            np.array([False, False, False, True]),
            codes_N=np.array([0, 1, 0, -1], dtype=np.int32),
            texts=("UA", "ZZ"),
        ),
        "time_hour": dataclasses.replace(
            four["time_hour"], numbers_N=np.array([late[0], late[1], 4e9, 1e18])
        ),
    }
    flags = value_flags(planted, schema)
    assert [[(f.code, f.column) for f in row] for row in flags] == [
        [],
        [("out_of_range", "distance"), ("unseen_category", "carrier")],
        [("out_of_range", "distance"), ("out_of_range", "time_hour")],
        [("out_of_range", "time_hour")],
    ]
    assert "60000" in flags[1][0].message and "'ZZ'" in flags[1][1].message
    assert "2096" in flags[2][1].message
    assert flags[2][0].figure == -3.0


def test_the_margin_excuses_a_little_more_but_no_new_sign() -> None:
    schema = TableSchema(
        columns=(
            ColumnSchema(
                name="amount",
                type=ColumnType.SCALAR,
                evidence="",
                n_rows=3,
                n_missing=0,
                n_unique=3,
                statistics={"min": 1.0, "max": 101.0},
            ),
        )
    )
    flags = value_flags({"amount": scalar("amount", [105.0, 107.0, 0.0, -0.5])}, schema)
    assert [len(row) for row in flags] == [0, 1, 0, 1]


def test_held_out_loans_are_rarely_flagged() -> None:
    table = read_table(DATA / "german_credit.csv").drop(["class"])
    order = np.random.default_rng(0).permutation(table.n_rows)
    schema = build_schema(table.take(order[:700]))
    flags = value_flags(typed_columns(table.take(order[700:]), schema), schema)
    assert np.mean([len(row) > 0 for row in flags]) < 0.03


def test_what_cannot_be_read_is_flagged() -> None:
    frame = pd.DataFrame(
        {
            "amount": [1.5 + i for i in range(40)],
            "since": [f"2020-01-{1 + i % 28:02d}" for i in range(40)],
            "place": [[0.5, i / 10] for i in range(40)],
            "extra": [f'{{"size": {i}}}' for i in range(40)],
        }
    )
    schema = build_schema(read_table(frame))
    assert {column.type for column in schema.columns} == {
        *(ColumnType.SCALAR, ColumnType.TIMESTAMP, ColumnType.VECTOR, ColumnType.JSON)
    }
    odd: list[dict[str, object]] = frame.iloc[:6].to_dict("records")
    odd[1]["amount"] = "many" * 30
    odd[2]["amount"] = float("inf")
    odd[3] |= {"since": "2020-02-31", "place": [1.0], "extra": "{size"}
    odd[4] = {"amount": "unknown", "since": None, "place": None, "extra": float("nan")}
    odd[5] |= {"amount": "n/a", "since": ""}
    typed = typed_columns(read_table(odd), schema)
    flags = value_flags(typed, schema)
    assert [[(f.code, f.column) for f in row] for row in flags] == [
        [],
        [("unreadable_value", "amount")],
        [("unreadable_value", "amount")],
        [("unreadable_value", name) for name in ("since", "place", "extra")],
        [("empty_row", None)],
        [],
    ]
    said = [[f.message for f in row] for row in flags]
    assert said[1][0].startswith("'amount' is 'manymany") and len(said[1][0]) < 140
    assert said[2][0] == "'amount' is 'inf', which is not a number; it counts as missing."
    assert "'2020-02-31', which is not a timestamp" in said[3][0] and "'{size'" in said[3][2]
    part = {name: column.rows(2, 4) for name, column in typed.items()}
    assert value_flags(part, schema) == flags[2:4]


def test_missing_columns_and_no_rows_are_no_trouble() -> None:
    typed, schema = flights()
    assert value_flags(take(typed, np.arange(0)), schema) == []
    assert value_flags({"carrier": take(typed, np.arange(2))["carrier"]}, schema) == [[], []]


def test_sigma_sentences_follow_the_two_limits() -> None:
    flags = merge_flags(sigma_flags([0.3, 2.4, 3.4]), [[], [], []])
    assert [[f.code for f in row] for row in flags] == [[], ["unusual_row"], ["unlike_training"]]
    assert "2.4σ" in flags[1][0].message and "3.4σ" in flags[2][0].message


def test_imbalance_is_noted_where_it_is_there() -> None:
    assert imbalance_note({"good": 0.7, "bad": 0.3}, 0.4, "f1") is None
    note = imbalance_note({"stay": 0.97, "churn": 0.03}, 0.34, "f1")
    assert note is not None and "3.0%" in note and "'churn'" in note and "0.34" in note
    assert imbalance_note({"only": 1.0}) is None


def test_an_unseen_value_of_an_ordered_column_is_flagged() -> None:
    sizes = pd.DataFrame({"size": ["small", "medium", "large"] * 20, "x": range(60)})
    schema = build_schema(read_table(sizes))
    assert schema.column("size").type is ColumnType.ORDINAL
    new = pd.DataFrame({"size": ["medium", "gigantic"], "x": [1, 2]})
    flags = value_flags(typed_columns(read_table(new), schema), schema)
    assert [[flag.code for flag in row] for row in flags] == [[], ["unseen_category"]]
