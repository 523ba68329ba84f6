"""Losses against formulas, known libraries and the sources' figures (PRED-2)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import nn

from featrix_core.errors import FeatrixUserError
from featrix_core.predictor.losses import (
    Loss,
    LossName,
    class_weights,
    make_loss,
    smoothed_precision_loss,
)

GENERATOR = torch.Generator().manual_seed(1)
LOGITS_EBO = torch.randn(3, 40, 2, generator=GENERATOR)
TARGET_B = (torch.arange(40) % 5 == 0).long()
WEIGHT_B = torch.rand(40, generator=GENERATOR)


def test_plain_cross_entropy_is_torch_s() -> None:
    wanted = nn.functional.cross_entropy(LOGITS_EBO.flatten(0, 1), TARGET_B.repeat(3))
    assert torch.equal(Loss()(LOGITS_EBO, TARGET_B), wanted)


def test_focal_loss_is_the_formula() -> None:
    p_EBO = LOGITS_EBO.double().softmax(-1).numpy()
    true_EB = p_EBO[:, np.arange(40), TARGET_B.numpy()]
    wanted = np.maximum(0.1, (1 - true_EB) ** 2) * -np.log(true_EB)
    got = Loss("focal")(LOGITS_EBO, TARGET_B)
    assert float(got) == pytest.approx(wanted.mean(), rel=1e-5)
    weighted = Loss("focal")(LOGITS_EBO, TARGET_B, WEIGHT_B)
    assert float(weighted) == pytest.approx((wanted * WEIGHT_B.numpy()).mean(), rel=1e-5)
    # Without a focus, and with a floor of one, it is the cross-entropy.
    for same in (Loss("focal", gamma=0.0), Loss("focal", floor=1.0)):
        assert float(same(LOGITS_EBO, TARGET_B)) == pytest.approx(
            float(Loss()(LOGITS_EBO, TARGET_B)), rel=1e-5
        )


@pytest.mark.parametrize(("share", "boost"), [(0.5, 1.0), (0.16, 2.3), (0.03, 5.7)])
def test_class_weights_boost_as_in_the_source(share: float, boost: float) -> None:
    target = (torch.arange(1000) < round(1000 * share)).long()
    weight_K = class_weights(target, 2)
    assert float(weight_K[1] / weight_K[0]) == pytest.approx(boost, abs=0.05)
    assert float(weight_K[target].mean()) == pytest.approx(1.0, rel=1e-5)


def test_class_weights_follow_row_weights_and_absent_classes() -> None:
    target = torch.tensor([0, 0, 0, 1])
    repeated = class_weights(torch.tensor([0, 0, 0, 1, 1, 1]), 3)
    weighted = class_weights(target, 3, torch.tensor([1.0, 1.0, 1.0, 3.0]))
    torch.testing.assert_close(weighted, repeated)
    assert torch.isfinite(repeated).all()
    nothing = class_weights(target, 3, torch.zeros(4))
    torch.testing.assert_close(nothing, class_weights(target, 3))


def test_smoothed_precision_becomes_the_average_precision() -> None:
    """Logits so large that the sigmoid is a step: the definition, member by member."""
    sharp = LOGITS_EBO * 1e4
    each = [average_precision_score(TARGET_B, m[:, 1] - m[:, 0]) for m in LOGITS_EBO.numpy()]
    assert float(smoothed_precision_loss(sharp, TARGET_B)) == pytest.approx(1 - np.mean(each), 1e-4)


def test_smoothed_precision_follows_row_weights() -> None:
    weight = torch.where(torch.arange(40) % 3 == 0, 2.0, 1.0)
    odds = LOGITS_EBO[..., 1] - LOGITS_EBO[..., 0]
    sharp = torch.stack([torch.zeros_like(odds), odds], dim=-1) * 1e4
    scores = average_precision_score(
        TARGET_B, (odds[0]).numpy(), sample_weight=weight.double().numpy()
    )
    got = smoothed_precision_loss(sharp[:1], TARGET_B, weight)
    assert float(got) == pytest.approx(1 - scores, abs=1e-4)


@pytest.mark.parametrize("target", [torch.zeros(6).long(), torch.ones(6).long()])
def test_a_batch_of_one_class_has_no_order(target: torch.Tensor) -> None:
    logits = torch.randn(2, 6, 2, generator=GENERATOR).requires_grad_()
    loss = smoothed_precision_loss(logits, target)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None and not logits.grad.any()
    assert torch.equal(Loss("pr_auc")(logits, target), Loss()(logits, target))


def test_smoothed_precision_can_be_descended_with_one_positive_row() -> None:
    target = (torch.arange(40) == 7).long()
    logits = torch.randn(2, 40, 2, generator=GENERATOR).requires_grad_()
    before = average_precision_score(target, (logits[0, :, 1] - logits[0, :, 0]).detach())
    for _ in range(200):
        loss = smoothed_precision_loss(logits, target)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert torch.isfinite(gradient).all()
        logits = (logits - 20.0 * gradient).detach().requires_grad_()
    after = average_precision_score(target, (logits[0, :, 1] - logits[0, :, 0]).detach())
    assert before < after == 1.0


def test_a_softened_loss_ends_as_cross_entropy() -> None:
    loss = Loss("focal", torch.ones(2))
    seen = []
    while loss.shifts_shares:
        loss = loss.softened()
        seen.append((loss.name, loss.gamma, round(loss.floor, 2)))
    assert seen == [("focal", 1.0, 0.3), ("focal", 0.5, 0.9), ("cross_entropy", 2.0, 0.1)]
    assert Loss("pr_auc").softened() == Loss()


@pytest.mark.parametrize(
    ("name", "target", "classes"),
    [
        ("focal", torch.zeros(4), 1),
        ("cross_entropy", torch.zeros(4), 1),
        ("squared_error", torch.zeros(4).long(), 2),
        ("pr_auc", torch.zeros(4).long(), 3),
    ],
)
def test_a_loss_that_does_not_fit_is_said(
    name: LossName, target: torch.Tensor, classes: int
) -> None:
    with pytest.raises(FeatrixUserError, match=name):
        make_loss(name, False, target, classes)
    with pytest.raises(FeatrixUserError, match="class_weights"):
        make_loss("squared_error", True, torch.zeros(4), 1)
