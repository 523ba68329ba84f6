"""Mutual information between columns in bits, from what the space itself can predict (TRAIN-8).

Legend: N rows · A columns · S, C, T, X columns per type · W classes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from featrix_core.encoders.scalar_codec import BUCKETS
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.space.losses import adaptive_temperature, marginal_losses
from featrix_core.space.model import SpaceModel

ROWS, LEAST_ROWS, CELLS = 1024, 256, 32_768
SHRINKAGE = (0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0)
"""How far a prediction is believed against the column's own frequencies; the best is taken per pair."""


def judged_rows(columns: int) -> int:
    """Rows that the matrix is computed from: a pass per column over all of them, so the wider the table the fewer."""
    return min(ROWS, max(LEAST_ROWS, CELLS // max(columns, 1)))


def _shrunk_nats(logits_NAW: Tensor, class_NA: Tensor) -> Tensor:
    """Cross-entropy (A,) of predictions drawn towards the frequencies as far as is best for each column.

    A space that saw few rows is too sure of what one column tells about another; without the shrinkage
    its log loss would exceed the entropy, and no information would be left.
    """
    if not class_NA.shape[1]:
        return torch.zeros(0)
    counts = nn.functional.one_hot(class_NA, logits_NAW.shape[-1]).sum(dim=0).float()
    share_AW = ((counts + 0.5) / (counts + 0.5).sum(dim=1, keepdim=True)).log()
    usable = torch.isfinite(logits_NAW)
    own = torch.where(usable, logits_NAW - torch.logsumexp(logits_NAW, -1, keepdim=True), 0.0)
    options = []
    for belief in SHRINKAGE:
        mixed = (belief * own + (1.0 - belief) * share_AW).masked_fill(~usable, float("-inf"))
        nats = nn.functional.cross_entropy(mixed.transpose(1, 2), class_NA, reduction="none")
        options.append(nats.mean(dim=0))
    return torch.stack(options).min(dim=0).values


def _entropy(class_NA: Tensor, classes: int) -> Tensor:
    """Entropy in nats (A,) of each column's class frequencies."""
    counts = nn.functional.one_hot(class_NA, classes).sum(dim=0).double()
    share = counts / counts.sum(dim=1, keepdim=True)
    return -(share * share.clamp(min=1e-12).log()).sum(dim=1).float()


@torch.no_grad()
def mutual_information_matrix(model: SpaceModel, rows: TokenBatch) -> Tensor:
    """(A, A) bits: entry [i, j] is what column i alone tells the space about column j.

    Numbers (their buckets) and categories: entropy of j minus the cross-entropy of predicting j with
    every column but i hidden, predictions shrunk towards the frequencies of j. Timestamps and texts:
    `(log batch − InfoNCE)/ln 2` of D9. It is what this space makes of i, not a symmetric plug-in
    estimate; values are clamped at zero.
    """
    model.eval()
    judged = min(judged_rows(len(model.joint.column_AD)), rows.n_rows)
    # Spread over all rows: a file may be sorted.
    batch = rows.rows(torch.arange(judged) * rows.n_rows // max(judged, 1))
    bucket_NS, class_NC = model.decoders.targets(batch)
    tokens_NAD = model.encoders(batch)
    count, columns = tokens_NAD.shape[:2]
    n_scalar, n_set = bucket_NS.shape[1], class_NC.shape[1]
    entropy = torch.cat(
        [
            _entropy(bucket_NS, BUCKETS + 1),
            _entropy(class_NC, max(model.decoders.set_bias_CW.shape[1], 1)),
        ]
    )
    temperature = adaptive_temperature(count, columns)
    bits_AA = torch.zeros(columns, columns)
    for i in range(columns):
        hidden = torch.ones(columns, dtype=torch.bool)
        hidden[i] = False
        row = model.rows_of(tokens_NAD, hidden.expand(count, -1))
        bucket, sets = model.decoders.logits(row)
        nats = torch.cat([_shrunk_nats(bucket, bucket_NS), _shrunk_nats(sets, class_NC)])
        bits_AA[i, : n_scalar + n_set] = (entropy - nats) / math.log(2)
        if n_scalar + n_set < columns:
            other = marginal_losses(model.predict_tokens(row), tokens_NAD, temperature)
            bits_AA[i, n_scalar + n_set :] = (
                math.log(max(count, 2)) - other[n_scalar + n_set :]
            ) / math.log(2)
    return bits_AA.clamp(min=0.0)
