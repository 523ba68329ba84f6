"""Joint encoder: column tokens → contextual tokens and one vector per row on the unit sphere (JOINT-1, D6, D7).

Legend: B rows · A columns · D token width · M row width (`d_model`) · L learned part of the row ·
F random features · H heads · Q active pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from featrix_core.encoders.stacked import StackedLinear, StackedNorm
from featrix_core.space.relationships import PairProducts

RANDOM_FEATURES = 256
"""Numbers of a row that are random features of its columns, at most half of it."""

PRODUCT_WIDTH, PRODUCT_LENGTH = 64, 0.5
"""Numbers of a row that hold products of columns (at most an eighth of it), and their length; that of the other parts
is 1."""


class Attention(nn.Module):
    """Multi-head attention of the asking places over everything that is read.

    Shape: asking (B, Q, D), read (B, L, D) → (B, Q, D).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def _split(self, x: Tensor) -> Tensor:
        rows, length, width = x.shape
        return x.view(rows, length, self.heads, width // self.heads).transpose(1, 2)

    def forward(self, asking_BQD: Tensor, read_BLD: Tensor) -> Tensor:
        """Attend; a single asking place takes a way that never computes keys and values."""
        if asking_BQD.shape[1] == 1:
            return self._ask_once(asking_BQD[:, 0], read_BLD).unsqueeze(1)
        key, value = self.key_value(read_BLD).chunk(2, dim=-1)
        mixed = nn.functional.scaled_dot_product_attention(
            self._split(self.query(asking_BQD)), self._split(key), self._split(value)
        )
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _ask_once(self, asking_BD: Tensor, read_BLD: Tensor) -> Tensor:
        """The same for one place: its query is taken to the tokens, not every token to a key.

        `q·(K x) = (Kᵀq)·x` and `Σ aₗ(V xₗ) = V(Σ aₗ xₗ)`: two thin products per head instead of two
        projections of the whole sequence. The key's bias moves all scores of a head alike and drops out.
        """
        rows, width = asking_BD.shape
        depth = width // self.heads
        key_HED, value_HED = self.key_value.weight.view(2, self.heads, depth, width)
        query_BHE = self.query(asking_BD).view(rows, self.heads, depth) / math.sqrt(depth)
        taken_BHD = torch.einsum("bhe,hed->bhd", query_BHE, key_HED)
        share_BHL = torch.softmax(taken_BHD @ read_BLD.transpose(1, 2), dim=-1)
        mixed_BHE = torch.einsum("bhd,hed->bhe", share_BHL @ read_BLD, value_HED)
        said_BD: Tensor = self.out(mixed_BHE.flatten(1) + self.key_value.bias[width:])
        return said_BD


class Block(nn.Module):
    """Pre-norm transformer block: the asking places read themselves and the others.

    Shape: asking (B, Q, D), others (B, L, D) or None → (B, Q, D).
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_feed = nn.LayerNorm(width)
        self.feed = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, asking_BQD: Tensor, others_BLD: Tensor | None) -> Tensor:
        """One round of attention and feed-forward for the asking places."""
        read_BLD = normed_BQD = self.norm_attention(asking_BQD)
        if others_BLD is not None:
            read_BLD = torch.cat([normed_BQD, self.norm_attention(others_BLD)], dim=1)
        said_BQD = self.attention(normed_BQD, read_BLD)
        asking_BQD = asking_BQD + self.dropout(said_BQD)
        return asking_BQD + self.dropout(self.feed(self.norm_feed(asking_BQD)))


class Group(NamedTuple):
    """A hybrid group (DATA-9): places of its columns, and whether they share one token."""

    columns: tuple[int, ...]
    merged: bool


class Encoded(NamedTuple):
    """row_BM on the unit sphere; context_BAD after the transformer (B, 0, D if not asked for); cls_BD."""

    row_BM: Tensor
    context_BAD: Tensor
    cls_BD: Tensor


class RandomFeatures(nn.Module):
    """Fixed random features of all columns together: what a straight line can read interactions from.

    `gelu(weight · columns)`, drawn once and never trained (random kitchen sinks): reconstruction has no use for
    much of what columns say jointly, so a trained part would give it up. Unit length.

    Shape: tokens (B, A, D) → (B, F).
    """

    def __init__(self, columns: int, width: int, features: int) -> None:
        super().__init__()
        bound = math.sqrt(1.0 / width)
        weight_ADF = torch.empty(columns, width, features).uniform_(-bound, bound)
        self.register_buffer("weight_ADF", weight_ADF)
        self.weight_ADF: Tensor

    def forward(self, tokens_BAD: Tensor, scale: Tensor) -> Tensor:
        """Features of every row; `scale` keeps the sum over columns at the size of one column."""
        sum_BF = tokens_BAD.flatten(1) @ self.weight_ADF.flatten(0, 1) * scale
        return nn.functional.normalize(nn.functional.gelu(sum_BF), dim=-1)


class JointEncoder(nn.Module):
    """In-converters, column and group embeddings, CLS, transformer, output converter.

    Columns of a merged group enter the transformer as one token, the scaled sum of their converted tokens;
    columns of other groups keep their own and share a group embedding (DATA-9).

    A row has three parts, each of a length of its own: `L2norm(W₁·LN(CLS) + W₂·flatten(columns))`, whose second
    term is the skip of the raw column encodings (DESIGN, "What is known about quality", point 2); fixed
    `RandomFeatures` of the columns, as long; and `PairProducts` of the active pairs, half as
    long. Added to the first part instead, products take the room of what a straight line reads best.

    The row embedding needs the last block's CLS alone. Without `context` that block is computed for CLS
    only, which saves most of the transformer's cost on a wide table; the row is the same.

    Shape: tokens (B, A, D), hidden_BA bool (masked cells), pairs (Q, 2) → Encoded.
    """

    def __init__(
        self,
        columns: int,
        width: int,
        d_model: int,
        layers: int,
        heads: int,
        dropout: float,
        groups: Sequence[Group] = (),
    ) -> None:
        super().__init__()
        self.convert = StackedLinear(columns, width, width)
        self.convert_norm = StackedNorm(columns, width)
        self.column_AD = nn.Parameter(torch.randn(columns, width) * 0.2)
        self.hidden_AD = nn.Parameter(torch.randn(columns, width) * 0.2)
        self.cls_D = nn.Parameter(torch.randn(width) / math.sqrt(width))
        self.group_GD = nn.Parameter(torch.randn(len(groups), width) * 0.1)
        slot_A, share_A, group_A = _places(columns, groups)
        self.slots = int(slot_A.max()) + 1 if columns else 0
        self.register_buffer("slot_A", slot_A, persistent=False)
        self.register_buffer("share_A", share_A, persistent=False)
        self.register_buffer("group_A", group_A, persistent=False)
        self.slot_A: Tensor
        self.share_A: Tensor
        self.group_A: Tensor
        # Switched on when memory runs out (TRAIN-3, `training/recovery.py`).
        self.recompute = False
        self.blocks = nn.ModuleList([Block(width, heads, dropout) for _ in range(layers)])
        random, products = min(RANDOM_FEATURES, d_model // 2), min(PRODUCT_WIDTH, d_model // 8)
        learned = d_model - random - products
        self.cls_norm = nn.LayerNorm(width)
        self.cls_out = nn.Linear(width, learned)
        self.skip = StackedLinear(columns, width, learned)
        self.products = PairProducts(columns, width, products)
        self.random = RandomFeatures(columns, width, random)
        # A buffer, so that an extended space scales its old columns as before.
        self.register_buffer("skip_scale", torch.tensor(1.0 / math.sqrt(max(columns, 1))))
        self.skip_scale: Tensor

    def forward(
        self,
        tokens_BAD: Tensor,
        hidden_BA: Tensor | None,
        pairs_Q2: Tensor,
        *,
        context: bool = True,
    ) -> Encoded:
        """Encode a batch; hidden cells show their column's mask vector instead of their value.

        `hidden_BA` may hold several views of the same rows, one after the other; so does the result then.
        """
        tokens = self.convert_norm(tokens_BAD + self.convert(tokens_BAD))
        if hidden_BA is not None:
            hidden_VBA = hidden_BA.view(-1, *tokens.shape[:2])
            tokens = torch.where(hidden_VBA.unsqueeze(-1), self.hidden_AD, tokens).flatten(0, 1)
        placed = tokens + self.column_AD
        if len(self.group_GD):
            none_1D = self.group_GD.new_zeros(1, self.group_GD.shape[1])
            placed = placed + torch.cat([none_1D, self.group_GD])[self.group_A]
        cls_B1D, context_BAD = self.cls_D.expand(len(tokens), 1, -1), self._gather(placed)
        for number, block in enumerate(self.blocks, start=1):
            if number == len(self.blocks) and not context:
                cls_B1D = self._run(block, cls_B1D, context_BAD)
                context_BAD = context_BAD[:, :0]
            else:
                x_BLD = self._run(block, torch.cat([cls_B1D, context_BAD], dim=1), None)
                cls_B1D, context_BAD = x_BLD[:, :1], x_BLD[:, 1:]
        if context and self.slots < tokens.shape[1]:
            # Merged columns share what the transformer says and differ in what they are.
            context_BAD = context_BAD[:, self.slot_A] + placed * (self.share_A < 1.0).unsqueeze(-1)
        cls_BD = self.cls_norm(cls_B1D[:, 0])
        # Sum over columns of each column's own map: one product over the flattened (A, D) axis.
        skip_BL = tokens.flatten(1) @ self.skip.weight_AIO.flatten(0, 1)
        skip_BL = skip_BL + self.skip.bias_AO.sum(0)
        learned_BL = self.cls_out(cls_BD) + skip_BL * self.skip_scale
        parts = (
            nn.functional.normalize(learned_BL, dim=-1),
            self.random(tokens, self.skip_scale),
            self.products(tokens, pairs_Q2) * PRODUCT_LENGTH,
        )
        row_BM = nn.functional.normalize(torch.cat(parts, dim=-1), dim=-1)
        return Encoded(row_BM, context_BAD, cls_BD)

    def _run(self, block: nn.Module, asking: Tensor, others: Tensor | None) -> Tensor:
        """A block; with `recompute` its insides are computed again on the way back instead of being kept."""
        if self.recompute and torch.is_grad_enabled():
            said: Tensor = checkpoint(block, asking, others, use_reentrant=False)
            return said
        said = block(asking, others)
        return said

    def _gather(self, placed_BAD: Tensor) -> Tensor:
        """The transformer's sequence: one token per column, or per merged group."""
        if self.slots == placed_BAD.shape[1]:
            return placed_BAD
        rows, _, width = placed_BAD.shape
        merged = placed_BAD.new_zeros(rows, self.slots, width)
        return merged.index_add(1, self.slot_A, placed_BAD * self.share_A.unsqueeze(-1))


def _places(columns: int, groups: Sequence[Group]) -> tuple[Tensor, Tensor, Tensor]:
    """Per column its place in the sequence, its share of that token, and its group (0: none)."""
    group_A = torch.zeros(columns, dtype=torch.int64)
    share_A = torch.ones(columns)
    leader = list(range(columns))
    for number, group in enumerate(groups, start=1):
        group_A[list(group.columns)] = number
        if group.merged:
            share_A[list(group.columns)] = 1.0 / math.sqrt(len(group.columns))
            for column in group.columns:
                leader[column] = min(group.columns)
    order = {column: slot for slot, column in enumerate(sorted(set(leader)))}
    return torch.tensor([order[c] for c in leader], dtype=torch.int64), share_A, group_A
