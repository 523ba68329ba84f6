"""Options of `fit` about the predictor: they reach it, before the configuration file (PRED-1, PRED-2, PRED-7)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from featrix_core import SinglePredictor

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Refused = Callable[..., str]
FIT = ("fit", "--data", "train.csv", "--target", "class", "--out", "model")


@pytest.fixture
def folder(credit_rows: pd.DataFrame, tmp_path: Path) -> Path:
    credit_rows.iloc[:100].to_csv(tmp_path / "train.csv", index=False)
    return tmp_path


def test_options_reach_the_predictor_before_the_file(run: Run, folder: Path) -> None:
    settings = {"ensemble": True, "loss": "focal", "positive_label": "bad", "fine_tune": False}
    (folder / "fit.json").write_text(json.dumps(settings))
    options = ("--no-ensemble", "--positive-label", "good", "--class-weights", "--max-seconds", "1")
    result = run(*FIT, "--config", "fit.json", *options, cwd=folder)
    assert result.returncode == 0, result.stderr
    predictor = SinglePredictor.load(folder / "model" / "predictor")
    assert predictor.classes == ("bad", "good") and not predictor.blended
    assert predictor.plan is not None
    assert (predictor.plan.loss, predictor.plan.class_weights) == ("focal", True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--positive-label", "excellent"), ("(column 'class')", "'excellent'", "bad, good")),
        (("--loss", "hinge"), ("'loss'", "'hinge'")),
        (("--loss", "squared_error"), ("does not fit a target of classes",)),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: tuple[str, ...], says: tuple[str, ...], folder: Path, refused: Refused
) -> None:
    said = refused(*FIT, *options, cwd=folder)
    assert all(words in said for words in says)
