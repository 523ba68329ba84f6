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


def test_share_of_the_hold_out_and_no_say_for_the_order(rows: pd.DataFrame, tmp_path: Path) -> None:
    share = StepConfig(holdout=0.35)
    first = ingest(write(rows, tmp_path), ["class"], tmp_path / "a", config=share)
    again = ingest(write(rows, tmp_path), ["class"], tmp_path / "b", config=share)
    assert first == again
    assert first["holdout_rows"] == 70
    shuffled = rows.sample(frac=1.0, random_state=1)
    ingest(write(shuffled, tmp_path), ["class"], tmp_path / "c", config=share)
    sides = [load_dataset(tmp_path / name).holdout.to_pandas() for name in "ac"]
    order = list(rows.columns)
    same = [side.sort_values(order).to_numpy().tolist() for side in sides]
    assert same[0] == same[1]


def test_groups_and_times(rows: pd.DataFrame, tmp_path: Path) -> None:
    frame = rows.assign(
        branch=[f"branch {k % 40}" for k in range(200)],
        opened=pd.date_range("2020-01-01", periods=200).astype(str),
    )
    data = write(frame, tmp_path)
    by_branch = StepConfig(group_column="branch")
    summary = ingest(data, ["class"], tmp_path / "groups", config=by_branch)
    assert summary["split"]["group_column"] == "branch"
    found = load_dataset(tmp_path / "groups")
    train, held = (t.to_pandas()["branch"] for t in (found.development, found.holdout))
    assert not set(train) & set(held)
    assert len(held) == pytest.approx(40, abs=5)
    # A group of the hold-out is never known from training, so its name cannot be learned from.
    assert {d.name: d.reason for d in found.schema.dropped}["branch"] == "ignored"
    ingest(data, ["class"], tmp_path / "times", config=StepConfig(time_column="opened"))
    found = load_dataset(tmp_path / "times")
    train, held = (t.to_pandas()["opened"] for t in (found.development, found.holdout))
    assert train.max() < held.min()
    assert "opened" in found.schema.names
    with pytest.raises(FeatrixUserError, match="no column 'bank'"):
        ingest(data, ["class"], tmp_path / "no", config=StepConfig(group_column="bank"))


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


def test_weights_are_checked_and_kept(rows: pd.DataFrame, tmp_path: Path) -> None:
    frame = rows.assign(__featrix_weight=[str(k % 4) for k in range(200)])
    ingest(write(frame, tmp_path), ["class"], tmp_path / "out")
    said = notices(tmp_path / "out")["row_weights"]
    assert (said["column"], said["figure"]) == ("__featrix_weight", 2.0)
    data = load_dataset(tmp_path / "out")
    assert "__featrix_weight" not in data.schema.names
    assert "__featrix_weight" in data.development.names
    wrong = frame.assign(__featrix_weight=["-1", *["1"] * 199])
    with pytest.raises(FeatrixUserError, match="numbers of 0 or more"):
        ingest(write(wrong, tmp_path), ["class"], tmp_path / "wrong")


def test_drift_between_the_two_parts_is_said(rows: pd.DataFrame, tmp_path: Path) -> None:
    ingest(write(rows, tmp_path), ["class"], tmp_path / "even")
    assert "drift" not in notices(tmp_path / "even")
    bands = read_json(tmp_path / "even" / "ingest.json")["drift"]
    assert len(bands) == 7 and {d["band"] for d in bands} <= {"identical", "moderate"}
    # The latest rows are held out, and a new form came into use shortly before them.
    frame = rows.assign(number=np.arange(200), phase=np.where(np.arange(200) < 157, "old", "new"))
    config = StepConfig(time_column="number", ignore=("number",))
    ingest(write(frame, tmp_path), ["class"], tmp_path / "odd", config=config)
    said = notices(tmp_path / "odd")["drift"]
    assert said["column"] == "phase"
    assert said["figure"] > 1.0


