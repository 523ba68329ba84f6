"""Timestamps → tokens (ENC-4, D5.4).

Legend: B rows · T timestamp columns · D token width.
"""

from __future__ import annotations

from torch import Tensor, nn

from featrix_core.encoders.stacked import StackedLinear, StackedMLP, StackedNorm
from featrix_core.encoders.timestamp_codec import FEATURES
from featrix_core.encoders.tokens import TokenBatch


class TimestampEncoder(nn.Module):
    """Calendar features through a residual network. Shape: TokenBatch → (B, T, D)."""

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        self.into = StackedLinear(columns, FEATURES, 2 * width)
        self.residual = StackedMLP(columns, 2 * width, 2 * width, 2 * width)
        self.out = StackedLinear(columns, 2 * width, width)
        self.norm = StackedNorm(columns, width)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Encode every moment."""
        hidden = nn.functional.gelu(self.into(batch.time_NTF))
        return self.norm(self.out(hidden + self.residual(hidden)))
