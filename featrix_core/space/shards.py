"""A batch that several processes share: each computes some of its rows, the loss is that of all rows (TRAIN-9).

Losses that tell rows of a batch apart need rows of every process. Their few rows are exchanged as values; only
a process's own ones carry gradients there. The sum of all processes' gradients is then that of the whole batch.

Legend: P processes · B rows of the batch · K rows that are exchanged · X numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Processes(Protocol):
    """The processes of a data-parallel training (`training.distributed.Team`)."""

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""

    @property
    def count(self) -> int:
        """How many there are."""

    def gather(self, own_X: Tensor) -> Tensor:
        """Numbers of every process (P, X), the same on all of them; all give equally many."""


class Shard:
    """Which rows of a batch this process computes: every P-th one, from its own number on.

    A batch of fewer rows than processes is computed by all of them, each counting for a part of it. Without
    processes the shard is the batch.
    """

    def __init__(self, processes: Processes | None, rows: int) -> None:
        self.rows = rows
        self.copies = processes.count if processes is not None and rows < processes.count else 1
        self.processes = processes if self.copies == 1 else None
        self.own = slice(None)
        if self.processes is not None:
            self.own = slice(self.processes.rank, None, self.processes.count)

    @property
    def whole(self) -> bool:
        """Whether this process computes all rows."""
        return self.processes is None

    def share(self, mean: Tensor) -> Tensor:
        """A mean over the own rows as this process's part of the mean over the batch."""
        return mean if self.whole else mean * (len(range(self.rows)[self.own]) / self.rows)

    def first(self, few: int) -> slice:
        """The own rows among the first `few` of the batch."""
        return slice(0, len(range(min(few, self.rows))[self.own]))

    def counted(self, total: Tensor) -> Tensor:
        """The loss, whose gradients count once although every process has the same ones."""
        return total if self.copies == 1 else with_value(total / self.copies, total)

    def joined(
        self, few: int, rows: Sequence[Tensor], sums: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The batch's first rows and the sums over processes, by one exchange.

        Args:
            few: rows of the batch that are wanted at most.
            rows: tensors whose first axis is the own rows among them (`first`).
            sums: what adds up over the processes.

        Returns:
            tensors of the batch's first rows (K, …) in their order, and the sums; both have the values of all
            processes and the gradients of this one.
        """
        assert self.processes is not None
        rank, count, few = self.processes.rank, self.processes.count, min(few, self.rows)
        most, mine = -(-few // count), len(rows[0])
        own_KF = torch.cat([part.detach().float().flatten(1) for part in rows], dim=1)
        block_KF = own_KF.new_zeros(most, own_KF.shape[1])
        block_KF[:mine] = own_KF
        parts = [block_KF.flatten(), *(part.detach().float().flatten() for part in sums)]
        found_PX = self.processes.gather(torch.cat(parts))
        rows_PX, sums_X = found_PX[:, : block_KF.numel()], found_PX[:, block_KF.numel() :].sum(0)
        shared_KF = rows_PX.reshape(count, most, -1).transpose(0, 1).flatten(0, 1)[:few]
        widths = [math.prod(part.shape[1:]) for part in rows]
        joined: list[Tensor] = []
        for part, shared in zip(rows, torch.split(shared_KF, widths, dim=1), strict=True):
            there = shared.reshape(few, *part.shape[1:]).to(part.dtype, copy=True)
            there[rank::count] = part
            joined.append(there)
        sizes = [part.numel() for part in sums]
        added = zip(sums, torch.split(sums_X, sizes), strict=True)
        return joined, [with_value(part, total.view(part.shape)) for part, total in added]


def with_value(gradient: Tensor, value: Tensor) -> Tensor:
    """A tensor of this value that passes gradients on to the other one."""
    # Nothing but a zero is added: the value is the same on all processes, to the bit.
    return value.detach() + (gradient - gradient.detach())
