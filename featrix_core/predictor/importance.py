"""Signed importance of every column for every row: Shapley values by sampled permutations (PRED-5).

Columns are replaced one after the other, in a random order, by those of a background row drawn from the
training data; a column's value is the change of the predictor's own output when it comes in, averaged over
permutations. For each row they add up to its output minus the mean output of its background rows, exactly.

Legend: B rows · A columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featrix_core.encoders.tokens import TokenBatch

PERMUTATIONS = 8
_CELLS = 4_000_000

Output: TypeAlias = Callable[[TokenBatch], NDArray[np.float64]]


def shapley_values(
    output: Output,
    batch: TokenBatch,
    rows: Tensor,
    background: Tensor,
    seed: int = 42,
    permutations: int = PERMUTATIONS,
) -> NDArray[np.float64]:
    """Signed contributions (len(rows), A) of every column, in the output's unit.

    Args:
        output: the predictor's answer for a batch (N,), for example the calibrated probability.
        batch: holds the rows to explain and the background rows.
        rows, background: row numbers in `batch`.
    """
    columns = batch.missing_NA.shape[1]
    values = np.zeros((len(rows), columns))
    generator = torch.Generator().manual_seed(seed)
    # The same orders and background rows for every row: what a row is told does not depend on its company.
    # Every second order is the one before it backwards, which halves the noise.
    forward = torch.rand(permutations, columns, generator=generator).argsort(dim=1)
    forward[1::2] = forward[0::2][: len(forward[1::2])].flip(1)
    others = background[torch.randperm(len(background), generator=generator)]
    chunk = max(1, _CELLS // max(1, (columns + 1) * columns * 64))
    steps = torch.arange(columns + 1)
    for start in range(0, len(rows), chunk):
        own = rows[start : start + chunk]
        count, repeat = len(own), columns + 1
        for number, order_A in enumerate(forward):
            rank_A = order_A.argsort()
            other = others[number % len(others)].expand(count * repeat)
            # Step s of a row shows its own value in the s columns that come first in the order.
            take_SA = rank_A.unsqueeze(0) < steps.unsqueeze(1)
            mixed = batch.mixed(own.repeat_interleave(repeat), other, take_SA.repeat(count, 1))
            said = output(mixed).reshape(count, repeat)
            values[start : start + count] += np.diff(said, axis=1)[:, rank_A.numpy()]
    return values / permutations
