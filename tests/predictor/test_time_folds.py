"""Predictors whose folds follow time: calibrated on later rows, saved and asked as usual (DATA-7, PRED-3)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from featrix_core import EmbeddingSpace, FeatrixUserError, SinglePredictor, SinglePredictorMLP
from featrix_core.input_data_set import as_table
from featrix_core.predictor.plan import plan_predictor
from featrix_core.steps.config import StepConfig
from featrix_core.steps.data_step import ingest, load_dataset
from featrix_core.steps.predictor_step import train_predictor
from featrix_core.tables.holdout import fold_times, group_codes


@pytest.fixture(scope="module")
def dated(credit: pd.DataFrame) -> pd.DataFrame:
    """Four applications a day, out of order; every thirtieth has no date."""
    day = np.random.default_rng(3).permutation(200) // 4
    moments = pd.Timestamp("2024-03-01") + pd.to_timedelta(day, unit="D")
    asked = pd.Series(moments.strftime("%Y-%m-%d")).where(np.arange(200) % 30 > 0)
    return credit.assign(asked=asked)


def _latest(frame: pd.DataFrame, count: int) -> NDArray[np.int64]:
    return frame["asked"].fillna("").to_numpy(str).argsort(kind="stable")[-count:]


def _trained(
    space: EmbeddingSpace, frame: pd.DataFrame, target: str, **names: str
) -> SinglePredictor:
    predictor = SinglePredictor(space, fine_tune=False)
    predictor.prep_for_training(frame, target, **names)
    return predictor.train(n_epochs=2)


@pytest.mark.parametrize("target", ["class", "age"])
def test_calibration_sees_the_later_rows_only(
    target: str, credit_space: EmbeddingSpace, dated: pd.DataFrame, tmp_path: Path
) -> None:
    predictor = _trained(credit_space, dated, target, time_column="asked")
    assert not any(n.code == "columns_unknown_to_space" for n in predictor.notices)
    assert predictor.held_out is not None and predictor.outputs is not None
    labels = predictor.held_out["labels"]
    assert len(predictor.members) == 5 and 90 <= len(labels) <= 110
    assert predictor.coding is not None
    later = predictor.coding.labels(as_table(dated))[_latest(dated, len(labels))]
    assert sorted(labels.tolist()) == sorted(later.tolist())
    fitted = predictor.outputs.calibration or predictor.outputs.interval
    assert fitted is not None
    predictor.save(tmp_path / "predictor")
    loaded = SinglePredictor.load(tmp_path / "predictor")
    assert loaded.predict(dated[:3], explain=False) == predictor.predict(dated[:3], explain=False)


def test_later_rows_of_one_class_are_calibrated_all_the_same(
    credit_space: EmbeddingSpace, dated: pd.DataFrame
) -> None:
    """Half a year without any bad loan: nothing to choose a threshold by."""
    frame = dated.copy()
    frame.loc[_latest(frame, 120), "class"] = "good"
    frame["__featrix_weight"] = np.where(np.isin(np.arange(200), _latest(frame, 120)), 0, 1)
    predictor = _trained(credit_space, frame, "class", time_column="asked")
    assert predictor.outputs is not None and predictor.outputs.threshold is not None
    assert predictor.outputs.threshold.criterion == "default"
    assert np.isfinite(predictor.predict_proba(frame[:5])).all()
    numbers = _trained(credit_space, frame, "age", time_column="asked")
    assert numbers.outputs is not None and np.isfinite(numbers.outputs.ratio)


def test_what_folds_by_time_cannot_validate_is_told(
    credit_space: EmbeddingSpace, dated: pd.DataFrame
) -> None:
    """Loans that were rejected have gone out of use, those on hold are new."""
    frame, days = dated.copy(), dated["asked"].fillna("").to_numpy(str).argsort(kind="stable")
    frame.loc[days[:20], "class"] = "rejected"
    frame.loc[days[-3:], "class"] = "on hold"
    predictor = _trained(credit_space, frame, "class", time_column="asked")
    assert predictor.training_info["validation_coverage"] == pytest.approx(0.9)
    told = {n.code: n for n in predictor.notices if n.column == "class"}
    assert "rejected" in told["rare_classes"].message
    assert "on hold" in told["untrained_classes"].message
    plain = _trained(credit_space, frame, "class")
    assert plain.training_info["validation_coverage"] == 1.0
    assert not {"rare_classes", "untrained_classes"} & {n.code for n in plain.notices}


def test_groups_stay_together_at_their_latest_time(
    credit_space: EmbeddingSpace, dated: pd.DataFrame
) -> None:
    frame = dated.assign(branch=[f"branch {k % 40}" for k in range(200)])
    table = as_table(frame)
    groups = group_codes(table, "branch")
    times, notices = fold_times(table, "asked", groups)
    assert times is not None and notices == ()
    plain, _ = fold_times(table, "asked")
    assert plain is not None
    for group in np.unique(groups):
        rows = groups == group
        assert len(set(times[rows])) == 1 and times[rows][0] == np.nanmax(plain[rows])
    predictor = _trained(credit_space, frame, "class", group_column="branch", time_column="asked")
    assert len(predictor.members) == 5
    held = predictor.held_out
    assert held is not None and set(held["groups"]) <= set(range(40))
    assert len(held["groups"]) == len(held["labels"])  # calibrate() keeps them together


def test_the_one_call_form_forwards_columns_and_settings(
    credit_space: EmbeddingSpace, dated: pd.DataFrame
) -> None:
    frame = dated.assign(branch=[f"branch {k % 40}" for k in range(200)])
    made = SinglePredictorMLP(
        credit_space,
        "class",
        group_column="branch",
        time_column="asked",
        ensemble=False,
        loss="focal",
        class_weights=False,
        fine_tune=False,
    ).train(frame, n_epochs=1)
    steps = SinglePredictor(
        credit_space, ensemble=False, loss="focal", class_weights=False, fine_tune=False
    )
    steps.prep_for_training(frame, "class", group_column="branch", time_column="asked")
    steps.train(n_epochs=1)
    # The folds by time leave the earlier rows unjudged, so other folds could not hold out the same rows.
    assert made.held_out is not None and steps.held_out is not None
    assert 90 <= len(made.held_out["labels"]) <= 130
    np.testing.assert_array_equal(made.held_out["labels"], steps.held_out["labels"])
    np.testing.assert_array_equal(made.predict_proba(frame), steps.predict_proba(frame))
    assert made.plan is not None
    assert (made.plan.loss, made.plan.class_weights) == ("focal", False)
    assert made.ensemble is not None and set(made.ensemble.weights) == {"nets"}
    with pytest.raises(FeatrixUserError, match="no column 'bank'"):
        SinglePredictorMLP(credit_space, "class", group_column="bank").train(frame)


def test_one_moment_is_told(credit_space: EmbeddingSpace, dated: pd.DataFrame) -> None:
    predictor = _trained(
        credit_space, dated.assign(asked="2024-03-01"), "class", time_column="asked"
    )
    assert [n.column for n in predictor.notices if n.code == "one_moment"] == ["asked"]
    assert predictor.held_out is not None and len(predictor.held_out["labels"]) == 200


@pytest.mark.parametrize(("column", "says"), [("when", "when"), ("purpose", "timestamps or")])
def test_a_column_that_cannot_order(
    column: str, says: str, credit_space: EmbeddingSpace, dated: pd.DataFrame
) -> None:
    with pytest.raises(FeatrixUserError, match=says):
        SinglePredictor(credit_space).prep_for_training(dated, "class", time_column=column)


def test_the_step_follows_the_time_column(
    credit_space: EmbeddingSpace,
    dated: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The hold-out are the latest rows; of those before, the later half validates."""
    short = plan_predictor(160, fine_tune=False).model_copy(update={"updates": 3})
    monkeypatch.setattr("featrix_core.predictor.training.plan_predictor", lambda *_, **__: short)
    dated.to_csv(tmp_path / "credit.csv", index=False)
    config = StepConfig(time_column="asked", fine_tune=False)
    ingest(str(tmp_path / "credit.csv"), ["class"], tmp_path / "data", config=config)
    credit_space.save(tmp_path / "space")
    train_predictor(
        tmp_path / "space", tmp_path / "data", "class", tmp_path / "predictor", config=config
    )
    predictor = SinglePredictor.load(tmp_path / "predictor")
    assert predictor.held_out is not None and predictor.coding is not None
    held = predictor.held_out["labels"]
    assert 0.4 < len(held) / 160 < 0.6
    rows = load_dataset(tmp_path / "data").development.n_rows
    before = dated.iloc[np.setdiff1d(np.arange(200), _latest(dated, 200 - rows))]
    labels = predictor.coding.labels(as_table(before))[_latest(before, len(held))]
    assert sorted(held.tolist()) == sorted(labels.tolist())
