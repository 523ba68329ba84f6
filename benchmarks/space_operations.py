"""Other forms of relationships, which the product of projections is measured against (JOINT-2).

The source's eight operations on every active pair: each in the product's place, all eight together, and as eight
tokens per pair that the transformer reads in its sequence.

Legend: B rows · A columns · Q pairs · K products · D token width · R = 8 operations.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.space_replace import Change, replaced

Operation = Callable[[Tensor, Tensor], Tensor]
EPSILON, LIMIT = 0.1, 8.0
COSINE_OF = 8
TOKENS = "eight tokens per pair in the sequence"
EIGHT = "all eight operations"


def _divide(top: Tensor, bottom: Tensor) -> Tensor:
    sign = torch.where(bottom < 0, -1.0, 1.0)
    return (top / (sign * (bottom.abs() + EPSILON))).clamp(-LIMIT, LIMIT)


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    """Of every group of eight numbers one cosine: a single one for all is lost when they are normalised."""
    parts = max(1, a.shape[-1] // COSINE_OF)
    first, second = (side.reshape(*side.shape[:-1], parts, -1) for side in (a, b))
    cosine = nn.functional.cosine_similarity(first, second, dim=-1)
    return cosine.repeat_interleave(a.shape[-1] // parts, dim=-1)


OPERATIONS: dict[str, Operation] = {
    "product": lambda a, b: a * b,
    "sum": lambda a, b: a + b,
    "absolute difference": lambda a, b: (a - b).abs(),
    "cosine": _cosine,
    "difference": lambda a, b: a - b,
    "reverse difference": lambda a, b: b - a,
    "ratio": _divide,
    "reverse ratio": lambda a, b: _divide(b, a),
}


def _pooled(operations: tuple[str, ...], factors_BAK: Tensor, pairs_Q2: Tensor) -> Tensor:
    """Operations on all pairs, summed over pairs; each of several operations gets a share of the K numbers."""
    parts = factors_BAK.chunk(len(operations), dim=-1)
    summed = []
    for name, part_BAP in zip(operations, parts, strict=True):
        a, b = part_BAP[:, pairs_Q2[:, 0]], part_BAP[:, pairs_Q2[:, 1]]
        summed.append(OPERATIONS[name](a, b).sum(1))
    return torch.cat(summed, dim=-1)


class _Tokens(nn.Module):
    """(B, A, D), pairs (Q, 2) → (B, Q·R, D): every operation with a projection and a vector of its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        count = len(OPERATIONS)
        self.project_RDD = nn.Parameter(torch.randn(count, width, width) / math.sqrt(width))
        self.operation_RD = nn.Parameter(torch.randn(count, width) * 0.1)

    def forward(self, tokens_BAD: Tensor, pairs_Q2: Tensor) -> Tensor:
        a, b = tokens_BAD[:, pairs_Q2[:, 0]], tokens_BAD[:, pairs_Q2[:, 1]]
        raw_RBQD = torch.stack([operation(a, b) for operation in OPERATIONS.values()])
        said = torch.einsum("rbqd,rde->bqre", raw_RBQD, self.project_RDD) + self.operation_RD
        return said.flatten(1, 2)


@contextlib.contextmanager
def _read_as_tokens() -> Iterator[None]:
    """Nothing of the products; the transformer's sequence holds eight tokens for each active pair."""
    from featrix_core.space.joint_encoder import JointEncoder

    make, run, gather = JointEncoder.__init__, JointEncoder.forward, JointEncoder._gather

    def __init__(self: Any, columns: int, width: int, *rest: Any, **named: Any) -> None:
        make(self, columns, width, *rest, **named)
        self.relations = _Tokens(width)

    def forward(
        self: Any, tokens: Tensor, hidden: Tensor | None, pairs: Tensor, **named: Any
    ) -> Any:
        self.read = pairs
        return run(self, tokens, hidden, pairs[:0], **named)

    def _gather(self: Any, placed_BAD: Tensor) -> Tensor:
        own = gather(self, placed_BAD)
        if not len(self.read):
            return own
        return torch.cat([own, self.relations(placed_BAD, self.read)], dim=1)

    joint = "featrix_core.space.joint_encoder:JointEncoder"
    with (
        replaced(joint, "__init__", __init__),
        replaced(joint, "forward", forward),
        replaced(joint, "_gather", _gather),
    ):
        yield


def forms() -> dict[str, Change]:
    """What a switch puts in the product's place, by name."""

    def pooled(*operations: str) -> Change:
        instead = functools.partial(_pooled, operations)
        return functools.partial(
            replaced, "featrix_core.space.relationships", "summed_products", instead
        )

    return {
        **{
            f"{name} in place of the product": pooled(name)
            for name in OPERATIONS
            if name != "product"
        },
        EIGHT: pooled(*OPERATIONS),
        TOKENS: _read_as_tokens,
    }
