"""Numbers → tokens: twenty competing strategies on a continuous and a binned path (ENC-1, D5.1).

Beside the twenty strategies the continuous path reads a piecewise-linear code of the number, which no strategy
can switch off (DESIGN, "What made the frozen embedding good", point 4).

Legend: B rows · S scalar columns · D token width · F smooth features · J discrete features · Q strategies ·
K piecewise-linear bins.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from featrix_core.encoders.scalar_codec import BINS, DISCRETE_SIZES, SMOOTH, ScalarState
from featrix_core.encoders.stacked import StackedLinear, StackedMLP, StackedNorm
from featrix_core.encoders.strategies import Strategies
from featrix_core.encoders.tokens import TokenBatch

STRATEGIES = (
    "linear",
    "log",
    "robust",
    "rank",
    "periodic",
    "bucket",
    "is_positive",
    "is_negative",
    "is_outlier",
    "zscore",
    "minmax",
    "quantile",
    "yeojohnson",
    "winsor",
    "sigmoid",
    "inverse",
    "polynomial",
    "frequency",
    "target_bin",
    "clipped_log",
)
"""The source's twenty, in its order."""
PRUNE_SHARE = 0.05
"""Strategies below this share of a column's mean weight are switched off."""
KEPT = 3
WARM_UP = 0.2
_FAVOURED = 0.25
_FEATURES_OF = {"sin": "periodic", "cos": "periodic", "square": "polynomial", "root": "polynomial"}
_DISCRETE = ("bucket", "is_positive", "is_negative", "is_outlier", "target_bin")


def starting_logits(state: ScalarState) -> list[float]:
    """Where a column's weights start, by its statistics.

    Skew favours logarithms and Yeo-Johnson, outliers robust and rank, a bounded range min-max, many zeros
    buckets and signs.
    """
    ranks = state.ranks
    mean, std, median, iqr = state.parameters[:4].tolist()
    logits = dict.fromkeys(STRATEGIES, 0.0)
    skew = abs(float((((ranks - mean) / std) ** 3).mean()))
    if skew > 1.0:
        logits |= {"log": _FAVOURED, "clipped_log": _FAVOURED, "yeojohnson": _FAVOURED}
    outliers = float((abs(ranks - median) > 3.0 * iqr).mean())
    if outliers > 0.02:
        logits |= {"robust": _FAVOURED, "rank": _FAVOURED}
    if skew < 0.5 and outliers == 0.0:
        logits |= {"minmax": _FAVOURED, "linear": _FAVOURED}
    if float((ranks == 0.0).mean()) > 0.3:
        logits |= {"bucket": _FAVOURED, "is_positive": _FAVOURED}
    return list(logits.values())


def piecewise_linear(position_BS: Tensor) -> Tensor:
    """Piecewise-linear code (B, S, K): bin k holds how far the number has passed through it, in [0, 1]."""
    knots_K = torch.arange(BINS, device=position_BS.device, dtype=position_BS.dtype)
    return (position_BS.unsqueeze(-1) - knots_K).clamp(0.0, 1.0)


class ScalarEncoder(nn.Module):
    """Continuous path (smooth features ⊕ piecewise-linear code) and binned path, mixed by a gate (D5.1).

    Shape: TokenBatch → (B, S, D).
    """

    def __init__(self, states: Sequence[ScalarState], width: int) -> None:
        super().__init__()
        columns = len(states)
        start = torch.tensor([starting_logits(state) for state in states])
        self.strategies = Strategies(start.reshape(columns, len(STRATEGIES)), KEPT)
        self.continuous = StackedMLP(columns, len(SMOOTH) + BINS, 2 * width, width)
        sizes = torch.tensor(DISCRETE_SIZES)
        self.table_SVD = nn.Parameter(torch.randn(columns, int(sizes.sum()), width) * 0.3)
        smooth_F = [STRATEGIES.index(_FEATURES_OF.get(name, name)) for name in SMOOTH]
        self.register_buffer("smooth_F", torch.tensor(smooth_F), persistent=False)
        discrete_J = [STRATEGIES.index(name) for name in _DISCRETE]
        self.register_buffer("discrete_J", torch.tensor(discrete_J), persistent=False)
        self.register_buffer("start_J", torch.cumsum(sizes, 0) - sizes, persistent=False)
        self.binned = StackedLinear(columns, width, width)
        self.gate = StackedMLP(columns, 2 * width, max(width // 4, 4), 1)
        self.norm = StackedNorm(columns, width)
        self.smooth_F: Tensor
        self.discrete_J: Tensor
        self.start_J: Tensor

    def _paths(self, batch: TokenBatch) -> tuple[Tensor, Tensor, Tensor]:
        """(continuous, binned, share of the continuous path (B, S, 1))."""
        share_SQ = self.strategies()
        # The root mean square stays one, however many strategies are left.
        weight_SQ = share_SQ / share_SQ.square().mean(-1, keepdim=True).sqrt()
        code_BSK = piecewise_linear(batch.position_NS)
        smooth_BSF = batch.smooth_NSF * weight_SQ[:, self.smooth_F]
        smooth = self.continuous(torch.cat([smooth_BSF, code_BSK], dim=-1))
        columns, size, width = self.table_SVD.shape
        row_S1 = torch.arange(columns, device=smooth.device).unsqueeze(-1)
        index_BSJ = batch.discrete_NSJ + self.start_J + row_S1 * size
        weight_BSJ = weight_SQ[:, self.discrete_J].expand(len(index_BSJ), -1, -1)
        embedded = nn.functional.embedding_bag(
            index_BSJ.flatten(0, 1),
            self.table_SVD.flatten(0, 1),
            per_sample_weights=weight_BSJ.flatten(0, 1).contiguous(),
            mode="sum",
        ).reshape(*index_BSJ.shape[:2], width)
        binned = self.binned(nn.functional.gelu(embedded))
        mix = torch.sigmoid(self.gate(torch.cat([smooth, binned], dim=-1)))
        return smooth, binned, mix

    def forward(self, batch: TokenBatch) -> Tensor:
        """Encode every number; the values of missing cells are replaced by the caller."""
        smooth, binned, mix = self._paths(batch)
        return self.norm(torch.lerp(binned, smooth, mix))

    def mature(self, progress: float, prunes: bool) -> None:
        """Sharpen the weights and, after the warm-up, switch off what hardly counts."""
        self.strategies.sharpen(progress)
        if prunes and progress >= WARM_UP:
            self.strategies.prune_below(PRUNE_SHARE)

    @torch.no_grad()
    def continuous_shares(self, batch: TokenBatch) -> Tensor:
        """Mean share of the continuous path per column (S,), over the cells that have a value."""
        present = (~batch.scalar_missing_NS).float()
        share = self._paths(batch)[2].squeeze(-1)
        return (share * present).sum(0) / present.sum(0).clamp(min=1.0)
