"""What a predictor is worth: all figures of the hold-out, for classes and for numbers."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from featrix_core import SinglePredictor
from featrix_core.bundle import verify_bundle
from featrix_core.errors import FeatrixUserError
from featrix_core.files import read_json
from featrix_core.steps.data_step import DataSet, load_dataset
from featrix_core.steps.evaluation import NETS_ONLY, evaluate, holdout_answers, measure
from featrix_core.steps.figures import figures
from featrix_core.tables.reading import read_table

from .conftest import Run

COMMON = {
    "selector",
    "target",
    "kind",
    "classes",
    "holdout_rows",
    "holdout_rows_of_new_classes",
    "roc",
    "confusion",
    "importance",
    "baseline_seconds",
    "baseline_remarks",
    "metrics",
    "baselines",
    "differences",
}
CLASSES = COMMON | {"reliability", "calibration", "interval", "curves", "threshold"}
NUMBERS = COMMON | {"actual", "predicted", "interval_width"}


def test_two_classes(run: Run) -> None:
    found = read_json(run.predictor / "evaluation.json")
    assert set(found) == CLASSES
    model = SinglePredictor.load(run.predictor)
    data = load_dataset(run.dataset)
    labels, (said,) = holdout_answers(data, model)
    assert said.shape == (40, 2)
    assert found["holdout_rows"] == len(labels) == data.holdout.n_rows
    assert found["classes"] == list(model.classes)
    assert found["metrics"]["roc_auc"] == pytest.approx(roc_auc_score(labels, said[:, 1]))
    served = found["metrics"].pop("accuracy_at_threshold")
    assert served == pytest.approx(np.trace(found["confusion"]["matrix"]) / 40)
    assert 0 < found["metrics"].pop("ece_by_chance") < 0.5
    assert found["metrics"] == pytest.approx(measure(model, labels, said))
    assert found["interval"][0] <= found["metrics"]["roc_auc"] <= found["interval"][1]
    assert np.sum(found["confusion"]["matrix"]) == 40
    assert set(found["baselines"]) == set(found["differences"])
    alone = {NETS_ONLY} if len(found["selector"]["shares"]) > 1 else set()
    assert set(found["baselines"]) == {"linear", "lightgbm"} | alone
    for name, (difference, low, high) in found["differences"].items():
        gap = found["metrics"]["roc_auc"] - found["baselines"][name]["roc_auc"]
        assert difference == pytest.approx(gap)
        assert low <= difference <= high
    assert set(found["roc"]) == {"fpr", "tpr", "thresholds"}
    assert np.isfinite(found["roc"]["thresholds"]).all()
    assert 0.0 < found["threshold"]["chosen"] < 1.0


def test_numbers_with_missing_labels(run: Run) -> None:
    found = read_json(run.numbers / "evaluation.json")
    assert set(found) == NUMBERS
    model = SinglePredictor.load(run.numbers)
    data = load_dataset(run.dataset)
    labels, (said,) = holdout_answers(data, model)
    cells = data.holdout.to_pandas()["age"]
    assert found["holdout_rows"] == (cells != "").sum() < len(cells)
    assert labels.tolist() == cells[cells != ""].astype(float).tolist()
    assert found["metrics"]["r2"] == pytest.approx(r2_score(labels, said))
    assert found["actual"] == labels.tolist()
    assert found["predicted"] == pytest.approx(said.tolist())
    assert (found["roc"], found["confusion"], found["classes"]) == (None, None, [])
    assert found["interval_width"] > 0


def test_importance_names_the_columns_of_the_space_and_real_cells(run: Run) -> None:
    found = read_json(run.predictor / "evaluation.json")["importance"]
    names = [entry["name"] for entry in found["overall"]]
    assert sorted(names) == sorted(load_dataset(run.dataset).schema.names)
    sizes = [entry["mean_absolute"] for entry in found["overall"]]
    assert sizes == sorted(sizes, reverse=True)
    frame = load_dataset(run.dataset).holdout.to_pandas()
    assert len(found["examples"]) == 3
    for example in found["examples"]:
        assert example["prediction"] in ("good", "bad")
        cells = {e["name"]: e["value"] for e in example["effects"]}
        assert (frame[list(cells)] == pd.Series(cells)).all(axis=1).any()


def test_the_same_predictor_gives_the_same_figures(run: Run) -> None:
    again = evaluate(SinglePredictor.load(run.predictor), load_dataset(run.dataset))
    again.pop("baseline_seconds")
    before = read_json(run.predictor / "evaluation.json")
    before.pop("baseline_seconds")
    assert json.loads(json.dumps(again, allow_nan=False)) == before


def test_calibrating_leaves_a_whole_bundle_with_its_figures(run: Run) -> None:
    verify_bundle(run.predictor, "predictor")
    shown = figures(run.predictor)
    found = read_json(run.predictor / "evaluation.json")
    assert shown == {key: found[key] for key in ("metrics", "roc", "confusion")}


def test_a_hold_out_that_cannot_be_measured_on(run: Run) -> None:
    """Neither labels of other names nor numbers that are all the same are an accident."""
    data = load_dataset(run.dataset)
    frame = data.holdout.to_pandas()
    renamed = replace_holdout(data, frame.assign(**{"class": "unheard of"}))
    with pytest.raises(FeatrixUserError, match="No hold-out row has a label that rows to train on"):
        evaluate(SinglePredictor.load(run.predictor), renamed)
    found = evaluate(
        SinglePredictor.load(run.numbers), replace_holdout(data, frame.assign(age="33"))
    )
    assert "r2" not in found["metrics"] and found["metrics"]["rmse"] > 0
    assert found["differences"] == {}
    json.dumps(found, allow_nan=False)


def test_rows_of_classes_that_training_never_saw_are_counted(run: Run) -> None:
    data = load_dataset(run.dataset)
    frame = data.holdout.to_pandas()
    frame.loc[frame.index[:7], "class"] = "new"
    target = data.target("class")
    wider = target.model_copy(update={"classes": (*target.classes, "new")})
    strange = dataclasses.replace(replace_holdout(data, frame), targets=(wider,))
    found = evaluate(SinglePredictor.load(run.predictor), strange)
    assert (found["holdout_rows"], found["holdout_rows_of_new_classes"]) == (33, 7)


def replace_holdout(data: DataSet, frame: pd.DataFrame) -> DataSet:
    class Replaced(DataSet):
        holdout = read_table(frame)

    return Replaced(data.folder, data.schema, data.targets, data.summary)
