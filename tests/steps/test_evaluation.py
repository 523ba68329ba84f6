"""What a predictor is worth: all figures of the hold-out, for classes and for numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from featrix_core import SinglePredictor
from featrix_core.bundle import verify_bundle
from featrix_core.errors import FeatrixUserError
from featrix_core.files import read_json
from featrix_core.steps import ingest
from featrix_core.steps.data_step import load_dataset
from featrix_core.steps.evaluation import NETS_ONLY, evaluate, holdout_answers, measure
from featrix_core.steps.figures import figures

from .conftest import Run

COMMON = {
    "selector",
    "target",
    "kind",
    "classes",
    "holdout_rows",
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
    labels, said = holdout_answers(model, data)
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
    labels, said = holdout_answers(model, data)
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


def test_a_hold_out_without_labels_is_refused(rows: pd.DataFrame, run: Run, tmp_path: Path) -> None:
    """The second target is not looked at when rows are held out."""
    held = load_dataset(run.dataset).holdout.to_pandas()
    inside = rows.drop(columns="age").merge(held.drop(columns="age"), how="left", indicator=True)
    frame = rows.copy()
    frame.loc[inside["_merge"].eq("both").to_numpy(), "age"] = ""
    frame.to_csv(tmp_path / "data.csv", index=False)
    ingest(str(tmp_path / "data.csv"), ["class", "age"], tmp_path / "dataset")
    with pytest.raises(FeatrixUserError, match="No hold-out row has a label"):
        evaluate(SinglePredictor.load(run.numbers), load_dataset(tmp_path / "dataset"))
