"""The loss is chosen by validation where it can matter; reverse bias is found and taken out (PRED-2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.metrics import average_precision_score

from featrix_core import EmbeddingSpace, FeatrixInputDataSet
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.errors import FeatrixUserError
from featrix_core.input_data_set import as_table
from featrix_core.predictor.fitting import Fitted, fit_members
from featrix_core.predictor.labelled import LabelledRows
from featrix_core.predictor.loss_choice import _Candidate, _compare
from featrix_core.predictor.losses import combine
from featrix_core.predictor.plan import PredictorPlan, plan_predictor
from featrix_core.predictor.prior import find_reverse_bias, matching_offset
from featrix_core.tables.build import typed_columns

ROWS = 600
PLAIN, FOCAL = _Candidate("cross_entropy", False), _Candidate("focal", True)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    draw = np.random.default_rng(1)
    return pd.DataFrame({"x": draw.normal(size=ROWS), "other": draw.normal(size=ROWS)})


@pytest.fixture(scope="module")
def space(frame: pd.DataFrame) -> EmbeddingSpace:
    return EmbeddingSpace(FeatrixInputDataSet(frame), n_epochs=1, name="ground").train()


@pytest.fixture(scope="module")
def batch(space: EmbeddingSpace, frame: pd.DataFrame) -> TokenBatch:
    tokens: TokenBatch = space.tokenizer.encode(typed_columns(as_table(frame), space.schema))
    return tokens


@pytest.fixture(scope="module")
def rare(frame: pd.DataFrame) -> NDArray[np.int64]:
    """About a tenth of the rows, likelier with a high `x`."""
    score = frame["x"].to_numpy() + np.random.default_rng(2).normal(size=ROWS)
    return (score > np.quantile(score, 0.9)).astype(np.int64)


def _fit(
    space: EmbeddingSpace, batch: TokenBatch, y_N: NDArray[np.generic], **changes: Any
) -> Fitted:
    small = {"folds": 2, "width": 32, "members": 4, "updates": 60} | changes
    plan = plan_predictor(len(y_N), fine_tune=False).model_copy(update=small)
    numbers = y_N.dtype.kind == "f"
    target = torch.from_numpy(y_N.astype(np.float32 if numbers else np.int64))
    rows = LabelledRows(batch, target, y_N.astype(np.float64))
    outputs = 1 if numbers else int(y_N.max()) + 1
    return fit_members(space.model, space.tokenizer, rows, outputs, 2, plan, 3)


def test_losses_are_compared_where_a_class_is_rare(
    space: EmbeddingSpace, batch: TokenBatch, rare: NDArray[np.int64]
) -> None:
    fitted = _fit(space, batch, rare, folds=2, updates=150)
    choice = fitted.loss_choice
    tried = [(t.loss, t.class_weights) for t in choice.trials]
    assert tried == [
        ("cross_entropy", False),
        ("cross_entropy", True),
        ("focal", True),
        ("pr_auc", False),
    ]
    # Each learned more than the classes' shares, and the difference is small on so plain a table.
    assert all(t.log_loss < 0.325 and t.average_precision > 0.2 for t in choice.trials)
    assert (choice.loss, choice.class_weights) == ("cross_entropy", False)
    assert "no loss is clearly better" in choice.reason
    assert (fitted.plan.loss, fitted.plan.class_weights) == ("cross_entropy", False)
    metadata: Any = fitted.timelines[1]["metadata"]
    assert metadata["loss"] == choice.model_dump(mode="json")
    assert PredictorPlan.model_validate(fitted.plan.model_dump()) == fitted.plan
    assert all(p.requires_grad for p in space.model.joint.parameters())


@pytest.mark.parametrize(
    ("share", "updates", "reason"),
    [(0.5, 60, "no class is rare"), (0.03, 60, "too few to compare"), (0.1, 60, "updates")],
)
def test_nothing_is_compared_where_it_cannot_matter_or_be_seen(
    share: float,
    updates: int,
    reason: str,
    space: EmbeddingSpace,
    batch: TokenBatch,
) -> None:
    y = (np.random.default_rng(4).permutation(ROWS) < share * ROWS).astype(np.int64)
    fitted = _fit(space, batch, y, updates=updates)
    assert fitted.loss_choice.trials == () and reason in fitted.loss_choice.reason
    assert fitted.plan.loss == "cross_entropy" and fitted.plan.class_weights is False


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "pr_auc"])
def test_the_user_s_loss_is_taken_and_its_reverse_bias_taken_out(
    loss: str, space: EmbeddingSpace, batch: TokenBatch, rare: NDArray[np.int64]
) -> None:
    weighted = loss != "pr_auc"
    fitted = _fit(space, batch, rare, loss=loss, class_weights=weighted, updates=80)
    assert fitted.loss_choice.reason == "set by the user"
    assert (fitted.plan.loss, fitted.plan.class_weights) == (loss, weighted)
    p = np.exp(fitted.answer_NO[:, 1])
    truth = rare[fitted.held_out_rows]
    assert average_precision_score(truth, p) > 0.25
    assert p.mean() == pytest.approx(0.1, abs=0.03)
    if weighted:
        for timeline in fitted.timelines:
            actions: Any = timeline["corrective_actions"]
            (entry,) = [a for a in actions if a["action_type"] == "PRIOR_CORRECTION"]
            details = entry["details"]
            assert entry["trigger"] == "REVERSE_BIAS" and details["classes"] == [1]
            assert details["predicted_share"][1] > 1.25 * details["true_share"][1]
            assert details["predicted_share_after"][1] == pytest.approx(0.1, abs=0.01)


def test_a_loss_that_does_not_fit_the_target_is_refused_before_training(
    space: EmbeddingSpace, batch: TokenBatch, frame: pd.DataFrame, rare: NDArray[np.int64]
) -> None:
    numbers = frame["x"].to_numpy()
    with pytest.raises(FeatrixUserError, match="focal"):
        _fit(space, batch, numbers, loss="focal")
    with pytest.raises(FeatrixUserError, match="pr_auc"):
        _fit(space, batch, np.arange(ROWS) % 3, loss="pr_auc")
    with pytest.raises(FeatrixUserError, match="class_weights"):
        _fit(space, batch, numbers, class_weights=True)


def _logits(p_N: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(np.column_stack([np.zeros(len(p_N)), logit(p_N)]))[None].float()


def test_only_a_clear_gain_changes_the_loss() -> None:
    draw = np.random.default_rng(6)
    p = draw.beta(1, 9, size=4_000)
    y = (draw.random(4_000) < p).astype(np.int64)
    true = _logits(p.clip(1e-4, 1 - 1e-4))
    noisy = true + 2.0 * torch.randn(true.shape, generator=torch.Generator().manual_seed(1))
    share = torch.tensor([1 - y.mean(), y.mean()])
    # Doubled odds of class 1: the bias of a weighted loss costs nothing, once it is taken out.
    shifted = true + torch.tensor([0.0, 0.7])
    assert _compare({PLAIN: (true, None), FOCAL: (shifted, share)}, y, None, 3).loss == PLAIN.loss
    found = _compare({PLAIN: (noisy, None), FOCAL: (shifted, share)}, y, None, 3)
    assert (found.loss, found.class_weights) == FOCAL and "clearly lower" in found.reason
    assert found.trials[1].gain > 2 * found.trials[1].gain_error > 0
    hardly = {PLAIN: (true + 0.02 * (noisy - true), None), FOCAL: (shifted, share)}
    kept = _compare(hardly, y, None, 3)
    assert kept.loss == PLAIN.loss and kept.trials[1].gain < 1e-3


def test_offsets_bring_mean_probabilities_to_the_shares() -> None:
    logits = torch.randn(5, 300, 3, generator=torch.Generator().manual_seed(2)) * 3
    share = torch.tensor([0.7, 0.29, 0.01])
    offset = matching_offset(logits, share)
    after = combine(logits + offset, True).exp().mean(dim=0)
    torch.testing.assert_close(after, share, atol=1e-4, rtol=1e-3)
    assert float(offset.sum()) == pytest.approx(0.0, abs=1e-5)
    weight = (torch.arange(300) < 100).float()
    part = matching_offset(logits[:, :100], share)
    torch.testing.assert_close(matching_offset(logits, share, weight), part)


def test_reverse_bias_is_no_matter_of_chance_or_of_frequent_classes() -> None:
    y = torch.arange(1_000) % 10 == 0

    def found(stated: float) -> tuple[int, ...]:
        log_p = torch.tensor([1 - stated, stated]).log().expand(1_000, 2)
        bias = find_reverse_bias(log_p, y.long())
        return () if bias is None else bias.classes

    assert found(0.1) == found(0.12) == found(0.02) == ()
    assert found(0.2) == (1,)
    few = torch.tensor([0.87, 0.13]).log().expand(50, 2)
    assert find_reverse_bias(few, y[:50].long()) is None
