"""Complementary masks: what one view hides, the other shows (TRAIN-1, D8).

Legend: B rows · A columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

LOWEST, HIGHEST = 0.4, 0.6
"""Share of columns that the first of two complementary views hides."""
SINGLE = 0.05
"""Share of rows whose first view shows one column only (mutual information, TRAIN-8)."""


def complementary_masks(missing_BA: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two disjoint masks (B, A), True where hidden.

    A row's columns are parted in two, 40–60 % against the rest, and each view hides its part. How much of
    its part it hides is then drawn per row from U(0, 1), so that the hidden share spreads over 0–60 %:
    that is the mask rate which measured best for the frozen embedding (DESIGN, "Settings that gave it").
    Rows with many missing cells are hidden less, in proportion to the cells that they have.
    """
    rows, columns = missing_BA.shape
    share = torch.empty(rows, 1).uniform_(LOWEST, HIGHEST, generator=generator)
    intensity = torch.rand(rows, 2, generator=generator)
    intensity = intensity * (1.0 - missing_BA.float().mean(dim=1, keepdim=True).cpu())
    side = torch.rand(rows, columns, generator=generator) < share
    keep = torch.rand(rows, columns, generator=generator)
    first = side & (keep < intensity[:, :1])
    second = ~side & (keep < intensity[:, 1:])
    # Some rows show a single column, so that what one column tells about another can be read off later.
    alone = torch.rand(rows, 1, generator=generator) < SINGLE
    single = keep == keep.max(dim=1, keepdim=True).values
    return torch.where(alone, ~single, first), torch.where(alone, single, second)