def test_figures_of_targets_are_of_the_development_rows(rows: pd.DataFrame, tmp_path: Path) -> None:
    # The latest rows are held out: amounts with points, a hundred times as high, and a new class.
    late = np.arange(200) >= 160
    frame = rows.assign(
        number=np.arange(200),
        amount=[f"{n * 1000}.25" if new else f"{n},5" for n, new in enumerate(late)],
        verdict=np.where(late & (np.arange(200) % 2 == 0), "frozen", rows["class"]),
    )
    config = StepConfig(time_column="number")
    ingest(write(frame, tmp_path), ["verdict", "amount", "class"], tmp_path / "out", config=config)
    data = load_dataset(tmp_path / "out")
    n_rows = data.development.n_rows
    verdict, amount, label = data.targets
    assert "frozen" in verdict.classes and verdict.class_counts["frozen"] == 0
    assert np.isfinite(encode_target(data.holdout, verdict)).all()
    assert amount.decimal == "," and amount.statistics["max"] < 160
    assert [t.n_rows for t in data.targets] == [n_rows] * 3
    own = encode_target(data.development, label).astype(int)
    assert label.class_counts == dict(zip(label.classes, np.bincount(own).tolist(), strict=True))
    alike = frame.assign(verdict=np.where(late, "frozen", "good"))
    with pytest.raises(FeatrixUserError, match="rows to train on have the same label"):
        ingest(write(alike, tmp_path), ["verdict"], tmp_path / "one", config=config)


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


def _later(rows: pd.DataFrame, label: str) -> pd.DataFrame:
    """The last tenth of the rows are of a class that is new."""
    frame = rows.assign(day=[f"2024-{1 + k // 20:02d}-{1 + k % 20:02d}" for k in range(200)])
    frame.loc[frame.index[-20:], "class"] = label
    return frame


def test_hold_out_rows_of_a_new_class_are_told(rows: pd.DataFrame, tmp_path: Path) -> None:
    out = tmp_path / "out"
    late = StepConfig(time_column="day")
    ingest(write(_later(rows, "on hold"), tmp_path), ["class"], out, config=late)
    told = notices(out)
    assert told["new_classes"]["figure"] == 0.5 and told["new_classes"]["column"] == "class"
    assert "20 of 40" in told["new_classes"]["message"]
    assert "'on hold'" in told["new_classes"]["message"]
    assert "untrained_classes" not in told


def test_a_hold_out_that_no_target_can_be_measured_on_is_refused(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    """The second target is not looked at when rows are held out."""
    frame = _later(rows, "good").assign(age="")
    frame.loc[frame.index[:150], "age"] = [str(20 + k % 50) for k in range(150)]
    late = StepConfig(time_column="day")
    with pytest.raises(FeatrixUserError, match="None of 40 hold-out rows has a label") as refused:
        ingest(write(frame, tmp_path), ["class", "age"], tmp_path / "out", config=late)
    assert refused.value.column == "age"
    assert not (tmp_path / "out").exists()


def test_a_class_with_one_row_to_train_on_is_refused_at_once(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    frame = _later(rows, "good").assign(rare="no")
    frame.loc[frame.index[[3, 198]], "rare"] = "yes"
    late = StepConfig(time_column="day")
    with pytest.raises(FeatrixUserError, match="one row only among the rows to train on"):
        ingest(write(frame, tmp_path), ["rare"], tmp_path / "out", config=late)


def test_rare_classes_are_called_by_their_names(rows: pd.DataFrame, tmp_path: Path) -> None:
    frame = rows.copy()
    frame.loc[frame.index[:3], "class"] = "disputed"
    ingest(write(frame, tmp_path), ["class"], tmp_path / "out")
    assert "disputed" in notices(tmp_path / "out")["rare_classes"]["message"]
    assert read_json(tmp_path / "out" / "ingest.json")["split"]["rare_classes"] == ["disputed"]


@pytest.mark.parametrize("column", ["time_column", "group_column"])
def test_a_target_of_numbers_with_groups_or_time(
    column: str, rows: pd.DataFrame, tmp_path: Path
) -> None:
    frame = rows.assign(place=np.arange(200) // 4)
    config = StepConfig.model_validate({column: "place"})
    ingest(write(frame, tmp_path), ["age"], tmp_path / "out", config=config)
    held = load_dataset(tmp_path / "out").holdout.to_pandas()["place"].astype(int)
    assert 35 <= len(held) <= 45 and (column == "group_column" or held.min() == 40)
