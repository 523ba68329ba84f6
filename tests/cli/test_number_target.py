"""A number as target: figures, intervals and responses of a regression."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator
from sklearn.datasets import load_diabetes

from featrix_core.predictor.response import SCHEMA_PATH

Run = Callable[..., "subprocess.CompletedProcess[str]"]
COLUMNS = ["age", "bmi", "bp", "s5", "target"]
TRAINED = 200


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`model/`, trained on the first rows of the diabetes set, and `new.csv` with the others."""
    folder = tmp_path_factory.mktemp("diabetes")
    frame: pd.DataFrame = load_diabetes(as_frame=True, scaled=False).frame[COLUMNS]
    frame.iloc[:TRAINED].to_csv(folder / "train.csv", index=False)
    frame.iloc[TRAINED:].to_csv(folder / "new.csv", index=False)
    arguments = ("--data", "train.csv", "--target", "target", "--out", "model")
    result = run("fit", *arguments, cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder


def test_metrics_of_a_regression(folder: Path) -> None:
    metrics = json.loads((folder / "model" / "metrics.json").read_text(encoding="utf-8"))
    assert 0.1 < metrics["r2"] < 1.0
    assert 0.0 < metrics["rmse"] < 100.0
    assert "roc_auc" not in metrics
    assert metrics["seconds"]["train predictor"] > 0.0


def test_predicted_numbers_have_intervals(run: Run, folder: Path) -> None:
    arguments = ("--model", "model", "--data", "new.csv", "--out", "scores.parquet")
    result = run("predict", *arguments, cwd=folder)
    assert result.returncode == 0, result.stderr
    table = pq.read_table(folder / "scores.parquet")
    values = ["row_id", "prediction", "interval_low", "interval_high", "std"]
    said = ["confidence", "ood_sigma", "warnings", "warning_codes"]
    assert table.column_names == [*values, *said]
    frame = table.to_pandas()
    truth = pd.read_csv(folder / "new.csv")["target"]
    assert len(frame) == len(truth)
    assert (frame["interval_low"] <= frame["prediction"]).all()
    assert (frame["prediction"] <= frame["interval_high"]).all()
    assert np.corrcoef(frame["prediction"], truth)[0, 1] > 0.5
    inside = (frame["interval_low"] <= truth) & (truth <= frame["interval_high"])
    assert 0.7 < inside.mean() < 1.0


def test_json_lines_of_numbers_follow_the_response_schema(run: Run, folder: Path) -> None:
    pd.read_csv(folder / "new.csv").iloc[:5].to_csv(folder / "five.csv", index=False)
    arguments = ("--model", "model", "--data", "five.csv", "--out", "scores.jsonl", "--explain")
    assert run("predict", *arguments, cwd=folder).returncode == 0
    validator = Draft202012Validator(json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
    lines = (folder / "scores.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 5
    for text in lines:
        line = json.loads(text)
        validator.validate(line)
        assert line["interval_low"] <= line["prediction"] <= line["interval_high"]
        assert set(line["feature_importance"]) >= {"age", "bmi", "bp", "s5"}
