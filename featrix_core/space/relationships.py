"""Relationships: products of column pairs, and which pairs are drawn (JOINT-2, D6).

Legend: B rows · A columns · Q active pairs · D token width · K products · L width of what a row is told.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from featrix_core.encoders.stacked import StackedLinear

PRODUCTS = 64
"""Numbers that each column brings to a product."""
MOST_PAIRS = 5_000
"""Pairs under trial (those of 100 columns). Lifts of more could not be told apart in one training, and would fill the
memory."""


class PairProducts(nn.Module):
    """What the active pairs say together that neither column says alone: a part of the row embedding.

    Every column has a projection of its own, `p = P_a x_a`; a pair's relationship is `p_i ⊙ p_j`, and a row is told
    their sum over all active pairs. The sum is one product with the matrix of active pairs, so that a third
    of all pairs costs as much as three.

    This is the form of the source's relationship tokens that earned its place (decision 0006). Eight tokens per pair
    (product, sum, |difference|, cosine, differences, ratios), read by the transformer as extra keys and values, moved
    no loss on planted interactions, and no other operation was ahead of the product. Suites "tokens" and "ablation"
    of the benchmarks ("The space") hold a row for each.

    Shape: tokens (B, A, D), pairs (Q, 2) → (B, L) of unit length.
    """

    def __init__(self, columns: int, width: int, outputs: int) -> None:
        super().__init__()
        self.project = StackedLinear(columns, width, PRODUCTS)
        self.norm = nn.LayerNorm(PRODUCTS)
        self.out = nn.Linear(PRODUCTS, outputs)

    def forward(self, tokens_BAD: Tensor, pairs_Q2: Tensor) -> Tensor:
        """Told to the row by all active pairs at once."""
        told_BL = self.out(self.norm(summed_products(self.project(tokens_BAD), pairs_Q2)))
        return nn.functional.normalize(told_BL, dim=-1)


def summed_products(factors_BAK: Tensor, pairs_Q2: Tensor) -> Tensor:
    """`Σ p_i ⊙ p_j` (B, K) over pairs (i, j)."""
    columns = factors_BAK.shape[1]
    active_AA = factors_BAK.new_zeros(columns, columns)
    active_AA[pairs_Q2[:, 0], pairs_Q2[:, 1]] = 1.0
    return (factors_BAK * (active_AA @ factors_BAK)).sum(1)


SCHEMES = ("causal", "all", "none", "random", "distance")


class PairSampler:
    """The column pairs of a table that are tried, and how many of them a finished space reads.

    Args:
        columns: of the table. active: pairs that the finished space reads at most.
        seed: of every draw, here and in `pair_trial`.
        scheme: how pairs are chosen (`SCHEMES`). Spaces use `causal`; the others are there to be measured against:
            all pairs, none, a fixed random set, or the largest distances of column losses.

    Attributes:
        pairs_P2: pairs under trial; of more than `MOST_PAIRS` so many drawn ones.
    """

    def __init__(self, columns: int, active: int, seed: int, scheme: str = "causal") -> None:
        if scheme not in SCHEMES:
            raise ValueError(f"scheme is one of {', '.join(SCHEMES)}, not {scheme!r}")
        every_P2 = torch.triu_indices(columns, columns, 1).T
        if len(every_P2) > MOST_PAIRS:
            generator = torch.Generator().manual_seed(seed)
            drawn = torch.randperm(len(every_P2), generator=generator)[:MOST_PAIRS]
            every_P2 = every_P2[drawn.sort().values]
        self.pairs_P2 = every_P2
        pairs = len(every_P2)
        self.active = {"all": pairs, "none": 0}.get(scheme, min(pairs, max(active, 0)))
        self.seed, self.scheme = seed, scheme

    def first(self) -> Tensor:
        """Pairs (Q, 2) that a space begins with: all that are tried."""
        return self.pairs_P2 if self.active else self.pairs_P2[:0]
