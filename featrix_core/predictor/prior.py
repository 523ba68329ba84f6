"""Reverse bias: a loss that makes rare classes louder over-predicts them; found and taken out (PRED-2).

Every member is set right by itself, in the biases of its output layer, before members are averaged. The
calibration that follows is fitted on the pooled held-out answers and does another job: it may be left out where
rows are few, and the usual one, a temperature, cannot move a class's share at all.

Legend: V held-out rows · E ensemble members · K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from featrix_core.predictor.losses import combine

TRIGGER, ACTION = "REVERSE_BIAS", "PRIOR_CORRECTION"
EXCESS = 1.25
"""Mean probability of a class over its share, from which it counts as over-predicted …"""
ERRORS = 2.0
"""… as long as the difference is so many standard errors of the share, too."""
_ROUNDS, _SETTLED = 100, 1e-4
_LEAST = 1e-6


@dataclass(frozen=True)
class ReverseBias:
    """Classes that are predicted more often than they occur among held-out rows; shares by class (K,)."""

    classes: tuple[int, ...]
    predicted_K: tuple[float, ...]
    true_K: tuple[float, ...]


def find_reverse_bias(
    log_p_VK: Tensor, target_V: Tensor, weight_V: Tensor | None = None
) -> ReverseBias | None:
    """Whether a class rarer than its even share is over-predicted by a quarter, and by more than chance."""
    rows, classes = log_p_VK.shape
    weight = _usable(weight_V, rows)
    predicted_K = weight @ log_p_VK.double().exp()
    true_K = torch.zeros(classes, dtype=torch.float64).index_add(0, target_V, weight)
    error_K = (true_K * (1 - true_K) * weight.square().sum()).sqrt()
    over = predicted_K > torch.maximum(EXCESS * true_K, true_K + ERRORS * error_K)
    # A class without a held-out row has no error: one row might have been there.
    over &= (true_K < 1.0 / classes) & (predicted_K - true_K > 1.0 / rows)
    found = tuple(int(k) for k in over.nonzero()[:, 0])
    if not found:
        return None
    return ReverseBias(found, tuple(predicted_K.tolist()), tuple(true_K.tolist()))


def matching_offset(
    logits_EVK: Tensor,
    share_K: Tensor,
    weight_V: Tensor | None = None,
    start_K: Tensor | None = None,
) -> Tensor:
    """What to add to logits (K,) so that mean probabilities are the given shares; the offsets' mean is 0.

    `start_K`: an earlier answer to begin from. The rows' labels are not looked at: with the training rows'
    shares, nothing of held-out rows is learned.
    """
    weight = _usable(weight_V, logits_EVK.shape[1])
    wanted = share_K.double().clamp(min=_LEAST).log()
    offset_K = torch.zeros_like(wanted) if start_K is None else start_K.double()
    for _ in range(_ROUNDS):
        log_p_VK = combine(logits_EVK.double() + offset_K, True)
        step = wanted - (weight @ log_p_VK.exp()).clamp(min=_LEAST).log()
        offset_K = offset_K + step
        if float(step.max() - step.min()) < _SETTLED:
            break
    return (offset_K - offset_K.mean()).to(logits_EVK.dtype)


def record(epoch: int, bias: ReverseBias, offset_K: Tensor, after_K: Tensor) -> dict[str, object]:
    """The timeline's `corrective_actions` entry."""
    listed = offset_K.tolist()
    assert all(math.isfinite(value) for value in listed)
    details = {
        "classes": list(bias.classes),
        "predicted_share": list(bias.predicted_K),
        "true_share": list(bias.true_K),
        "logit_offset": listed,
        "predicted_share_after": after_K.tolist(),
    }
    return {"epoch": epoch, "action_type": ACTION, "trigger": TRIGGER, "details": details}


def _usable(weight_V: Tensor | None, rows: int) -> Tensor:
    """Weights with the sum 1, in double precision; even ones where there are none or all are zero."""
    if weight_V is None or not bool(weight_V.any()):
        return torch.full((rows,), 1.0 / max(rows, 1), dtype=torch.float64)
    return weight_V.double() / weight_V.double().sum()
