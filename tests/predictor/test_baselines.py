"""The company that figures are kept with: real tables, unseen values, odd names, rare classes."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.metrics import r2_score, roc_auc_score

from featrix_core.predictor import baselines, complexity
from featrix_core.predictor.baselines import BOOSTED, Baselines, design_frame, fit_baselines
from featrix_core.predictor.complexity import advise_depth
from featrix_core.tables.build import build_schema, typed_columns
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import ColumnSchema, ColumnType, TableSchema
from featrix_core.tables.table import TypedColumn

DATA = Path(__file__).parents[2] / "examples" / "data"
FLIGHTS = DATA / "flights" / "flights.parquet"
Typed = dict[str, TypedColumn]
Ints = NDArray[np.int64]


def scalar(name: str, values: object) -> TypedColumn:
    numbers = np.asarray(values, dtype=np.float64)
    return TypedColumn(name, ColumnType.SCALAR, np.isnan(numbers), numbers_N=numbers)


def texts(name: str, values: pd.Series, kind: ColumnType = ColumnType.SET) -> TypedColumn:
    coded = pd.Categorical(values)
    return TypedColumn(
        name,
        kind,
        np.asarray(coded.codes < 0),
        codes_N=coded.codes.astype(np.int32),
        texts=tuple(str(value) for value in coded.categories),
    )


def take(typed: Typed, rows: Ints) -> Typed:
    return {
        name: dataclasses.replace(
            column,
            missing_N=column.missing_N[rows],
            numbers_N=None if column.numbers_N is None else column.numbers_N[rows],
            offsets_N=None if column.offsets_N is None else column.offsets_N[rows],
            codes_N=None if column.codes_N is None else column.codes_N[rows],
        )
        for name, column in typed.items()
    }


def flights() -> tuple[Typed, Ints]:
    frame = pd.read_parquet(FLIGHTS)
    since = pd.to_datetime(frame["time_hour"], utc=True) - pd.Timestamp("1970-01-01", tz="UTC")
    seconds = np.asarray(since.dt.total_seconds(), dtype=np.float64)
    typed = {
        "distance": scalar("distance", frame["distance"]),
        'dep "delay" [min]': scalar('dep "delay" [min]', frame["dep_delay"]),
        "carrier": texts("carrier", frame["carrier"]),
        "tailnum": texts("tailnum", frame["tailnum"], ColumnType.TEXT),
        "time_hour": TypedColumn(
            "time_hour",
            ColumnType.TIMESTAMP,
            np.isnan(seconds),
            numbers_N=seconds,
            offsets_N=np.full(len(seconds), -5.0),
        ),
    }
    return typed, np.asarray(frame["arr_delay"].fillna(0) > 15, dtype=np.int64)


def numeric(x: NDArray[np.float64]) -> Typed:
    return {f"x{i}": scalar(f"x{i}", x[:, i]) for i in range(x.shape[1])}


def halves(n: int) -> tuple[Ints, Ints]:
    order = np.random.default_rng(0).permutation(n)
    return order[: n // 2], order[n // 2 :]


@pytest.fixture(scope="module")
def fitted() -> tuple[Baselines, Typed, Ints]:
    typed, y = flights()
    fit, test = halves(len(y))
    return fit_baselines(take(typed, fit), y[fit], "binary"), take(typed, test), y[test]


def test_mixed_columns_with_odd_names_are_learned(fitted: tuple[Baselines, Typed, Ints]) -> None:
    baselines, typed, y = fitted
    predicted = baselines.predict(typed)
    assert sorted(predicted) == sorted(baselines.seconds) == ["lightgbm", "linear"]
    for name, p in predicted.items():
        assert p.shape == (len(y), 2)
        np.testing.assert_allclose(p.sum(axis=1), 1.0)
        assert roc_auc_score(y, p[:, 1]) > 0.85, name
        assert baselines.seconds[name] > 0


def test_german_credit_from_file_to_figures() -> None:
    table = read_table(DATA / "german_credit.csv")
    y = np.asarray([label == "bad" for label in table.arrow["class"].to_pylist()], dtype=np.int64)
    table = table.drop(["class"])
    order = np.random.default_rng(0).permutation(table.n_rows)
    fit, test = order[:700], order[700:]
    schema = build_schema(table.take(fit))
    baselines = fit_baselines(
        typed_columns(table.take(fit), schema), y[fit], "binary", schema=schema
    )
    for name, p in baselines.predict(typed_columns(table.take(test), schema)).items():
        assert roc_auc_score(y[test], p[:, 1]) > 0.7, name


def test_values_never_seen_and_missing_ones_are_no_trouble(
    fitted: tuple[Baselines, Typed, Ints],
) -> None:
    baselines, typed, _ = fitted
    two = take(typed, np.arange(2))
    strange = {
        **two,
        "carrier": TypedColumn(
            "carrier",
            ColumnType.SET,
            np.array([False, True]),
            codes_N=np.array([0, -1], dtype=np.int32),
            texts=("a new carrier",),
        ),
        "distance": scalar("distance", [np.nan, 1e9]),
    }
    for p in baselines.predict(strange).values():
        assert np.isfinite(p).all()
    del strange["carrier"]
    with pytest.raises(ValueError, match="carrier"):
        baselines.predict(strange)


def test_the_same_seed_gives_the_same_predictions(
    fitted: tuple[Baselines, Typed, Ints],
) -> None:
    baselines, typed, _ = fitted
    everything, y = flights()
    fit, _ = halves(len(y))
    again = fit_baselines(take(everything, fit), y[fit], "binary").predict(typed)
    for name, p in baselines.predict(typed).items():
        np.testing.assert_array_equal(p, again[name])


def test_multiclass_with_a_class_of_one_row() -> None:
    x, y = load_wine(return_X_y=True)
    fit, test = halves(len(y))
    labels = y[fit].copy()
    labels[0] = 3
    predicted = fit_baselines(numeric(x[fit]), labels, "multiclass").predict(numeric(x[test]))
    for p in predicted.values():
        assert p.shape == (len(test), 4)
        assert (p.argmax(axis=1) == y[test]).mean() > 0.85


def test_numbers() -> None:
    x, y = load_diabetes(return_X_y=True)
    fit, test = halves(len(y))
    for name, pred in (
        fit_baselines(numeric(x[fit]), y[fit], "scalar").predict(numeric(x[test])).items()
    ):
        assert pred.shape == (len(test),) and r2_score(y[test], pred) > 0.3, name


def test_of_many_rows_some_are_drawn_and_stand_for_the_others() -> None:
    """Rare classes are drawn whole: without weights, one row in twenty would be said to be one in two."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(6_000, 3))
    y = (x[:, 0] + rng.normal(size=6_000) > 2.3).astype(np.int64)
    drawn = fit_baselines(numeric(x[:5_000]), y[:5_000], "binary", most_rows=500)
    share = y.mean()
    assert 0.03 < share < 0.08
    said = "learned from 500 of 5,000 rows"
    assert drawn.remarks == {"linear": said, "lightgbm": said}
    for name, p in drawn.predict(numeric(x[5_000:])).items():
        assert roc_auc_score(y[5_000:], p[:, 1]) > 0.8, name
        assert p[:, 1].mean() < 3 * share, name
    values = fit_baselines(numeric(x), 2.0 * x[:, 0], "scalar", most_rows=500)
    for name, pred in values.predict(numeric(x)).items():
        assert r2_score(2.0 * x[:, 0], pred) > 0.9, name


