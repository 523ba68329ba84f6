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

    def forward(self, in_BAI: Tensor) -> Tensor:
        """Apply every column's own linear map."""
        out_ABO = torch.bmm(in_BAI.transpose(0, 1), self.weight_AIO)
        return out_ABO.transpose(0, 1) + self.bias_AO


class StackedMLP(nn.Module):
    """Two stacked linear layers with GELU between. Shape: (B, A, I) → (B, A, O)."""

    def __init__(self, columns: int, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.first = StackedLinear(columns, inputs, hidden)
        self.second = StackedLinear(columns, hidden, outputs)

    def forward(self, in_BAI: Tensor) -> Tensor:
        """Apply every column's own two-layer network."""
        return self.second(nn.functional.gelu(self.first(in_BAI)))


class StackedNorm(nn.Module):
    """Layer norm over the last dimension with a gain and bias per column. Shape: (B, A, O) → same."""

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        self.gain_AO = nn.Parameter(torch.ones(columns, width))
        self.bias_AO = nn.Parameter(torch.zeros(columns, width))

    def forward(self, in_BAO: Tensor) -> Tensor:
        """Normalise each token."""
        normed = nn.functional.layer_norm(in_BAO, in_BAO.shape[-1:])
        return normed * self.gain_AO + self.bias_AO
