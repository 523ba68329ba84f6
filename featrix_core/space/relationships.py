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


SCHEMES = ("causal", "all", "none", "random", "distance")


class PairSampler:
    """All column pairs of a table, how many of them may be active at once, and the first draw.

    Args:
        columns: of the table. token_budget: most relationship tokens that are read in one pass.
        seed: of every draw, here and in `pair_trial`.
        scheme: how pairs are chosen (`SCHEMES`). Spaces use `causal`; the others are there to be measured against:
            all pairs whatever the budget, none, a fixed random set, or the largest distances of column losses.
    """

    def __init__(self, columns: int, token_budget: int, seed: int, scheme: str = "causal") -> None:
        if scheme not in SCHEMES:
            raise ValueError(f"scheme is one of {', '.join(SCHEMES)}, not {scheme!r}")
        self.pairs = list(itertools.combinations(range(columns), 2))
        self.active = min(len(self.pairs), max(token_budget // len(OPERATIONS), 0))
        self.active = {"all": len(self.pairs), "none": 0}.get(scheme, self.active)
        self.seed, self.scheme = seed, scheme

    def draw(self, epoch: int) -> Tensor:
        """A draw of pairs (Q, 2), sorted; the same seed and epoch give the same one."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        chosen = torch.randperm(len(self.pairs), generator=generator)[: self.active]
        if not len(chosen):
            return torch.zeros((0, 2), dtype=torch.int64)
        return torch.tensor(self.pairs, dtype=torch.int64)[chosen.sort().values]
