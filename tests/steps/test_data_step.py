"""Step ingest: what is written, who is held out, and what is said about the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.files import read_json, sha256_of
from featrix_core.steps import ingest
from featrix_core.steps.config import StepConfig
from featrix_core.steps.data_step import load_dataset
from featrix_core.steps.figures import figures
from featrix_core.tables.schema import ColumnType
from featrix_core.tables.targets import encode_target

FILES = {
    "development.parquet",
    "holdout.parquet",
    "schema.json",
    "targets.json",
    "ingest.json",
    "figures.json",
}


def write(frame: pd.DataFrame, folder: Path) -> str:
    path = folder / "data.csv"
    frame.to_csv(path, index=False)
    return str(path)


def notices(folder: Path) -> dict[str, dict[str, Any]]:
    return {n["code"]: n for n in read_json(folder / "ingest.json")["notices"]}


def test_everything_is_written_and_nothing_else(rows: pd.DataFrame, tmp_path: Path) -> None:
    out = tmp_path / "out"
    data = write(rows, tmp_path)
    summary = ingest(data, ["class"], out)
    assert {p.name for p in out.iterdir()} == FILES
    assert summary == read_json(out / "ingest.json")
    assert summary["source"] == "data.csv"
    assert summary["source_sha256"] == sha256_of(Path(data))
    assert summary["holdout_sha256"] == sha256_of(out / "holdout.parquet")
    assert summary["development_sha256"] == sha256_of(out / "development.parquet")
    assert figures(out)["metrics"]["rows"] == 200.0
    assert figures(out)["metrics"]["columns_kept"] == 7.0


def test_the_hold_out_is_a_fifth_of_each_class(rows: pd.DataFrame, tmp_path: Path) -> None:
    ingest(write(rows, tmp_path), ["class"], tmp_path / "out")
    data = load_dataset(tmp_path / "out")
    (target,) = data.targets
    held = np.bincount(encode_target(data.holdout, target).astype(int))
    kept = np.bincount(encode_target(data.development, target).astype(int))
    whole = rows["class"].value_counts()[list(target.classes)].to_numpy()
    assert held.tolist() == np.round(whole * 0.2).tolist()
    assert (held + kept).tolist() == whole.tolist()
    together = pd.concat([data.development.to_pandas(), data.holdout.to_pandas()])
    order = list(rows.columns)
    assert together.sort_values(order).to_numpy().tolist() == (
        rows.sort_values(order).to_numpy().tolist()
    )


def test_seed_and_share_of_the_hold_out(rows: pd.DataFrame, tmp_path: Path) -> None:
    data = write(rows, tmp_path)
    share = StepConfig(holdout=0.35)
    first = ingest(data, ["class"], tmp_path / "a", config=share, seed=1)
    again = ingest(data, ["class"], tmp_path / "b", config=share, seed=1)
    other = ingest(data, ["class"], tmp_path / "c", config=share, seed=2)
    assert first == again
    assert first["holdout_rows"] == other["holdout_rows"] == 70
    assert first["holdout_sha256"] != other["holdout_sha256"]


def test_several_targets_stay_out_of_the_space(rows: pd.DataFrame, tmp_path: Path) -> None:
    targets = ["class", "credit_amount", "savings_status"]
    ingest(write(rows, tmp_path), targets, tmp_path / "out")
    data = load_dataset(tmp_path / "out")
    assert [t.name for t in data.targets] == targets
    assert [t.kind for t in data.targets] == ["binary", "scalar", "multiclass"]
    assert not set(targets) & set(data.schema.names)
    assert {d.name: d.reason for d in data.schema.dropped} == dict.fromkeys(targets, "target")
    with pytest.raises(FeatrixUserError, match="not ingested for this target"):
        data.target("age")


def test_rows_without_the_first_label_are_never_held_out(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    frame = rows.copy()
    frame.loc[frame.index[:60], "credit_amount"] = ""
    summary = ingest(write(frame, tmp_path), ["credit_amount"], tmp_path / "out")
    data = load_dataset(tmp_path / "out")
    assert (summary["development_rows"], summary["holdout_rows"]) == (172, 28)
    assert (data.holdout.to_pandas()["credit_amount"] != "").all()


def test_settings_of_columns(rows: pd.DataFrame, tmp_path: Path) -> None:
    config = StepConfig(
        ignore=("age",),
        types={"installment_commitment": ColumnType.SET},
        target_kinds={"class": "multiclass"},
    )
    ingest(write(rows, tmp_path), ["class"], tmp_path / "out", config=config)
    data = load_dataset(tmp_path / "out")
    assert "age" not in data.schema.names
    column = data.schema.column("installment_commitment")
    assert (column.type, column.overridden) == (ColumnType.SET, True)
    assert data.target("class").kind == "multiclass"


def test_rows_that_are_switched_off_take_part_in_nothing(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    switch = ["0", "false", "No", "N", "F", "0.0", "1", "true", "", "yes"]
    frame = rows.assign(__featrix_train=switch * 20)
    summary = ingest(write(frame, tmp_path), ["class"], tmp_path / "out")
    assert summary["rows"] == 80
    assert notices(tmp_path / "out")["rows_filtered"]["figure"] == 120.0
    data = load_dataset(tmp_path / "out")
    assert "__featrix_train" not in data.schema.names
    for table in (data.development, data.holdout):
        assert set(table.to_pandas()["__featrix_train"]) <= {"1", "true", "", "yes"}


def test_weights_are_named_as_unused(rows: pd.DataFrame, tmp_path: Path) -> None:
    frame = rows.assign(__featrix_weight=[str(k / 7) for k in range(200)])
    ingest(write(frame, tmp_path), ["class"], tmp_path / "out")
    said = notices(tmp_path / "out")["row_weights_unused"]
    assert said["column"] == "__featrix_weight"
    assert "__featrix_weight" not in load_dataset(tmp_path / "out").schema.names


def test_drift_between_the_two_parts_is_said(rows: pd.DataFrame, tmp_path: Path) -> None:
    ingest(write(rows, tmp_path), ["class"], tmp_path / "even")
    assert "drift" not in notices(tmp_path / "even")
    held = load_dataset(tmp_path / "even").holdout.to_pandas()
    # The split depends on the labels alone, so a column may be made to tell the parts apart.
    key = [*rows.columns]
    inside = rows.merge(held.drop_duplicates(), on=key, how="left", indicator=True)
    assert inside["_merge"].eq("both").sum() == 40
    frame = rows.assign(phase=np.where(inside["_merge"] == "both", "new", "old"))
    frame.loc[frame.index[inside["_merge"].eq("left_only").to_numpy()][:2], "phase"] = "new"
    ingest(write(frame, tmp_path), ["class"], tmp_path / "odd")
    said = notices(tmp_path / "odd")["drift"]
    assert said["column"] == "phase"
    assert said["figure"] > 1.0


@pytest.mark.parametrize(
    ("n_rows", "targets", "says"),
    [
        (200, [], "No target"),
        (200, ["klass"], "class"),
        (19, ["class"], "19 rows"),
    ],
)
def test_refusals_leave_nothing_behind(
    n_rows: int, targets: list[str], says: str, rows: pd.DataFrame, tmp_path: Path
) -> None:
    data = write(rows.iloc[:n_rows], tmp_path)
    with pytest.raises(FeatrixUserError, match=says):
        ingest(data, targets, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["data.csv"]
