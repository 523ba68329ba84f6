"""Do attention heads differ from one another? (JOINT-5, D6 "Attention Head Diversity", D7)

What a head looks at is decided by its query and key weights together: a query row x and a key row y score
`[x, 1] · [Wq, bq]ᵀ Wk · y` (the key's bias moves all scores of a query alike, so softmax drops it). Two heads
are compared by the cosine of these forms. Unlike a cosine of the bare weights this does not change when a
head's own axes are turned, so a copy in other axes is still seen as a copy.

Legend: H heads · D token width · X token width and a one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from featrix_core.space.joint_encoder import Attention

DETAIL_EVERY = 10
"""Epochs between two entries that name the pairs of heads."""
MODERATE, REDUNDANT, HIGH = 0.5, 0.7, 0.8
"""Average similarity from which on (MODERATE) or above which (the others) a status holds."""


def status_of(similarity: float) -> str:
    """The band of an average similarity: DIVERSE, MODERATE, REDUNDANT or HIGH."""
    if similarity > HIGH:
        return "HIGH"
    if similarity > REDUNDANT:
        return "REDUNDANT"
    return "DIVERSE" if similarity < MODERATE else "MODERATE"


@torch.no_grad()
def head_similarity(attention: Attention) -> Tensor:
    """Cosine between what every two heads look at, (H, H), symmetric, ones on the diagonal."""
    heads, width = attention.heads, attention.query.weight.shape[1]
    query_DX = torch.cat([attention.query.weight, attention.query.bias.unsqueeze(1)], 1).double()
    key_DD = attention.key_value.weight[:width].double()
    # <Qᵢᵀ Kᵢ, Qⱼᵀ Kⱼ> is the sum over QᵢQⱼᵀ ∘ KᵢKⱼᵀ: the forms themselves are never made.
    both_DD = (query_DX @ query_DX.T) * (key_DD @ key_DD.T)
    inner_HH = both_DD.view(heads, -1, heads, width // heads).sum(dim=(1, 3))
    size_H = inner_HH.diagonal().clamp_min(1e-30).sqrt()
    return inner_HH / torch.outer(size_H, size_H)


def head_diversity(model: nn.Module, epoch: int) -> dict[str, Any] | None:
    """The entry of one epoch's timeline, over all attention blocks of `model`; None without two heads.

    `average_similarity`, `diversity` (1 − average) and `status` in every epoch; every tenth one also the
    smallest and largest similarity, the pairs of heads above 0.7, and advice where heads are redundant.
    """
    blocks = [m for m in model.modules() if isinstance(m, Attention) and m.heads > 1]
    if not blocks:
        return None
    pairs = [
        (block, one, other)
        for block, attention in enumerate(blocks)
        for one in range(attention.heads)
        for other in range(one + 1, attention.heads)
    ]
    upper = [torch.triu_indices(b.heads, b.heads, 1).unbind() for b in blocks]
    found = torch.cat([head_similarity(b)[at] for b, at in zip(blocks, upper, strict=True)])
    values: list[float] = found.tolist()
    average = sum(values) / len(values)
    entry: dict[str, Any] = {
        "average_similarity": average,
        "diversity": 1.0 - average,
        "status": status_of(average),
    }
    if epoch % DETAIL_EVERY == 0:
        redundant = [
            {"block": block, "heads": [one, other], "similarity": value}
            for (block, one, other), value in zip(pairs, values, strict=True)
            if value > REDUNDANT
        ]
        entry |= {"min": min(values), "max": max(values), "redundant_pairs": redundant}
        entry["advice"] = _advice(entry["status"], len(redundant), len(values), blocks[0].heads)
    return entry


def _advice(status: str, redundant: int, pairs: int, heads: int) -> str:
    if status == "HIGH":
        return f"Heads repeat one another: try {2 * heads} heads instead of {heads}"
    if status == "REDUNDANT":
        return f"Heads overlap: try more than {heads} of them"
    if redundant:
        return f"{redundant} of {pairs} pairs of heads look at the same; the others differ"
    return ""
