"""What a predictor's head is trained on: squared error, cross-entropy, focal loss, smoothed precision, and for
classes in an order cross-entropy with the ranked probability score (PRED-1, PRED-2).

Legend: N, B rows · E ensemble members · O outputs · K classes · C cuts between them · P positive rows of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from featrix_core.predictor.wishes import LossName, check_class_weights, check_loss

GAMMA, FLOOR = 2.0, 0.1
"""Focal loss: exponent, and least weight of a row that is easy (D13)."""
ANCHOR = 1.0
"""Weight of the cross-entropy beside the smoothed precision, which sees order alone: it keeps the logits on the
scale of probabilities, and it is all that a batch without a positive row has to say."""


@dataclass(frozen=True)
class Loss:
    """A loss of logits (E, B, O) against targets (B,), the mean over members and rows.

    Attributes:
        name: which one. class_weight_K: weights of the classes, mean 1 over the training rows; None: all 1.
        gamma, floor: of the focal loss.
    """

    name: LossName = "cross_entropy"
    class_weight_K: Tensor | None = None
    gamma: float = GAMMA
    floor: float = FLOOR

    @property
    def shifts_shares(self) -> bool:
        """Whether probabilities that it trains are no estimates of the classes' shares by themselves."""
        return self.name in ("focal", "pr_auc") or self.class_weight_K is not None

    def __call__(
        self, logits_EBO: Tensor, target_B: Tensor, weight_B: Tensor | None = None
    ) -> Tensor:
        """Scalar loss; floating targets are numbers and have the squared error."""
        if target_B.is_floating_point():
            return loss_of(logits_EBO, target_B, weight_B)
        weight = self._row_weight(target_B, weight_B)
        if self.name == "focal":
            return _focal(logits_EBO, target_B, weight, self.gamma, self.floor)
        plain = loss_of(logits_EBO, target_B, weight)
        if self.name == "ordinal":
            return plain + ranked_probability_loss(logits_EBO, target_B, weight)
        if self.name != "pr_auc":
            return plain
        return ANCHOR * plain + smoothed_precision_loss(logits_EBO, target_B, weight)

    def softened(self) -> Loss:
        """Half the focus, three times the floor, no class weights; smoothed precision becomes cross-entropy."""
        if self.name == "focal" and self.gamma > 0.5:
            floor = min(1.0, 3.0 * self.floor)
            return replace(self, gamma=self.gamma / 2, floor=floor, class_weight_K=None)
        return Loss("ordinal" if self.name == "ordinal" else "cross_entropy")

    def _row_weight(self, target_B: Tensor, weight_B: Tensor | None) -> Tensor | None:
        if self.class_weight_K is None:
            return weight_B
        classes_B = self.class_weight_K[target_B]
        return classes_B if weight_B is None else classes_B * weight_B


def make_loss(
    name: LossName, weighted: bool, target_N: Tensor, classes: int, weight_N: Tensor | None = None
) -> Loss:
    """The loss for training rows; `weighted`: with class weights.

    Raises:
        FeatrixUserError: a loss of classes for a number or the reverse, smoothed precision for more than two.
    """
    there = 0 if target_N.is_floating_point() else classes
    check_loss(name, there)
    check_class_weights(weighted, there)
    return Loss(name, class_weights(target_N, classes, weight_N) if weighted else None)


def class_weights(target_N: Tensor, classes: int, weight_N: Tensor | None = None) -> Tensor:
    """Weights (K,) as the root of 1 / frequency, their mean over the rows 1 (PRED-2).

    The full inverse would make the rare class as loud as the frequent one and be over-predicted (D13). A class
    without a row counts as one of one row. `weight_N`: how many rows each row stands for.
    """
    counts_K = class_counts(target_N, classes, weight_N)
    share_K = counts_K.clamp(min=1.0) / counts_K.sum().clamp(min=1.0)
    raw_K = share_K.rsqrt()
    mean = (raw_K * counts_K).sum() / counts_K.sum().clamp(min=1.0)
    return (raw_K / mean).float()


def class_counts(target_N: Tensor, classes: int, weight_N: Tensor | None = None) -> Tensor:
    """Rows of every class (K,), weighted; as they are where all weigh nothing."""
    if weight_N is not None and bool(weight_N.any()):
        return torch.bincount(target_N, weight_N.double(), minlength=classes)
    return torch.bincount(target_N, minlength=classes).double()


