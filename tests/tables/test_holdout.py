"""The hold-out follows from what the rows hold, from nothing else (DATA-7)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.build import build_schema, typed_columns
from featrix_core.tables.drift import drift_report
from featrix_core.tables.holdout import fold_groups, group_codes, holdout_split, row_keys
from featrix_core.tables.reading import read_table
from featrix_core.tables.splits import Split
from featrix_core.tables.table import Table


def credit_rows(path: Path) -> pd.DataFrame:
    return pd.read_csv(path).reset_index(names="row")


def split(frame: pd.DataFrame, fraction: float = 0.2, **names: str | None) -> Split:
    labels = (frame["class"] == "bad").to_numpy(np.float64)
    table = read_table(frame.drop(columns="row"))
    return holdout_split(table, labels, True, fraction, targets=["class"], **names)  # type: ignore[arg-type]


def held(frame: pd.DataFrame, **names: str | None) -> set[int]:
    return set(frame["row"].to_numpy()[split(frame, **names).validation_rows].tolist())


def test_the_churn_example_from_content() -> None:
    """10,000 rows, 97 % active: 7,760 and 1,940, 240 and 60 (source section 4.1)."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"usage": rng.normal(size=10_000), "plan": rng.integers(0, 5, 10_000)})
    labels = (rng.permutation(10_000) < 300).astype(float)
    found = holdout_split(read_table(frame), labels, True)
    assert np.bincount(labels[found.train_rows].astype(int)).tolist() == [7760, 240]
    assert np.bincount(labels[found.validation_rows].astype(int)).tolist() == [1940, 60]
    assert found.coverage == 1.0


def test_neither_order_nor_format_has_a_say(german_credit: Path, tmp_path: Path) -> None:
    frame = credit_rows(german_credit)
    first = held(frame)
    assert len(first) == 200
    assert held(frame.sample(frac=1.0, random_state=3)) == first
    assert held(frame[frame.columns[::-1]]) == first
    frame.drop(columns="row").to_parquet(tmp_path / "rows.parquet")
    frame.drop(columns="row").to_csv(tmp_path / "rows.csv", index=False)
    keys = [row_keys(read_table(tmp_path / f"rows.{kind}")) for kind in ("csv", "parquet")]
    np.testing.assert_array_equal(*keys)


def test_a_new_version_keeps_old_rows_held_out(german_credit: Path) -> None:
    """900 rows, then 100 more: of 180 held-out rows few may move to the other side."""
    frame = credit_rows(german_credit)
    old = held(frame.iloc[:900])
    lost = old - held(frame)
    assert len(old) == 180
    assert len(lost) <= 6
    relabelled = frame.assign(**{"class": np.where(frame["row"] < 5, "bad", frame["class"])})
    assert len(held(frame) ^ held(relabelled)) <= 10


def test_the_split_is_fair(german_credit: Path) -> None:
    table = read_table(german_credit)
    labels = np.array(table.arrow["class"].to_pylist()) == "bad"
    found = holdout_split(table, labels.astype(float), True, targets=["class"])
    schema = build_schema(table, targets=["class"])
    sides = [
        typed_columns(table.take(rows), schema)
        for rows in (found.train_rows, found.validation_rows)
    ]
    assert {drift.band for drift in drift_report(*sides)} == {"identical"}


def test_columns_of_control_have_no_say(german_credit: Path) -> None:
    frame = credit_rows(german_credit)
    assert held(frame.assign(__featrix_weight=np.arange(1000) % 7)) == held(frame)


def test_copies_are_on_one_side_and_said(german_credit: Path) -> None:
    frame = credit_rows(german_credit)
    doubled = pd.concat([frame, frame.iloc[:300]], ignore_index=True)
    found = split(doubled)
    sides = [set(doubled["row"].to_numpy()[r]) for r in (found.train_rows, found.validation_rows)]
    assert not sides[0] & sides[1]
    (notice,) = found.notices
    assert (notice.code, notice.figure) == ("repeated_rows", pytest.approx(300 / 1300))
    assert "one side" in notice.action


