"""An exact uniform sample of the rows of a stream, in the order of the stream (DATA-1)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_SLACK = 1.25  # rows held at most, as a multiple of the sample, before the surplus is dropped
_TOP = np.uint64(2**64 - 1)


class RowSample:
    """Keeps `max_rows` rows of a stream whose length is not known (all rows where it is None).

    Every row draws one 64-bit key from a single seeded stream, in row order; the rows with the
    smallest keys are kept. The result therefore depends on the rows and the seed alone, not on the
    blocks that the rows came in.
    """

    def __init__(self, max_rows: int | None, seed: int) -> None:
        self._max_rows = max_rows
        self._random = np.random.PCG64(seed)
        self._limit = _TOP  # rows with a larger key have no chance any more
        self._parts: list[tuple[pa.Table, NDArray[np.uint64]]] = []
        self._held = 0
        self.n_seen = 0

    def admit(self, n: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Which of the next `n` rows may be in the sample, and their keys: hand them to `add`."""
        self.n_seen += n
        if self._max_rows is None:
            return np.arange(n), np.zeros(n, np.uint64)
        keys: NDArray[np.uint64] = self._random.random_raw(n)
        chosen = np.flatnonzero(keys <= self._limit)
        return chosen, keys[chosen]

    def add(self, rows: pa.Table, keys: NDArray[np.uint64]) -> None:
        """Rows that `admit` let in, in order, with their keys."""
        if rows.num_rows != len(keys):
            raise AssertionError(f"{rows.num_rows} rows came with {len(keys)} keys")
        if not len(keys):
            return
        self._parts.append((rows, keys))
        self._held += len(keys)
        if self._max_rows is not None and self._held > max(
            self._max_rows * _SLACK, self._max_rows + 64
        ):
            self._prune(self._max_rows)

    def _prune(self, n: int) -> None:
        keys = np.concatenate([part[1] for part in self._parts])
        limit = np.partition(keys, n - 1)[n - 1]
        keep = keys < limit
        equal = np.flatnonzero(keys == limit)  # of equal keys the first rows win
        keep[equal[: n - int(keep.sum())]] = True
        parts, at = [], 0
        for rows, own in self._parts:
            mask = keep[at : at + len(own)]
            at += len(own)
            if mask.any():
                parts.append((rows if mask.all() else rows.filter(pa.array(mask)), own[mask]))
        self._parts, self._held, self._limit = parts, n, limit

    def tables(self) -> list[pa.Table]:
        """The sample, in the order of the stream, as the pieces that it came in."""
        if self._max_rows is not None and self._held > self._max_rows:
            self._prune(self._max_rows)
        return [rows for rows, _ in self._parts]