def test_boosted_trees_of_many_classes_are_left_out() -> None:
    rng = np.random.default_rng(5)
    y = np.arange(3_000) % 150
    x = np.stack([y // 15, y % 15], axis=1) + 0.1 * rng.normal(size=(3_000, 2))
    found = fit_baselines(numeric(x), y, "multiclass", most_rows=2_400)
    (p,) = found.predict(numeric(x)).values()
    assert p.shape == (3_000, 150) and (p.argmax(axis=1) == y).mean() > 0.2
    assert found.remarks == {
        "linear": "learned from 1,600 of 3,000 rows",
        "lightgbm": "left out, the target has more than 20 classes",
    }


def test_few_rows_of_many_classes_cannot_stop_boosting() -> None:
    """In some order of these rows none that trees would be stopped by is of a class that they learn."""
    rng = np.random.default_rng(0)
    y = np.r_[np.zeros(4, np.int64), np.ones(4, np.int64), np.arange(2, 14)]
    columns = numeric(rng.normal(size=(len(y), 1)))
    fits = [fit_baselines(columns, rng.permutation(y), "multiclass", seed) for seed in range(30)]
    without = [one for one in fits if BOOSTED not in one.models]
    assert 0 < len(without) < len(fits)
    assert all("when to stop" in one.remarks[BOOSTED] for one in without)
    for one in fits:
        assert all(said.shape == (20, 14) for said in one.predict(columns).values())


@pytest.mark.parametrize(
    "values",
    [
        5e-7 + 1e-9 * np.random.default_rng(0).normal(size=200),
        np.where(np.arange(200) % 2 == 0, 0.0, 1e-9),
        np.r_[1.7976931348623157e308, np.arange(199.0)],
        np.full(200, 1e307) * np.where(np.arange(200) % 3 == 0, 1.0, -1.0),
    ],
    ids=["narrow", "tiny", "one huge", "huge"],
)
@pytest.mark.parametrize("kind", ["binary", "scalar"])
def test_numbers_of_any_size_are_no_trouble(values: NDArray[np.float64], kind: Any) -> None:
    y = (np.arange(200) % 2).astype(np.float64)
    typed = {"x": scalar("x", values), "z": scalar("z", y + np.arange(200) % 5)}
    found = fit_baselines(typed, y, kind)
    assert set(found.models) == {"linear", BOOSTED} and not found.remarks
    for said in found.predict(typed).values():
        assert np.isfinite(said).all()


def test_far_dates_with_parts_of_seconds() -> None:
    seconds = np.r_[np.arange(198) * 1e5 + 0.123456, 253_402_300_799.999, np.nan]
    missing = np.isnan(seconds)
    column = TypedColumn("t", ColumnType.TIMESTAMP, missing, numbers_N=seconds)
    frame = design_frame({"t": column})
    assert frame["t year"].iloc[[0, 198]].tolist() == [1970.0, 9999.0]
    assert frame.iloc[199].isna().all()
    assert fit_baselines({"t": column}, np.arange(200) % 2, "binary").remarks == {}


def test_a_yardstick_that_cannot_be_fitted_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise IndexError("index -1 is out of bounds")

    monkeypatch.setattr(baselines, "_fit_linear", refused)
    typed = {"x": scalar("x", np.arange(60.0))}
    found = fit_baselines(typed, np.arange(60) % 2, "binary")
    assert set(found.models) == {BOOSTED}
    assert "cannot be fitted: index -1" in found.remarks["linear"]


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(ValueError, match="no column"):
        fit_baselines({}, [0, 1], "binary")
    with pytest.raises(ValueError, match="one class"):
        fit_baselines({"a": scalar("a", [1.0, 2.0])}, [1, 1], "binary")


def test_the_design_frame_has_floats_and_categories() -> None:
    typed, _ = flights()
    frame = design_frame(typed)
    assert frame["carrier"].dtype == "category" and len(frame["tailnum"].cat.categories) == 50
    assert frame["time_hour hour"].between(0, 23).all()
    local = pd.to_datetime(frame["time_hour"] - 5 * 3600, unit="s")
    assert (frame["time_hour hour"] == local.dt.hour).all()
    assert frame["distance"].dtype == np.float64


def test_a_schema_decides_on_columns_and_categories() -> None:
    typed, _ = flights()
    schema = TableSchema(
        columns=(
            ColumnSchema(
                name="carrier",
                type=ColumnType.SET,
                evidence="",
                n_rows=4000,
                n_missing=0,
                n_unique=2,
                categories=("UA", "AA"),
            ),
        )
    )
    frame = design_frame(typed, schema)
    assert list(frame.columns) == ["carrier"]
    assert list(frame["carrier"].cat.categories) == ["UA", "AA"] and frame["carrier"].isna().any()


def test_depth_follows_how_far_from_linear_the_table_is() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 6))
    easy = advise_depth(x, (x[:, 0] > 0).astype(int), "binary")
    assert easy.n_hidden_layers == 2 and easy.mutual_information > 0.4
    crossed = (x[:, 0] * x[:, 1] > 0).astype(int)
    hard = advise_depth(x, crossed, "binary")
    assert hard.n_hidden_layers == 4 and hard.forest - hard.linear > 0.08
    small = advise_depth(x[:1500], crossed[:1500], "binary")
    assert small.n_hidden_layers == 2 and "capped" in small.reasons[-1]
    assert advise_depth(x, x[:, 0] * x[:, 1], "scalar").n_hidden_layers == 4
    assert advise_depth(x, crossed, "binary") == hard


