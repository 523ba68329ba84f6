"""Main axes of the row embedding: what the short vector shows (D15).

The short vector is the row's place along the three main axes of the training rows, on the sphere again. The
row itself is not turned to them: what matters most would then stand in three coordinates of several hundred,
and whoever standardises the columns of an embedding would hardly see it any more, least of all with few labels.

Legend: N rows · M row width.
"""

from __future__ import annotations

import torch
from torch import Tensor

SHOWN = 3
"""Dimensions of the short vector."""


def main_axes(rows_NM: Tensor) -> Tensor:
    """The rows' three main axes (M, 3), the strongest first."""
    centred = (rows_NM - rows_NM.mean(dim=0)).double()
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    axes = vectors.flip(1)[:, :SHOWN]
    # A direction's sign is arbitrary: fix it, so that the same rows give the same picture.
    signs = axes[axes.abs().argmax(dim=0), torch.arange(axes.shape[1])].sign()
    return (axes * signs).float()
