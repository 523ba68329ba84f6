"""Classes in an order: loss, figures, and a predictor from rows to answers and back from disk (PRED-1)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from featrix_core import EmbeddingSpace, FeatrixUserError, SinglePredictor
from featrix_core.predictor.loss_choice import _candidates
from featrix_core.predictor.losses import Loss, loss_of, make_loss, ranked_probability_loss
from featrix_core.predictor.metrics import order_metrics
from featrix_core.predictor.response import ClassScores, response_schema
from featrix_core.registry.signature import serving_contract
from featrix_core.steps.evaluation import measure

LEVELS = ("<1", "1<=X<4", "4<=X<7", ">=7")


# -- the loss -----------------------------------------------------------------------------------------


def test_the_loss_is_cross_entropy_and_ranked_probability_score() -> None:
    p_EBK = torch.tensor([[[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]], [[0.6, 0.3, 0.1], [0.0, 0.5, 0.5]]])
    logits, target = p_EBK.clamp(min=1e-30).log(), torch.tensor([0, 2])
    # ((0.2 - 1)² + (0.5 - 1)²) / 2, (0.1² + 0.9²) / 2, (0.4² + 0.1²) / 2, (0² + 0.5²) / 2
    ranked = [[0.445, 0.41], [0.085, 0.125]]
    entropy = -np.log([[0.2, 0.1], [0.6, 0.5]])
    assert float(ranked_probability_loss(logits, target)) == pytest.approx(np.mean(ranked))
    assert float(Loss("ordinal")(logits, target)) == pytest.approx(np.mean(ranked + entropy))
    weight = torch.tensor([1.5, 0.5])
    wanted = ((ranked + entropy) * weight.numpy()).mean()
    assert float(Loss("ordinal")(logits, target, weight)) == pytest.approx(wanted)


def test_the_further_off_the_worse_where_cross_entropy_sees_no_difference() -> None:
    near = torch.tensor([[[0.1, 0.8, 0.1, 0.0001]]]).log()
    far = near[..., [0, 3, 2, 1]]
    target = torch.tensor([0])
    assert float(loss_of(near, target)) == pytest.approx(float(loss_of(far, target)))
    assert float(Loss("ordinal")(far, target)) > float(Loss("ordinal")(near, target)) + 0.3


def test_the_loss_has_its_least_at_the_true_shares_whatever_the_order_means() -> None:
    counts = torch.tensor([5, 1, 3, 1])
    target = torch.repeat_interleave(torch.arange(4), counts)
    logits = (counts / counts.sum()).log().clone().requires_grad_(True)
    Loss("ordinal")(logits.expand(2, len(target), 4), target).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None and float(logits.grad.abs().max()) < 1e-6
    assert not Loss("ordinal").shifts_shares


def test_gradients_stay_finite_at_any_confidence() -> None:
    logits = torch.tensor([[[90.0, -90.0, 0.0], [-1e4, 0.0, 1e4]]], requires_grad=True)
    Loss("ordinal")(logits, torch.tensor([1, 0])).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None and bool(torch.isfinite(logits.grad).all())


def test_softened_it_keeps_the_order() -> None:
    target = torch.tensor([0, 0, 0, 1, 2])
    soft = make_loss("ordinal", True, target, 3).softened()
    assert (soft.name, soft.class_weight_K) == ("ordinal", None)


def test_an_order_comes_first_where_losses_are_compared() -> None:
    first, weighted, focal = _candidates(4, None, ordered=True)
    assert (first, weighted) == (("ordinal", False), ("ordinal", True))
    assert focal.loss == "focal" and _candidates(4, True, ordered=True)[0].loss == "ordinal"
    assert "ordinal" not in {candidate.loss for candidate in _candidates(4, None)}


# -- the figures --------------------------------------------------------------------------------------


def test_figures_of_an_order_by_hand() -> None:
    p = np.eye(3)[[0, 1, 2, 0, 1]]
    found = order_metrics([0, 1, 2, 2, 0], p)
    assert found["level_distance"] == pytest.approx((2 + 1) / 5)
    # Squares of distances: 4 + 1 = 5 seen; by chance, (2, 1, 2) true against (2, 2, 1) predicted: 39 / 5.
    expected = sum(
        (i - j) ** 2 * a * b / 5 for i, a in enumerate((2, 1, 2)) for j, b in enumerate((2, 2, 1))
    )
    assert found["quadratic_kappa"] == pytest.approx(1 - 5 / expected)
    assert order_metrics([0, 1, 2], np.eye(3)) == {"level_distance": 0.0, "quadratic_kappa": 1.0}
    alone = order_metrics([1, 1], np.eye(3)[[1, 1]])
    assert alone["level_distance"] == 0.0 and "quadratic_kappa" in alone["omitted"]


# -- a predictor --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def employed(credit: pd.DataFrame) -> pd.DataFrame:
    """German credit with the years of employment as target; "unemployed", which is none of them, has no label."""
    years = credit["employment"].where(credit["employment"] != "unemployed")
    return credit.assign(employment=years)


@pytest.fixture(scope="module")
def predictor(employed: pd.DataFrame, credit_space: EmbeddingSpace) -> SinglePredictor:
    model = SinglePredictor(credit_space, name="years")
    return model.prep_for_training(employed, "employment").train(n_epochs=2)


def test_the_order_reaches_training_and_answers(
    predictor: SinglePredictor, employed: pd.DataFrame
) -> None:
    assert predictor.classes == LEVELS and predictor.coding is not None
    assert predictor.coding.ordered and predictor.coding.classification
    assert predictor.training_info["rows"] == int(employed["employment"].notna().sum())
    choice = predictor.training_info["loss"]
    assert choice["loss"] == "ordinal" and choice["reason"].startswith("the classes have an order")
    rows = employed.iloc[:9]
    scores = predictor.scores(rows)
    assert isinstance(scores, ClassScores) and scores.ordered
    levels: NDArray[np.float64] = scores.probabilities_NK @ np.arange(4.0)
    answers: list[dict[str, Any]] = predictor.predict(rows)
    for answer, level, row in zip(answers, levels, scores.probabilities_NK, strict=True):
        jsonschema.validate(json.loads(json.dumps(answer)), response_schema())
        assert answer["expected_level"] == pytest.approx(level)
        assert tuple(answer["probabilities"]) == LEVELS
        assert answer["prediction"] == LEVELS[int(row.argmax())] in answer["prediction_set"]
        # The space holds the target as a column: hidden, it says nothing.
        assert answer["feature_importance"]["employment"] == pytest.approx(0.0, abs=1e-9)
        assert any(abs(effect) > 1e-6 for effect in answer["feature_importance"].values())
    frame = predictor.predict_frame(rows, explain=True)
    np.testing.assert_allclose(frame["expected_level"], levels)
    assert predictor.nets_only().predict(rows)[0].keys() == answers[0].keys()


def test_figures_of_the_order_stand_beside_those_of_classes(
    predictor: SinglePredictor, employed: pd.DataFrame
) -> None:
    rows = employed.dropna(subset="employment")
    labels = rows["employment"].map(LEVELS.index).to_numpy(np.float64)
    figures = measure(predictor, labels, predictor.predict_proba(rows))
    assert {"roc_auc", "log_loss", "level_distance", "quadratic_kappa"} <= figures.keys()
    assert 0.0 < figures["level_distance"] < 1.5


def test_a_bundle_answers_alike_and_its_signature_has_the_level(
    predictor: SinglePredictor, employed: pd.DataFrame, tmp_path: Path
) -> None:
    predictor.save(tmp_path / "years")
    again = SinglePredictor.load(tmp_path / "years")
    rows = employed.iloc[:5]
    assert again.predict(rows) == predictor.predict(rows)
    contract = serving_contract(tmp_path / "years")
    assert contract is not None and contract.signature.outputs is not None
    required = {spec.name: spec.required for spec in contract.signature.outputs.inputs}
    assert required["expected_level"] and required["probabilities"]
    assert "probability" not in required and "std" not in required


def test_the_order_can_be_switched_off_and_its_loss_needs_it(
    credit_space: EmbeddingSpace, employed: pd.DataFrame
) -> None:
    model = SinglePredictor(credit_space).prep_for_training(employed, "employment", "multiclass")
    assert model.coding is not None and not model.coding.ordered
    assert model.classes == tuple(sorted(LEVELS))
    model.loss = "ordinal"
    with pytest.raises(FeatrixUserError, match="classes with an order"):
        model.train(n_epochs=1)
