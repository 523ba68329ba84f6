"""Vectors → standardised numbers of one width for all columns (ENC-5, D5.5).

Vectors of up to `WIDTH` dimensions pass through; longer ones are reduced to their main directions. The
vectors of a JSON column come from the child space of its cells.

Legend: N rows · H own dimensions of a column · R columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featrix_core.encoders.directions import main_directions

WIDTH = 64
_ROWS = 5_000
_LIMIT = 8.0


@dataclass(frozen=True)
class VectorState:
    """mean_H and basis_HW (W = `WIDTH`): `(vector − mean) @ basis` has about unit variance per used number."""

    mean_H: NDArray[np.float32]
    basis_HW: NDArray[np.float32]


def fit_vectors(vectors_NH: NDArray[np.float32], missing_N: NDArray[np.bool_]) -> VectorState:
    """Learn mean and directions from the vectors that are there."""
    present = vectors_NH[~missing_N].astype(np.float64)
    width = vectors_NH.shape[1]
    present = present[:: max(1, len(present) // _ROWS)]
    present = np.nan_to_num(present, nan=0.0, posinf=0.0, neginf=0.0)
    if not len(present):
        present = np.zeros((1, width))
    if width <= WIDTH:
        mean, std = present.mean(axis=0), present.std(axis=0)
        basis = np.zeros((width, WIDTH))
        basis[np.arange(width), np.arange(width)] = 1.0 / np.where(std > 1e-12, std, 1.0)
    else:
        mean, basis, size = main_directions(present, WIDTH)
        # Directions keep their relative size; the first has unit variance.
        basis /= size[0] if size[0] > 1e-12 else 1.0
    return VectorState(mean.astype(np.float32), basis.astype(np.float32))


def transform_vectors(
    state: VectorState, vectors_NH: NDArray[np.float32], missing_N: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Standardised numbers (N, WIDTH); zeros where missing."""
    clean = np.nan_to_num(vectors_NH, nan=0.0, posinf=0.0, neginf=0.0)
    result = np.clip((clean - state.mean_H) @ state.basis_HW, -_LIMIT, _LIMIT)
    result[missing_N] = 0.0
    return result.astype(np.float32)
