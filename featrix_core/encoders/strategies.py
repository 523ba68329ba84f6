"""Weighted strategies that compete for a column and are pruned while a space is trained (D5.1, D5.2).

A column's strategies share one weight by softmax. The softmax sharpens as training goes on, so that what the
losses prefer by little at first is preferred clearly in the end, and what falls behind can be switched off.

Legend: A columns · K strategies.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SHARPEST = 32.0
LOGIT_RATE = 5.0
"""Factor on the learning rate of the weights: they must move far within a few hundred updates."""


class Strategies(nn.Module):
    """Weights (A, K) of K strategies per column.

    Args:
        start_AK: logits to start from; minus infinity where a strategy is not to be had for a column.
        keep: how many strategies a column keeps at least.
    """

    def __init__(self, start_AK: Tensor, keep: int) -> None:
        super().__init__()
        self.keep = keep
        alive = torch.isfinite(start_AK)
        self.logit_AK = nn.Parameter(torch.where(alive, start_AK, torch.zeros(())))
        self.register_buffer("alive_AK", alive)
        self.register_buffer("sharpness_A", torch.ones(len(start_AK)))
        # Columns of a finished space: extending it must not change how they are encoded.
        self.register_buffer("settled_A", torch.zeros(len(start_AK), dtype=torch.bool))
        self.alive_AK: Tensor
        self.sharpness_A: Tensor
        self.settled_A: Tensor

    def forward(self) -> Tensor:
        """Shares (A, K), each row adding up to one; switched-off strategies have none."""
        sharp = self.logit_AK * self.sharpness_A.unsqueeze(-1)
        return torch.softmax(sharp.masked_fill(~self.alive_AK, float("-inf")), dim=-1)

    @torch.no_grad()
    def sharpen(self, progress: float) -> None:
        """Move the sharpness on to where it belongs at `progress` in [0, 1] of the training."""
        sharpness = torch.full_like(self.sharpness_A, 1.0 + (SHARPEST - 1.0) * progress)
        self.sharpness_A.copy_(torch.where(self.settled_A, self.sharpness_A, sharpness))

    @torch.no_grad()
    def prune_below(self, share: float) -> None:
        """Switch off strategies below `share` of their column's mean weight, but keep the best `keep`."""
        weight = self().detach()
        mean = 1.0 / self.alive_AK.sum(-1, keepdim=True).clamp(min=1)
        best = weight.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1, stable=True)
        keeps = (weight >= share * mean) | (best < self.keep)
        self.alive_AK.copy_(self.alive_AK & (keeps | self.settled_A.unsqueeze(-1)))

    @torch.no_grad()
    def settle(self) -> None:
        """Nothing changes by itself any more; gradients may still move the weights."""
        self.settled_A.fill_(True)
