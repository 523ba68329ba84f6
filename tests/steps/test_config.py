"""Settings that only some targets can have: who gets them, and what is said of the others (PRED-1, PRED-2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from featrix_core import EmbeddingSpace, FeatrixUserError, SinglePredictor
from featrix_core.files import read_json
from featrix_core.predictor.plan import plan_predictor
from featrix_core.steps import ingest, train_predictor
from featrix_core.steps.config import StepConfig
from featrix_core.steps.data_step import load_dataset

OF_CLASSES = {
    "positive_label": "good",
    "cost_false_positive": 2.0,
    "cost_false_negative": 1.0,
    "loss": "focal",
    "class_weights": False,
}


@pytest.fixture(scope="module")
def data(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    rows.to_csv(path, index=False)
    return str(path)


def test_each_target_gets_what_it_can_have_and_the_rest_is_said(data: str, tmp_path: Path) -> None:
    config = StepConfig.from_settings(OF_CLASSES)
    targets = ["class", "credit_amount", "savings_status"]
    ingest(data, targets, tmp_path / "out", config=config)
    label, amount, savings = load_dataset(tmp_path / "out").targets
    assert config.of_target(label) == OF_CLASSES
    assert config.of_target(amount) == {"class_weights": False}
    assert config.of_target(savings) == {"loss": "focal", "class_weights": False}
    notices = read_json(tmp_path / "out" / "ingest.json")["notices"]
    said = [(n["column"], n["action"]) for n in notices if n["code"] == "setting_unused"]
    costs = "cost_false_positive and cost_false_negative not used for it"
    assert said == [
        ("credit_amount", "positive_label not used for it"),
        ("savings_status", "positive_label not used for it"),
        ("credit_amount", costs),
        ("savings_status", costs),
        ("credit_amount", "loss not used for it"),
    ]


@pytest.mark.parametrize(
    ("targets", "settings", "says"),
    [
        (["class"], {"positive_label": "excellent"}, "Use one of bad, good"),
        (["credit_amount", "savings_status"], {"positive_label": "good"}, "it is a number"),
        (["savings_status"], {"cost_false_positive": 3.0}, "it has 5 classes"),
        (["credit_amount"], {"loss": "pr_auc"}, "does not fit"),
        (["credit_amount"], {"class_weights": True}, "no class weights"),
    ],
)
def test_what_no_target_can_have_is_refused_before_anything_is_trained(
    targets: list[str], settings: dict[str, Any], says: str, data: str, tmp_path: Path
) -> None:
    with pytest.raises(FeatrixUserError, match=says) as caught:
        ingest(data, targets, tmp_path / "out", config=StepConfig.from_settings(settings))
    assert caught.value.column == targets[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"loss": "hinge"}, "'loss' is wrong"),
        ({"class_weights": "some"}, "'class_weights' is wrong"),
        ({"cost_false_positive": -1}, "cost_false_positive must be"),
        ({"cost_false_negative": float("nan")}, "cost_false_negative must be"),
        ({"cost_false_positive": 0, "cost_false_negative": 0}, "are both 0"),
    ],
)
def test_impossible_values_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(FeatrixUserError, match=says):
        StepConfig.from_settings(settings)
    with pytest.raises(FeatrixUserError, match=says):
        StepConfig().replaced(settings)


def test_options_take_the_place_of_settings() -> None:
    config = StepConfig.from_settings({"ensemble": False, "loss": "focal", "ignore": ["age"]})
    options = {"ensemble": True, "loss": None, "class_weights": False, "positive_label": None}
    assert config.replaced(options) == config.model_copy(
        update={"ensemble": True, "class_weights": False}
    )


def test_the_train_step_follows_them(
    credit_space: EmbeddingSpace,
    credit: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def short(*given: Any, **more: Any) -> Any:
        return plan_predictor(*given, **more).model_copy(update={"updates": 3, "folds": 2})

    monkeypatch.setattr("featrix_core.predictor.training.plan_predictor", short)
    credit.to_csv(tmp_path / "credit.csv", index=False)
    config = StepConfig.from_settings({**OF_CLASSES, "ensemble": False, "fine_tune": False})
    ingest(str(tmp_path / "credit.csv"), ["class"], tmp_path / "data", config=config)
    credit_space.save(tmp_path / "space")
    train_predictor(tmp_path / "space", tmp_path / "data", "class", tmp_path / "out", config=config)
    found = SinglePredictor.load(tmp_path / "out")
    assert found.classes == ("bad", "good") and found.costs == (2.0, 1.0) and not found.blended
    assert found.plan is not None
    assert (found.plan.loss, found.plan.class_weights) == ("focal", False)
