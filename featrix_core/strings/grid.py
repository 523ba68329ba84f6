"""The grid on which sentence vectors lie: what is kept, sent and cached are its whole steps (ENC-2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DIMENSION = 384
"""Length of a sentence vector."""
STEPS_PER_UNIT = 10_000
"""A coordinate of a unit vector is a whole number of 1/10,000: it fits into 16 bits."""


def to_steps(vectors: NDArray[np.float32]) -> NDArray[np.int16]:
    """Nearest grid points of unit vectors (n, 384)."""
    steps: NDArray[np.int16] = np.rint(vectors * np.float32(STEPS_PER_UNIT)).astype(np.int16)
    return steps


def to_vectors(steps: NDArray[np.int16]) -> NDArray[np.float32]:
    """float32 vectors of grid points; the same steps give the same bytes."""
    vectors = steps.astype(np.float32)
    vectors /= np.float32(STEPS_PER_UNIT)
    return vectors
