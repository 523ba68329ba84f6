"""Signed importance of every column for every row: Shapley values by sampled permutations (PRED-5).

Columns are replaced one after the other, in a random order, by those of a background row drawn from the
training data; a column's value is the change of the predictor's own output when it comes in, averaged over
permutations. For each row they add up to its output minus the mean output of its background rows, exactly.

Nothing is asked twice: a background row's output serves all rows, a row's own output all permutations, and a step
that brings in the very cell that is there already changes nothing (two rows of a table share many categories).

Legend: B rows · A columns · Q permutations · S steps (A + 1) · K mixed rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featrix_core.encoders.tokens import FAMILIES, FAMILY_OF, TokenBatch

PERMUTATIONS = 8
WIDE, WIDE_PERMUTATIONS = 200, 2
"""A table with more columns gets fewer orders: mixed rows go with its columns, and each costs more."""
_MIXED_ROWS = 4096
"""Mixed rows that are answered at once."""
_CELLS = 4_000_000

Output: TypeAlias = Callable[[TokenBatch], NDArray[np.float64]]


@dataclass(frozen=True)
class ShapleyValues:
    """values_BA: signed contributions in the output's unit; output_B: of the rows as they are; base: mean output of
    the background rows, one per permutation."""

    values_BA: NDArray[np.float64]
    output_B: NDArray[np.float64]
    base: float

    @property
    def error_B(self) -> NDArray[np.float64]:
        """Additivity error per row: |sum of its values - (its output - base)|."""
        error: NDArray[np.float64] = np.abs(
            self.values_BA.sum(axis=1) - (self.output_B - self.base)
        )
        return error


def explained_rows(
    output: Output,
    batch: TokenBatch,
    rows: Tensor,
    background: Tensor,
    seed: int = 42,
    permutations: int | None = None,
) -> ShapleyValues:
    """Contributions of every column with what they add up to.

    Args:
        output: the predictor's answer for a batch (N,), for example the calibrated probability.
        batch: holds the rows to explain and the background rows.
        rows, background: row numbers in `batch`.
        permutations: orders in which columns come in; by the number of columns when left out.
    """
    columns = batch.missing_NA.shape[1]
    if permutations is None:
        permutations = PERMUTATIONS if columns <= WIDE else WIDE_PERMUTATIONS
    values = np.zeros((len(rows), columns))
    generator = torch.Generator().manual_seed(seed)
    # The same orders and background rows for every row: what a row is told does not depend on its company.
    # Every second order is the one before it backwards, which halves the noise.
    forward = torch.rand(permutations, columns, generator=generator).argsort(dim=1)
    forward[1::2] = forward[0::2][: len(forward[1::2])].flip(1)
    others = background[torch.randperm(len(background), generator=generator)]
    others_Q = others[torch.arange(permutations) % len(others)]
    if not len(rows):
        return ShapleyValues(values, np.zeros(0), 0.0)
    said_Q = _answers(output, batch.rows(others_Q))
    said_B = _answers(output, batch.rows(rows))
    chunk = max(1, min(_CELLS // max(1, columns * columns * permutations), len(rows)))
    for start in range(0, len(rows), chunk):
        part = slice(start, start + chunk)
        paths_BQS = _paths(output, batch, rows[part], others_Q, forward, said_B[part], said_Q)
        gains_BQA = np.diff(paths_BQS, axis=2)
        rank_QA = forward.argsort(dim=1).numpy()
        values[part] = np.take_along_axis(gains_BQA, rank_QA[None], axis=2).sum(axis=1)
    return ShapleyValues(values / permutations, said_B, float(said_Q.mean()))


def _paths(
    output: Output,
    batch: TokenBatch,
    rows: Tensor,
    others_Q: Tensor,
    forward_QA: Tensor,
    said_B: NDArray[np.float64],
    said_Q: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Outputs (B, Q, S) along every permutation's way from its background row to the row itself."""
    count, (permutations, columns) = len(rows), forward_QA.shape
    pairs = rows.repeat_interleave(permutations), others_Q.repeat(count)
    differs_BQA = ~_same_cells(batch, *pairs).view(count, permutations, columns)
    # Step s brings in column forward[s - 1]; is it another cell than the one that is there?
    moves_BQA = differs_BQA.gather(2, forward_QA.expand(count, -1, -1))
    # After the last move the row is the row itself, whose output is known.
    left_BQA = moves_BQA.flip(2).cumsum(dim=2).flip(2)
    row_K, order_K, step_K = (moves_BQA & (left_BQA > 1)).nonzero(as_tuple=True)
    asked = np.empty(len(row_K))
    rank_QA = forward_QA.argsort(dim=1)
    for start in range(0, len(row_K), _MIXED_ROWS):
        part = slice(start, start + _MIXED_ROWS)
        take_KA = rank_QA[order_K[part]] <= step_K[part].unsqueeze(1)
        mixed = batch.mixed(rows[row_K[part]], others_Q[order_K[part]], take_KA)
        asked[part] = output(mixed)
    paths_BQS = np.zeros((count, permutations, columns + 1))
    paths_BQS[:, :, 0] = said_Q
    last_BQA = (moves_BQA & (left_BQA == 1)).numpy()
    paths_BQS[:, :, 1:][last_BQA] = np.repeat(said_B, permutations)[
        last_BQA.reshape(-1, columns).any(axis=1)
    ]
    paths_BQS[row_K.numpy(), order_K.numpy(), step_K.numpy() + 1] = asked
    # A step without a move repeats the output before it.
    place = np.where(moves_BQA.numpy(), np.arange(1, columns + 1), 0)
    place = np.concatenate([np.zeros((count, permutations, 1), np.int64), place], axis=2)
    filled: NDArray[np.float64] = np.take_along_axis(
        paths_BQS, np.maximum.accumulate(place, axis=2), axis=2
    )
    return filled


def _same_cells(batch: TokenBatch, own: Tensor, other: Tensor) -> Tensor:
    """Cells (K, A) of rows `own` that rows `other` hold too, as the encoders read them."""
    parts = {
        family: torch.ones(len(own), missing.shape[1], dtype=torch.bool)
        for family, missing in zip(FAMILIES, batch.missing_by_family, strict=True)
    }
    for name, family in FAMILY_OF.items():
        value = getattr(batch, name)
        same = value[own] == value[other]
        parts[family] &= same.flatten(2).all(dim=2) if same.ndim > 2 else same
    return torch.cat(list(parts.values()), dim=1)


def _answers(output: Output, batch: TokenBatch) -> NDArray[np.float64]:
    parts = [
        output(batch.rows(slice(start, start + _MIXED_ROWS)))
        for start in range(0, batch.n_rows, _MIXED_ROWS)
    ]
    joined: NDArray[np.float64] = np.concatenate(parts).astype(np.float64)
    return joined
