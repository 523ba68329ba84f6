"""Main directions of a set of vectors, with signs that do not depend on the linear-algebra library."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def main_directions(
    vectors_ND: NDArray[np.float64], kept: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(mean_D, basis_DK, size_K): the `kept` directions of largest variance and their standard deviations.

    Directions beyond the vectors' rank are zero columns of size 0.
    """
    mean = vectors_ND.mean(axis=0)
    basis = np.zeros((vectors_ND.shape[1], kept))
    size = np.zeros(kept)
    centred = vectors_ND - mean
    # Coordinates that never vary, such as those of absent pieces, would only cost time.
    varied = np.flatnonzero((vectors_ND != vectors_ND[:1]).any(axis=0))
    if not len(varied):
        return mean, basis, size  # one value only
    values, right = _directions(centred[:, varied])
    found = min(kept, len(right))
    # A direction's sign is arbitrary in an SVD: fix it, so that the same words give the same numbers.
    peak = right[np.arange(found), np.abs(right[:found]).argmax(axis=1)]
    basis[varied, :found] = (right[:found] * np.where(peak < 0, -1.0, 1.0)[:, None]).T
    size[:found] = values[:found] / np.sqrt(len(vectors_ND))
    return mean, basis, size


def _directions(
    centred_ND: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Singular values, falling, and right singular vectors as rows."""
    rows, width = centred_ND.shape
    if rows <= 2 * width:
        _, values, right = np.linalg.svd(centred_ND, full_matrices=False)
        return values, right
    # Of many rows, the products of the columns say the same in a fraction of the time.
    squares, vectors = np.linalg.eigh(centred_ND.T @ centred_ND)
    return np.sqrt(np.maximum(squares[::-1], 0.0)), vectors.T[::-1]