def loss_of(logits_EBO: Tensor, target_B: Tensor, weight_B: Tensor | None = None) -> Tensor:
    """Mean over members of cross-entropy (class indices) or squared error (floats), rows weighted."""
    members = logits_EBO.shape[0]
    how = "mean" if weight_B is None else "none"
    if target_B.is_floating_point():
        expanded = target_B.expand(members, -1)
        loss = nn.functional.mse_loss(logits_EBO[..., 0], expanded, reduction=how)
    else:
        flat = logits_EBO.flatten(0, 1)
        loss = nn.functional.cross_entropy(flat, target_B.repeat(members), reduction=how)
    if weight_B is None:
        return loss
    return (loss.reshape(members, -1) * weight_B).mean()


def combine(logits_EBO: Tensor, classification: bool) -> Tensor:
    """The ensemble's answer: log of mean probability (B, O), or mean value (B, 1)."""
    if not classification:
        return logits_EBO.mean(dim=0)
    log_p = torch.log_softmax(logits_EBO, dim=-1)
    return torch.logsumexp(log_p, dim=0) - torch.log(torch.tensor(float(len(log_p))))


def _focal(
    logits_EBO: Tensor, target_B: Tensor, weight_B: Tensor | None, gamma: float, floor: float
) -> Tensor:
    """`max(floor, (1 − p)^gamma)` times the cross-entropy, p the probability of the true class."""
    members = logits_EBO.shape[0]
    flat = logits_EBO.flatten(0, 1)
    each = nn.functional.cross_entropy(flat, target_B.repeat(members), reduction="none")
    # A p that rounds to 1 would have no slope to the power of a gamma under 1.
    miss = (-torch.expm1(-each)).clamp(min=1e-6)
    loss_EB = (miss.pow(gamma).clamp(min=floor) * each).reshape(members, -1)
    return (loss_EB if weight_B is None else loss_EB * weight_B).mean()


def ranked_probability_loss(
    logits_EBO: Tensor, target_B: Tensor, weight_B: Tensor | None = None
) -> Tensor:
    """Ranked probability score of classes in their order: how far the probability lies from the true class.

    The squared error of the probability of "at most this class", the mean over the K - 1 cuts between classes,
    rows and members. A proper score (Epstein 1969), also where the order means nothing: only the true
    probabilities have the least of it, so that it does not shift them.
    """
    below_EBC = torch.softmax(logits_EBO, dim=-1).cumsum(dim=-1)[..., :-1]
    cuts_C = torch.arange(below_EBC.shape[-1], device=target_B.device)
    true_BC = (target_B.unsqueeze(1) <= cuts_C).to(below_EBC.dtype)
    loss_EB = (below_EBC - true_BC).square().mean(dim=-1)
    return (loss_EB if weight_B is None else loss_EB * weight_B).mean()


def smoothed_precision_loss(
    logits_EBO: Tensor, target_B: Tensor, weight_B: Tensor | None = None
) -> Tensor:
    """One minus the average precision of a batch of two classes, ranks smoothed (Smooth-AP, Brown et al. 2020).

    A positive row's precision is the share of positive rows among those at or above it; "above" is a sigmoid
    of the difference of the log odds. The area under the precision–recall curve is the mean over positive
    rows. A batch without a positive or without a negative row has no order and gives zero.
    """
    positive_B = target_B == 1
    if not bool(positive_B.any()) or bool(positive_B.all()):
        return logits_EBO.sum() * 0.0
    weight_B = torch.ones_like(target_B, dtype=logits_EBO.dtype) if weight_B is None else weight_B
    odds_EB = logits_EBO[..., 1] - logits_EBO[..., 0]
    above_EPB = torch.sigmoid(odds_EB.unsqueeze(1) - odds_EB[:, positive_B].unsqueeze(2))
    own_PB = nn.functional.one_hot(positive_B.nonzero()[:, 0], len(target_B)).bool()
    weighed_EPB = above_EPB.masked_fill(own_PB, 1.0) * weight_B  # a row is at its own height
    hits_EP = weighed_EPB[..., positive_B].sum(dim=-1)
    precision_EP = hits_EP / weighed_EPB.sum(dim=-1).clamp(min=1e-9)
    weight_P = weight_B[positive_B]
    return 1.0 - (precision_EP * weight_P).sum(dim=1).mean() / weight_P.sum().clamp(min=1e-9)
