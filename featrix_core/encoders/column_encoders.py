"""Column encoders: `TokenBatch` → one token per cell, (B, A, D); one module per type (ENC-1 … ENC-6, D5).

Legend: B rows · S, C, T, X columns of a type · A = S + C + T + X · D token width · F smooth features ·
K piecewise-linear bins · V flat vocabulary · P reduced semantic width · E sentence width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from featrix_core.encoders.scalar_codec import BINS, DISCRETE_SIZES, SMOOTH
from featrix_core.encoders.stacked import StackedLinear, StackedMLP, StackedNorm
from featrix_core.encoders.timestamp_codec import FEATURES as TIME_FEATURES
from featrix_core.encoders.tokenizer import REDUCED, SEMANTIC, Tokenizer
from featrix_core.encoders.tokens import TokenBatch

LEARNED_SHARE = 0.38
"""Share of the learned path that the set gate starts from (D5.3)."""


def piecewise_linear(position_BS: Tensor) -> Tensor:
    """Piecewise-linear code (B, S, K): bin k holds how far the number has passed through it, in [0, 1]."""
    knots_K = torch.arange(BINS, device=position_BS.device, dtype=position_BS.dtype)
    return (position_BS.unsqueeze(-1) - knots_K).clamp(0.0, 1.0)


class ScalarEncoder(nn.Module):
    """Continuous path (smooth features ⊕ piecewise-linear code) and binned path, mixed by a gate (D5.1).

    Shape: TokenBatch → (B, S, D).
    """

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        self.strategy_SF = nn.Parameter(torch.zeros(columns, len(SMOOTH)))
        self.continuous = StackedMLP(columns, len(SMOOTH) + BINS, 2 * width, width)
        sizes = torch.tensor(DISCRETE_SIZES)
        self.table_SVD = nn.Parameter(torch.randn(columns, int(sizes.sum()), width) * 0.3)
        self.register_buffer("start_J", torch.cumsum(sizes, 0) - sizes, persistent=False)
        self.binned = StackedLinear(columns, width, width)
        self.gate = StackedMLP(columns, 2 * width, max(width // 4, 4), 1)
        self.norm = StackedNorm(columns, width)
        self.start_J: Tensor

    def forward(self, batch: TokenBatch) -> Tensor:
        """Encode every number; the values of missing cells are replaced by the caller."""
        columns, n_strategies = self.strategy_SF.shape
        weight_SF = torch.softmax(self.strategy_SF, dim=-1) * n_strategies
        code_BSK = piecewise_linear(batch.position_NS)
        smooth = self.continuous(torch.cat([batch.smooth_NSF * weight_SF, code_BSK], dim=-1))
        row_S1 = torch.arange(columns, device=smooth.device).unsqueeze(-1)
        index_BSJ = batch.discrete_NSJ + self.start_J + row_S1 * self.table_SVD.shape[1]
        embedded = nn.functional.embedding(index_BSJ, self.table_SVD.flatten(0, 1)).sum(dim=2)
        binned = self.binned(nn.functional.gelu(embedded))
        mix = torch.sigmoid(self.gate(torch.cat([smooth, binned], dim=-1)))
        return self.norm(mix * smooth + (1.0 - mix) * binned)


class SetEncoder(nn.Module):
    """Learned and semantic path with a gate per cell; an unseen category takes the semantic path alone (D5.3).

    Shape: TokenBatch → (B, C, D). Boolean columns come through here as well.
    """

    def __init__(self, columns: int, vocabulary: int, semantic_VP: Tensor, width: int) -> None:
        super().__init__()
        self.learned_VD = nn.Parameter(torch.randn(vocabulary, width) * 0.5)
        self.register_buffer("semantic_VP", semantic_VP, persistent=True)
        self.semantic = StackedLinear(columns, REDUCED, width)
        self.gate = StackedMLP(columns, 2 * width, max(width // 4, 4), 1)
        with torch.no_grad():
            self.gate.second.bias_AO.fill_(math.log(LEARNED_SHARE / (1.0 - LEARNED_SHARE)))
        self.norm = StackedNorm(columns, width)
        self.semantic_VP: Tensor

    def forward(self, batch: TokenBatch) -> Tensor:
        """Encode every category."""
        vocabulary = self.learned_VD.shape[0]
        codes_BC = batch.codes_NC
        unseen_BC1 = (codes_BC >= vocabulary).unsqueeze(-1)
        table = torch.cat([self.semantic_VP, batch.extra_UP]) if len(batch.extra_UP) else None
        known = codes_BC.clamp(max=vocabulary - 1)
        learned = nn.functional.embedding(known, self.learned_VD)
        words = nn.functional.embedding(codes_BC, self.semantic_VP if table is None else table)
        semantic = self.semantic(words)
        share = torch.sigmoid(self.gate(torch.cat([learned, semantic], dim=-1)))
        share = share.masked_fill(unseen_BC1, 0.0)
        return self.norm(share * learned + (1.0 - share) * semantic)


class TimestampEncoder(nn.Module):
    """Calendar features through a residual network (D5.4). Shape: TokenBatch → (B, T, D)."""

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        self.into = StackedLinear(columns, TIME_FEATURES, 2 * width)
        self.residual = StackedMLP(columns, 2 * width, 2 * width, 2 * width)
        self.out = StackedLinear(columns, 2 * width, width)
        self.norm = StackedNorm(columns, width)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Encode every moment."""
        hidden = nn.functional.gelu(self.into(batch.time_NTF))
        return self.norm(self.out(hidden + self.residual(hidden)))


class TextEncoder(nn.Module):
    """Sentence vectors through a network per column (D5.2). Shape: TokenBatch → (B, X, D)."""

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        self.network = StackedMLP(columns, SEMANTIC, 2 * width, width)
        self.norm = StackedNorm(columns, width)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Encode every text."""
        vectors = nn.functional.embedding(batch.text_NX, batch.text_UE)
        return self.norm(self.network(vectors * math.sqrt(SEMANTIC) / 4.0))


class ColumnEncoders(nn.Module):
    """All encoders of a table side by side, missing cells replaced by a learned vector (DATA-4).

    Shape: TokenBatch → (B, A, D), columns in the tokenizer's order.
    """

    def __init__(self, tokenizer: Tokenizer, width: int) -> None:
        super().__init__()
        n_scalar, n_set, n_time, n_text = (len(group) for group in tokenizer.groups)
        self.scalar = ScalarEncoder(n_scalar, width) if n_scalar else None
        self.set = (
            SetEncoder(n_set, tokenizer.vocabulary, torch.from_numpy(tokenizer.semantic_VP), width)
            if n_set
            else None
        )
        self.timestamp = TimestampEncoder(n_time, width) if n_time else None
        self.text = TextEncoder(n_text, width) if n_text else None
        self.missing_AD = nn.Parameter(torch.randn(len(tokenizer.names), width) * 0.5)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Encode all cells of a batch."""
        parts = [
            encoder(batch)
            for encoder in (self.scalar, self.set, self.timestamp, self.text)
            if encoder is not None
        ]
        tokens_BAD = torch.cat(parts, dim=1)
        return torch.where(batch.missing_NA.unsqueeze(-1), self.missing_AD, tokens_BAD)