def test_a_coarse_table_is_on_both_sides() -> None:
    """Four columns of few values: combinations recur, as in the table of the Titanic."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({name: rng.integers(0, 3, 2000) for name in "abc"})
    labels = (rng.random(2000) < 0.3 + 0.2 * (frame["a"] == 1)).to_numpy(np.float64)
    found = holdout_split(read_table(frame), labels, True)
    assert len(found.validation_rows) == round(2000 * 0.2)
    keys = row_keys(read_table(frame))
    assert set(keys[found.validation_rows]) <= set(keys[found.train_rows])
    assert "both sides" in found.notices[0].action
    order = rng.permutation(2000)
    again = holdout_split(read_table(frame.iloc[order]), labels[order], True)
    assert sorted(keys[found.validation_rows]) == sorted(keys[order][again.validation_rows])


def test_a_number_as_the_target(german_credit: Path) -> None:
    table = read_table(german_credit)
    labels = np.arange(1000.0)
    labels[:100] = np.nan
    found = holdout_split(table, labels, False, 0.25)
    assert len(found.validation_rows) == 225
    assert found.validation_rows.min() >= 100
    assert len(found.train_rows) == 775


def trips(folder: Path) -> tuple[Table, pd.DataFrame]:
    table = read_table(folder / "flights.parquet")
    return table, table.to_pandas()


def test_groups_of_real_flights(flights: Path) -> None:
    """No aircraft on both sides; late and punctual flights in the same proportion."""
    table, frame = trips(flights)
    late = (frame["arr_delay"] > 15).to_numpy(np.float64)
    late[frame["arr_delay"].isna()] = np.nan
    found = holdout_split(table, late, True, group_column="tailnum")
    groups = group_codes(table, "tailnum")
    train, validation = found.train_rows, found.validation_rows
    assert not set(groups[train]) & set(groups[validation])
    labelled = np.isfinite(late).sum()
    assert len(validation) / labelled == pytest.approx(0.2, abs=0.01)
    assert late[validation].mean() == pytest.approx(np.nanmean(late), abs=0.01)
    # Unlabelled rows of held-out aircraft take part in nothing.
    lost = np.setdiff1d(np.arange(table.n_rows), np.concatenate([train, validation]))
    assert len(lost) and np.isnan(late[lost]).all()
    again = holdout_split(table, late, True, group_column="tailnum")
    np.testing.assert_array_equal(validation, again.validation_rows)


def test_the_latest_flights_validate(flights: Path) -> None:
    table, frame = trips(flights)
    labels = np.nan_to_num(frame["arr_delay"].to_numpy(np.float64))
    found = holdout_split(table, labels, False, time_column="time_hour")
    moments = pd.to_datetime(frame["time_hour"]).to_numpy()
    assert moments[found.train_rows].max() < moments[found.validation_rows].min()
    assert len(found.validation_rows) / table.n_rows == pytest.approx(0.2, abs=0.01)


def test_rows_without_a_time_train_and_are_counted() -> None:
    frame = pd.DataFrame({"year": [*range(1950, 2040), *[None] * 10], "x": np.arange(100) % 7})
    found = holdout_split(read_table(frame), np.arange(100.0), False, time_column="year")
    assert found.validation_rows.tolist() == list(range(72, 90))
    assert found.notices[0].figure == 10.0


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ({"group_column": "clas"}, "no column 'clas'"),
        ({"time_column": "when"}, "no column 'when'"),
        ({"time_column": "purpose"}, "timestamps or numbers"),
        ({"group_column": "one"}, "at least two"),
        ({"time_column": "number"}, "two moments"),
    ],
)
def test_columns_that_cannot_split(
    names: dict[str, str | None], says: str, german_credit: Path
) -> None:
    frame = credit_rows(german_credit).assign(one="same", number=7)
    with pytest.raises(FeatrixUserError, match=says):
        split(frame, **names)


def test_rows_of_one_group_have_folds_without_groups() -> None:
    """Of two sites the hold-out takes one."""
    table = read_table(pd.DataFrame({"site": ["a"] * 5, "x": range(5)}))
    groups, (notice,) = fold_groups(table, "site")
    assert groups is None and (notice.code, notice.column) == ("one_group", "site")
    groups, notices = fold_groups(read_table(pd.DataFrame({"site": list("abab")})), "site")
    assert groups is not None and groups.tolist() == [0, 1, 0, 1] and notices == ()
