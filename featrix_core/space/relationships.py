"""Relationship tokens: eight explicit operations per active column pair (JOINT-2, D6).

Legend: B rows · A columns · Q active pairs · R = 8 operations · D token width.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

OPERATIONS = (
    "product",
    "sum",
    "absolute_difference",
    "cosine",
    "difference",
    "reverse_difference",
    "ratio",
    "reverse_ratio",
)
EPSILON = 0.1
"""Keeps the sign-safe division away from zero (D6)."""
_RATIO_LIMIT = 8.0


def _divide(top: Tensor, bottom: Tensor) -> Tensor:
    sign = torch.where(bottom < 0, -1.0, 1.0)
    return (top / (sign * (bottom.abs() + EPSILON))).clamp(-_RATIO_LIMIT, _RATIO_LIMIT)


class RelationshipTokens(nn.Module):
    """Tokens of the active pairs, read by the joint encoder as extra keys and values.

    Shape: tokens (B, A, D), pairs (Q, 2) → (B, Q·R, D).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project_RDD = nn.Parameter(
            torch.randn(len(OPERATIONS), width, width) / math.sqrt(width)
        )
        self.operation_RD = nn.Parameter(torch.randn(len(OPERATIONS), width) * 0.1)

    def forward(self, tokens_BAD: Tensor, pairs_Q2: Tensor) -> Tensor:
        """Compute all operations on all active pairs at once."""
        a, b = tokens_BAD[:, pairs_Q2[:, 0]], tokens_BAD[:, pairs_Q2[:, 1]]
        cosine = nn.functional.cosine_similarity(a, b, dim=-1).unsqueeze(-1).expand_as(a)
        raw_RBQD = torch.stack(
            [a * b, a + b, (a - b).abs(), cosine, a - b, b - a, _divide(a, b), _divide(b, a)]
        )
        operations, rows, n_pairs, width = raw_RBQD.shape
        projected = torch.bmm(raw_RBQD.reshape(operations, rows * n_pairs, width), self.project_RDD)
        projected = projected.view(operations, rows, n_pairs, width)
        projected = projected + self.operation_RD[:, None, None, :]
        return projected.permute(1, 2, 0, 3).reshape(rows, n_pairs * operations, width)


class PairSampler:
    """Draws which pairs are active in an epoch, at random under a token budget.

    The draw is independent of everything that was learned so far: epochs in which a pair was active and
    epochs in which it was not are a randomised experiment (DESIGN, "The house").
    """

    def __init__(self, columns: int, token_budget: int, seed: int) -> None:
        self.pairs = list(itertools.combinations(range(columns), 2))
        self.active = min(len(self.pairs), max(token_budget // len(OPERATIONS), 0))
        self.seed = seed

    def draw(self, epoch: int) -> Tensor:
        """Active pairs (Q, 2) of an epoch, sorted; the same seed and epoch give the same draw."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        chosen = torch.randperm(len(self.pairs), generator=generator)[: self.active]
        if not len(chosen):
            return torch.zeros((0, 2), dtype=torch.int64)
        return torch.tensor(self.pairs, dtype=torch.int64)[chosen.sort().values]