def test_few_rows_outside_of_the_most_frequent_class_make_no_deep_head() -> None:
    """Crossed signs among 8 % of the rows, far from linear in any number of them."""
    x = np.random.default_rng(0).normal(size=(10_000, 6))
    rare = ((x[:, 0] * x[:, 1] > 0) & (x[:, 2] > 1.0)).astype(int)
    assert 0.06 < rare.mean() < 0.1
    enough = advise_depth(x, rare, "binary")
    few = advise_depth(x[:4_000], rare[:4_000], "binary")
    assert enough.n_hidden_layers > 2 and few.n_hidden_layers == 2
    assert few.forest - few.linear > 0.03
    assert few.reasons[-1].startswith(f"unbalanced, only {rare[:4_000].sum()} rows")
    assert not any("unbalanced" in reason for reason in enough.reasons)


def test_depth_on_real_and_degenerate_tables() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    assert advise_depth(x, y, "binary").n_hidden_layers == 2
    assert advise_depth(np.zeros((50, 3)), y[:50], "binary").n_hidden_layers == 2
    assert advise_depth(x[:60], np.r_[y[:59], 2], "multiclass").n_hidden_layers == 2
    with pytest.raises(ValueError, match="finite"):
        advise_depth(np.full((30, 2), np.nan), y[:30], "binary")


def test_vectors_and_codes_reach_the_design_frame() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "v": [row.tolist() for row in rng.normal(size=(200, 3))],
            "code": [f"AB-{number:05d}-X" for number in rng.integers(0, 90_000, 200)],
        }
    )
    table = read_table(frame)
    schema = build_schema(table, overrides={"code": ColumnType.CODE})
    design = design_frame(typed_columns(table, schema), schema)
    assert list(design.columns) == ["v 0", "v 1", "v 2", "code"]
    # A code per row would only be learned by heart: the most frequent ones are enough.
    assert len(design["code"].cat.categories) <= 50


def test_a_yardstick_need_not_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complexity, "_ITERATIONS", 1)
    x = np.random.default_rng(1).normal(size=(200, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        advise_depth(x, (x[:, 0] > 0).astype(int), "binary")
