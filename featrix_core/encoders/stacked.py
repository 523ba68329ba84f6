"""Layers that hold one set of weights per column and apply them all at once (ENC-6).

Legend: B rows · A columns · I inputs · O outputs. Parameters carry the column axis A in front; a column
more is a row more on that axis, which is also how a space is extended.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class StackedLinear(nn.Module):
    """`out_BAO = in_BAI @ weight_AIO + bias_AO`, one batched product for all columns.

    Shape: (B, A, I) → (B, A, O); A may be 0.
    """

    def __init__(self, columns: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(max(inputs, 1))
        self.weight_AIO = nn.Parameter(torch.empty(columns, inputs, outputs))
        self.bias_AO = nn.Parameter(torch.zeros(columns, outputs))
        with torch.no_grad():
            self.weight_AIO.uniform_(-bound, bound)

    def forward(self, in_BAI: Tensor, columns: Tensor | None = None) -> Tensor:
        """Apply every column's own linear map; `columns` says whose inputs these are, all by default."""
        weight: Tensor = self.weight_AIO
        bias: Tensor = self.bias_AO
        if columns is not None:
            weight, bias = weight[columns], bias[columns]
        return torch.baddbmm(bias.unsqueeze(1), in_BAI.transpose(0, 1), weight).transpose(0, 1)


class StackedMLP(nn.Module):
    """Two stacked linear layers with GELU between. Shape: (B, A, I) → (B, A, O)."""

    def __init__(self, columns: int, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.first = StackedLinear(columns, inputs, hidden)
        self.second = StackedLinear(columns, hidden, outputs)

    def forward(self, in_BAI: Tensor, columns: Tensor | None = None) -> Tensor:
        """Apply every column's own two-layer network."""
        return self.second(nn.functional.gelu(self.first(in_BAI, columns)), columns)


class StackedNorm(nn.Module):
    """Layer norm over the last dimension with a gain and bias per column. Shape: (B, A, O) → same."""

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        self.gain_AO = nn.Parameter(torch.ones(columns, width))
        self.bias_AO = nn.Parameter(torch.zeros(columns, width))

    def forward(self, in_BAO: Tensor) -> Tensor:
        """Normalise each token."""
        normed = nn.functional.layer_norm(in_BAO, in_BAO.shape[-1:])
        return torch.addcmul(self.bias_AO, normed, self.gain_AO)


class StackedAttentionPool(nn.Module):
    """Self-attention over a short sequence in every cell, then attention pooling with a learned query.

    Places are marked by position embeddings, because the order of parts matters. Places that are not
    `present` are not read (the first is always, so that an empty cell has something to read).

    Shape: (B, A, L, W), present (B, A, L) → (B, A, W).
    """

    def __init__(self, columns: int, length: int, width: int, layers: int) -> None:
        super().__init__()
        self.position_ALW = nn.Parameter(torch.randn(columns, length, width) * 0.2)
        self.query_key_value = nn.ModuleList(
            [StackedLinear(columns, width, 3 * width) for _ in range(layers)]
        )
        self.out = nn.ModuleList([StackedLinear(columns, width, width) for _ in range(layers)])
        self.pool_AW = nn.Parameter(torch.randn(columns, width) / math.sqrt(width))

    def forward(self, in_BALW: Tensor, present_BAL: Tensor, columns: Tensor) -> Tensor:
        """Pool the sequences of the given columns."""
        rows, count, length, width = in_BALW.shape
        readable = present_BAL.clone()
        readable[..., 0] = True
        x = in_BALW + self.position_ALW[columns]
        for project, out in zip(self.query_key_value, self.out, strict=True):
            flat = nn.functional.layer_norm(x, (width,)).transpose(1, 2).reshape(-1, count, width)
            mixed = project(flat, columns).reshape(rows, length, count, 3 * width).transpose(1, 2)
            query, key, value = mixed.chunk(3, dim=-1)
            read = nn.functional.scaled_dot_product_attention(
                query, key, value, attn_mask=readable.unsqueeze(2)
            )
            read = read.transpose(1, 2).reshape(-1, count, width)
            x = x + out(read, columns).reshape(rows, length, count, width).transpose(1, 2)
        score = (x * self.pool_AW[columns].unsqueeze(1)).sum(-1)
        share = torch.softmax(score.masked_fill(~readable, float("-inf")), dim=-1)
        return (share.unsqueeze(-1) * x).sum(dim=2)
