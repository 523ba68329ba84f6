"""Categories → tokens: learned and semantic path with a gate per cell (ENC-2, D5.3).

Legend: B rows · K distinct codes of a column · C set columns · V flat vocabulary · P reduced semantic width ·
O waves · D token width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from featrix_core.encoders.set_codec import REDUCED, WAVES, SetTables
from featrix_core.encoders.stacked import StackedLinear, StackedMLP, StackedNorm
from featrix_core.encoders.tokens import TokenBatch

LEARNED_SHARE = 0.38
"""Share of the learned path that the gate starts from (D5.3)."""
OPAQUE_LOGIT = 2.5
"""What a code's gate has on top of a word's: its name says nothing, so that it ends near 90 % learned."""
FLOOR_START, FLOOR_END = 0.7, 0.1
"""Least share of the semantic path at the beginning and from half of the training on."""


def semantic_floor(progress: float) -> float:
    """Least share of the semantic path at `progress` in [0, 1] of a space's training."""
    return FLOOR_START + (FLOOR_END - FLOOR_START) * min(1.0, 2.0 * progress)


def distinct(codes_BC: Tensor) -> tuple[Tensor, Tensor]:
    """(codes_KC, place_BC): each column's distinct codes, and which of them every cell has.

    K is the largest number that a column has; columns with fewer repeat their smallest code.
    """
    if not len(codes_BC):
        return codes_BC, codes_BC
    ordered, order = codes_BC.sort(dim=0, stable=True)
    rises = torch.zeros_like(ordered)
    rises[1:] = ordered[1:] != ordered[:-1]
    rank = rises.cumsum(dim=0)
    count = int(rank[-1].max()) + 1 if rank.shape[1] else 0
    codes_KC = ordered[:1].expand(count, -1).clone().scatter_(0, rank, ordered)
    return codes_KC, torch.empty_like(rank).scatter_(0, order, rank)


def _spread(values_KCD: Tensor, place_BC: Tensor) -> Tensor:
    """Values of every cell (B, C, D) from those of the distinct codes."""
    columns = torch.arange(place_BC.shape[1], device=place_BC.device)
    # One look-up in a flat table: its gradient is a plain sum per row.
    return nn.functional.embedding(
        place_BC * place_BC.shape[1] + columns, values_KCD.reshape(-1, values_KCD.shape[-1])
    )


class SetEncoder(nn.Module):
    """`share · learned + (1 − share) · semantic`; an unseen category takes the semantic path alone.

    Ordinal categories add a smooth positional pattern of their place to the learned path. Columns without
    sentence vectors (booleans) are all learned; an unknown value of theirs has no pattern of its own.

    Shape: TokenBatch → (B, C, D).
    """

    def __init__(self, columns: int, tables: SetTables, width: int) -> None:
        super().__init__()
        self.learned_VD = nn.Parameter(torch.randn(len(tables.semantic_VP), width) * 0.5)
        with torch.no_grad():  # no training row is unknown, so nothing would ever be learned here
            self.learned_VD[torch.from_numpy(tables.unknown_C)] = 0.0
        self.register_buffer("worded_C", torch.from_numpy(tables.worded_C), persistent=False)
        self.register_buffer("semantic_VP", torch.from_numpy(tables.semantic_VP))
        self.register_buffer("waves_VO", torch.from_numpy(tables.waves_VO))
        self.register_buffer("opacity_V", torch.from_numpy(tables.opacity_V))
        self.semantic = StackedLinear(columns, REDUCED, width)
        self.ordinal = StackedLinear(columns, WAVES, width)
        self.gate = StackedMLP(columns, 2 * width, max(width // 4, 4), 1)
        with torch.no_grad():
            self.gate.second.bias_AO.fill_(math.log(LEARNED_SHARE / (1.0 - LEARNED_SHARE)))
        self.norm = StackedNorm(columns, width)
        # Per column, because the columns of a finished space keep theirs when it is extended.
        self.register_buffer("floor_C", torch.full((columns,), FLOOR_END))
        self.register_buffer("settled_C", torch.zeros(columns, dtype=torch.bool))
        self.worded_C: Tensor
        self.semantic_VP: Tensor
        self.waves_VO: Tensor
        self.opacity_V: Tensor
        self.floor_C: Tensor
        self.settled_C: Tensor

    def _paths(self, codes_KC: Tensor, extra_UP: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(learned, semantic, share of the learned path (K, C, 1)) of categories."""
        vocabulary = self.learned_VD.shape[0]
        unseen_KC1 = (codes_KC >= vocabulary).unsqueeze(-1)
        known = codes_KC.clamp(max=vocabulary - 1)
        table = torch.cat([self.semantic_VP, extra_UP]) if len(extra_UP) else None
        embed = nn.functional.embedding
        learned = embed(known, self.learned_VD) + self.ordinal(embed(known, self.waves_VO))
        semantic = self.semantic(embed(codes_KC, self.semantic_VP if table is None else table))
        leaning = OPAQUE_LOGIT * self.opacity_V[known].unsqueeze(-1)
        share = torch.sigmoid(self.gate(torch.cat([learned, semantic], dim=-1)) + leaning)
        share = torch.minimum(share, 1.0 - self.floor_C.unsqueeze(-1))
        share = share.masked_fill(~self.worded_C.unsqueeze(-1), 1.0)
        return learned, semantic, share.masked_fill(unseen_KC1, 0.0)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Encode every category, each once however many rows of the batch have it."""
        codes_KC, place_BC = distinct(batch.codes_NC)
        learned, semantic, share = self._paths(codes_KC, batch.extra_UP)
        tokens_KCD = self.norm(torch.lerp(semantic, learned, share))
        return _spread(tokens_KCD, place_BC)

    @torch.no_grad()
    def mature(self, progress: float, prunes: bool) -> None:
        """Lower the semantic floor to where it belongs at `progress` of the training."""
        floor = torch.full_like(self.floor_C, semantic_floor(progress))
        self.floor_C.copy_(torch.where(self.settled_C, self.floor_C, floor))

    @torch.no_grad()
    def settle(self) -> None:
        """The floor stays where the best epoch had it."""
        self.settled_C.fill_(True)

    @torch.no_grad()
    def learned_shares(self, batch: TokenBatch) -> Tensor:
        """Mean share of the learned path per column (C,), over the cells that have a value."""
        present = (~batch.code_missing_NC).float()
        codes_KC, place_BC = distinct(batch.codes_NC)
        share = _spread(self._paths(codes_KC, batch.extra_UP)[2], place_BC).squeeze(-1)
        return (share * present).sum(0) / present.sum(0).clamp(min=1.0)
