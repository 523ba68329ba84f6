"""What cannot be done for a target is said before anything is trained, by column, value and remedy (PRED-1, PRED-2)."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from featrix_core import EmbeddingSpace, FeatrixUserError, SinglePredictor
from featrix_core.input_data_set import as_table
from featrix_core.predictor.target_coding import TargetCoding, describe_target
from featrix_core.predictor.wishes import check_wishes
from featrix_core.tables.targets import TargetSchema

TWO = TargetSchema(name="y", kind="binary", classes=("no", "yes"), n_rows=9, n_missing=0)
THREE = TWO.model_copy(update={"kind": "multiclass", "classes": ("a", "b", "c")})
LEVELS = THREE.model_copy(update={"kind": "ordinal"})
NUMBER = TWO.model_copy(update={"kind": "scalar", "classes": ()})


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        (TWO, {"positive_label": "no", "cost_false_positive": 0.0, "loss": "pr_auc"}),
        (TWO, {"loss": "focal", "class_weights": True}),
        (THREE, {"loss": "cross_entropy", "class_weights": True}),
        (LEVELS, {"loss": "ordinal"}),
        (NUMBER, {"loss": "squared_error", "class_weights": False}),
    ],
)
def test_what_fits_is_taken(target: TargetSchema, asked: dict[str, Any]) -> None:
    check_wishes(target, **asked)


@pytest.mark.parametrize(
    ("target", "asked", "value", "says"),
    [
        (TWO, {"positive_label": "maybe"}, "maybe", "Use one of no, yes"),
        (THREE, {"positive_label": "a"}, "a", "it has 3 classes"),
        (NUMBER, {"positive_label": "7"}, "7", "it is a number"),
        (THREE, {"cost_false_negative": 5.0}, "1 : 5", "it has 3 classes"),
        (NUMBER, {"cost_false_positive": 2.0}, "2 : 1", "it is a number"),
        (TWO, {"loss": "hinge"}, "hinge", "Use one of auto"),
        (TWO, {"loss": "squared_error"}, "squared_error", "does not fit"),
        (NUMBER, {"loss": "focal"}, "focal", "does not fit"),
        (THREE, {"loss": "pr_auc"}, "pr_auc", "for two classes"),
        (THREE, {"loss": "ordinal"}, "ordinal", "with an order"),
        (NUMBER, {"class_weights": True}, "True", "no class weights"),
    ],
)
def test_what_does_not_fit_is_refused(
    target: TargetSchema, asked: dict[str, Any], value: str, says: str
) -> None:
    with pytest.raises(FeatrixUserError, match=says) as caught:
        check_wishes(target, **asked)
    assert caught.value.column == "y" and value in str(caught.value.value)
    assert caught.value.remedy


@pytest.mark.parametrize("costs", [(-1.0, 1.0), (1.0, float("nan")), (float("inf"), 1.0), (0, 0)])
@pytest.mark.parametrize("target", [TWO, THREE, NUMBER])
def test_impossible_costs_are_refused_for_every_target(
    costs: tuple[float, float], target: TargetSchema
) -> None:
    with pytest.raises(FeatrixUserError, match=r"cost_false_\w+ must be|are both 0"):
        check_wishes(target, cost_false_positive=costs[0], cost_false_negative=costs[1])


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ("duration", {"positive_label": "12"}),
        ("duration", {"cost_false_positive": 1.0}),
        ("checking_status", {"positive_label": "<0"}),
        ("checking_status", {"cost_false_negative": 1.0}),
        ("class", {"cost_false_negative": -1.0}),
        ("class", {"cost_false_positive": 0.0, "cost_false_negative": 0.0}),
        ("duration", {"loss": "focal"}),
        ("duration", {"class_weights": True}),
    ],
)
def test_a_predictor_refuses_before_it_takes_rows(
    target: str, asked: dict[str, Any], few_space: EmbeddingSpace, few: pd.DataFrame
) -> None:
    predictor = SinglePredictor(few_space, **asked)
    with pytest.raises(FeatrixUserError):
        predictor.prep_for_training(few, target)
    with pytest.raises(FeatrixUserError, match="no rows to train on"):
        predictor.train()


def test_two_classes_have_a_positive_label_whatever_they_are_called() -> None:
    table = as_table(pd.DataFrame({"y": ["a", "b", "b"] * 10}))
    for kind in (None, "set", "binary", "multiclass"):
        for label in "ab":
            coding = TargetCoding.fit(table, describe_target(table, "y", kind, label))
            assert coding.classes[-1] == label
