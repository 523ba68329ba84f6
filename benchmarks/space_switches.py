"""Parts of the space that a benchmark turns off, in its own process and for the length of a block.

The product has no options for this: constants and functions of its modules are replaced while a space is made,
trained and read, and put back afterwards.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.space_operations import forms
from benchmarks.space_replace import Change, replaced


def _replacing(module: str, name: str, value: Any) -> Change:
    return functools.partial(replaced, module, name, value)


@contextlib.contextmanager
def _flat_curriculum() -> Iterator[None]:
    """The curriculum's weights averaged over the whole training, from its first epoch to its last."""
    from featrix_core.space.objective import curriculum

    steps = [curriculum(k / 100) for k in range(100)]
    names = ("spread", "joint", "marginal", "reconstruction")
    mean = {name: float(np.mean([getattr(weights, name) for weights in steps])) for name in names}
    flat = type(steps[0])(**mean)
    with replaced("featrix_core.space.objective", "curriculum", lambda progress: flat):
        yield


def _random_directions(
    vectors_ND: NDArray[np.float64], kept: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Random directions with the deviations that the vectors have along them."""
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(vectors_ND.shape[1], kept)))
    mean = vectors_ND.mean(axis=0)
    return mean, basis, ((vectors_ND - mean) @ basis).std(axis=0)


def _pairs(budget: Callable[[int], int]) -> Iterator[None]:
    """Another number of active pairs, by columns, for spaces that are made and trained in the block."""
    with (
        replaced("featrix_core.embedding_space", "pair_budget", budget),
        replaced("featrix_core.space_training", "pair_budget", budget),
    ):
        yield


@contextlib.contextmanager
def no_pairs() -> Iterator[None]:
    """No relationships."""
    yield from _pairs(lambda columns: 0)


@contextlib.contextmanager
def every_pair() -> Iterator[None]:
    """All pairs are active from beginning to end."""
    yield from _pairs(lambda columns: columns * (columns - 1) // 2)


NO_PAIRS, EVERY_PAIR = "no column pairs", "all column pairs"


def switches() -> dict[str, Change]:
    """What can be turned off, by name."""
    from featrix_core.space.model import SpaceConfig

    objective = "featrix_core.space.objective"
    return {
        NO_PAIRS: no_pairs,
        EVERY_PAIR: every_pair,
        "random directions in place of PCA": _replacing(
            "featrix_core.encoders.set_codec", "main_directions", _random_directions
        ),
        "main components as first weights": _replacing(
            "featrix_core.encoders.pca_start", "WANTED", True
        ),
        "no semantic floor": _replacing(
            "featrix_core.encoders.set_encoder", "semantic_floor", lambda progress: 0.0
        ),
        "flat curriculum": _flat_curriculum,
        "narrow, rows of width 256": _replacing(
            "featrix_core.embedding_space", "plan_shape", lambda: SpaceConfig(d_model=256)
        ),
        # What the factor was when the prototypes were measured.
        "contrastive losses at a twentieth": _replacing(objective, "CONTRASTIVE_SCALE", 0.05),
        "no contrastive losses": _replacing(objective, "CONTRASTIVE_SCALE", 0.0),
        "contrastive losses at the source's weight": _replacing(
            objective, "CONTRASTIVE_SCALE", 1.0
        ),
        **forms(),
    }
