"""Contrastive losses of D9 and their temperature (TRAIN-1).

Legend: B rows · A columns · D token width · M row width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

BASE_TEMPERATURE = 0.2
COLDEST, WARMEST = 0.01, 0.2


def adaptive_temperature(batch_size: int, columns: int) -> float:
    """base / (batch factor × column factor), held between 0.01 and 0.2 (D4.4)."""
    batch_factor = max(1.0, (batch_size / 128.0) ** 0.25)
    column_factor = max(1.0, (columns / 20.0) ** 0.25)
    return min(WARMEST, max(COLDEST, BASE_TEMPERATURE / (batch_factor * column_factor)))


def info_nce(one_BM: Tensor, other_BM: Tensor, temperature: float) -> Tensor:
    """Joint loss: row i of one view should be nearest to row i of the other. Unit vectors in; scalar, nats."""
    logits_BB = one_BM @ other_BM.T / temperature
    own = torch.arange(len(logits_BB), device=logits_BB.device)
    there = nn.functional.cross_entropy(logits_BB, own)
    return 0.5 * (there + nn.functional.cross_entropy(logits_BB.T, own))


def spread_loss(row_BM: Tensor, temperature: float) -> Tensor:
    """Anti-collapse loss: each row is most similar to itself. Unit vectors in; scalar, nats."""
    logits_BB = row_BM @ row_BM.T / temperature
    own = torch.arange(len(logits_BB), device=logits_BB.device)
    return nn.functional.cross_entropy(logits_BB, own)


def marginal_losses(predicted_BAD: Tensor, true_BAD: Tensor, temperature: float) -> Tensor:
    """Per-column InfoNCE (A,): the predicted encoding of a cell against those of the batch, in nats.

    `log(B) − loss` is the mutual information that the estimate supports (D9).
    """
    one_ABD = nn.functional.normalize(predicted_BAD, dim=-1).transpose(0, 1)
    other_ABD = nn.functional.normalize(true_BAD, dim=-1).transpose(0, 1)
    logits_ABB = torch.bmm(one_ABD, other_ABD.transpose(1, 2)) / temperature
    own = torch.arange(logits_ABB.shape[1], device=logits_ABB.device)
    own = own.expand(logits_ABB.shape[0], -1)
    losses = nn.functional.cross_entropy(logits_ABB.transpose(1, 2), own, reduction="none")
    return losses.mean(dim=1)
