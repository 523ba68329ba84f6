"""Whether the embeddings of different rows differ: the figures of collapse detection (TRAIN-4, D11).

Legend: N rows · B rows of the sample · M row width · L learned part of it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from featrix_core.encoders.tokens import FAMILY_OF, TokenBatch

HEALTH_ROWS = 64
"""Rows that health is measured on: an encoding of them costs about a hundredth of a small table's epoch."""
SEEN_ROWS = 256


def embedding_health(rows_BM: Tensor, learned: int) -> dict[str, float]:
    """Deviation, range and mean distance of unit vectors, for the limits 0.01, 0.1 and 0.1 of D11.

    A unit vector's coordinates are small because there are many: spread evenly, rows of width M deviate by
    1/√M (0.04 for 512). So the deviation is the root of the variance's mean over the coordinates, which no
    rotation of the space changes, and the range that of the widest coordinate: an average over coordinates
    would read low for a healthy space that lies along a few of them.

    Args:
        rows_BM: embeddings of different rows.
        learned: how many of the first coordinates are trained. The rest, fixed random features and products of
            columns, differ whatever becomes of the weights and would hide a collapse; the learned part is looked
            at alone, brought back to unit length.

    Returns:
        `embedding_std`, `embedding_range` and `embedding_distance` (Euclidean, mean over pairs of rows);
        nothing where there are fewer than two rows to compare.
    """
    if len(rows_BM) < 2:
        return {}
    rows_BL = torch.nn.functional.normalize(rows_BM.detach().float()[:, :learned], dim=-1)
    variance_L = rows_BL.var(dim=0, unbiased=False)
    width_L = rows_BL.amax(dim=0) - rows_BL.amin(dim=0)
    return {
        "embedding_std": float(variance_L.mean().sqrt()),
        "embedding_range": float(width_L.max()),
        "embedding_distance": float(torch.pdist(rows_BL).mean()),
    }


def distinct_rows(batch: TokenBatch, most: int = HEALTH_ROWS) -> Tensor:
    """Numbers of at most `most` rows, no two of them alike, spread over the table; int64, ascending.

    Rows that are alike are embedded alike: on a table of nearly equal rows they would read as a collapse.
    """
    step = max(1, batch.n_rows // SEEN_ROWS)
    seen = torch.arange(0, batch.n_rows, step)
    parts = batch.rows(seen.to(batch.codes_NC.device))
    cells = torch.cat([getattr(parts, name).flatten(1).double() for name in FAMILY_OF], dim=1)
    _, kind_N = torch.unique(cells, dim=0, return_inverse=True)
    # The first row of every kind, in the table's order.
    first_K = torch.full((int(kind_N.max()) + 1,), len(seen)).scatter_reduce(
        0, kind_N.cpu(), torch.arange(len(seen)), "amin"
    )
    chosen = seen[first_K.sort().values]
    return chosen[torch.linspace(0, len(chosen) - 1, min(most, len(chosen))).long()]
