"""Composite cells and vectors → tokens (ENC-5, D5.5).

Legend: B rows · Y composite, R vector columns · I pieces · E sentence width · Q categories · G figures ·
W piece width · H vector width · D token width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from featrix_core.encoders.composite_codec import CATEGORIES, FIGURES, PIECES, VOCABULARY
from featrix_core.encoders.sentences import SCALE as SENTENCE_SCALE
from featrix_core.encoders.sentences import WIDTH
from featrix_core.encoders.stacked import StackedLinear, StackedMLP, StackedNorm
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.encoders.vector_codec import WIDTH as VECTOR_WIDTH

PIECE_WIDTH = 32
CATEGORY_WIDTH = 8


class CompositeEncoder(nn.Module):
    """Every piece's sentence vector and every category's embedding, side by side, through a network.

    Shape: TokenBatch → (B, Y, D).
    """

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(WIDTH)
        self.piece_YIEW = nn.Parameter(
            torch.empty(columns, PIECES, WIDTH, PIECE_WIDTH).uniform_(-bound, bound)
        )
        self.category_YJW = nn.Parameter(
            torch.randn(columns, CATEGORIES * VOCABULARY, CATEGORY_WIDTH) * 0.3
        )
        inputs = PIECES * PIECE_WIDTH + CATEGORIES * CATEGORY_WIDTH + FIGURES
        self.network = StackedMLP(columns, inputs, 2 * width, width)
        self.norm = StackedNorm(columns, width)
        slot_Q = torch.arange(CATEGORIES) * VOCABULARY
        self.register_buffer("slot_Q", slot_Q, persistent=False)
        self.slot_Q: Tensor

    def forward(self, batch: TokenBatch) -> Tensor:
        """Encode every composite cell."""
        columns = self.piece_YIEW.shape[0]
        vectors = nn.functional.embedding(batch.piece_NYI, batch.text_UE) * SENTENCE_SCALE
        pieces = torch.einsum("byie,yiew->byiw", vectors, self.piece_YIEW).flatten(2)
        size = self.category_YJW.shape[1]
        start_Y1 = (torch.arange(columns, device=pieces.device) * size).unsqueeze(-1)
        index_BYQ = batch.class_NYQ + self.slot_Q + start_Y1
        categories = nn.functional.embedding(index_BYQ, self.category_YJW.flatten(0, 1)).flatten(2)
        return self.norm(self.network(torch.cat([pieces, categories, batch.figure_NYG], dim=-1)))


class VectorEncoder(nn.Module):
    """Vectors of another model, or of a child space, through a network with a linear skip.

    Shape: TokenBatch → (B, R, D).
    """

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        self.linear = StackedLinear(columns, VECTOR_WIDTH, width)
        self.network = StackedMLP(columns, VECTOR_WIDTH, 2 * width, width)
        self.norm = StackedNorm(columns, width)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Encode every vector."""
        return self.norm(self.linear(batch.vector_NRH) + self.network(batch.vector_NRH))
