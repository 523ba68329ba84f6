"""Parts of the space that a benchmark turns off, in its own process and for the length of a block.

The product has no options for this: constants and functions of its modules are replaced while a space is made and
trained, and put back afterwards. A name that is gone is an error, so that no row of a table compares a thing with
itself; `works` says how a switch is seen in the finished space, where it can be.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.space_arms import Arm

OPERATIONS = 8


@contextlib.contextmanager
def replaced(module: str, name: str, value: Any) -> Iterator[None]:
    """A module's attribute, or a class's (`module:Class`), has another value inside the block."""
    path, _, owner = module.partition(":")
    place: Any = importlib.import_module(path)
    place = getattr(place, owner) if owner else place
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, before)


def _replacing(module: str, name: str, value: Any) -> Arm:
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


@contextlib.contextmanager
def _without_operation(number: int) -> Iterator[None]:
    """Tokens of one operation are computed and thrown away before anything reads them."""
    from featrix_core.space import relationships

    before: Callable[..., Tensor] = relationships.RelationshipTokens.forward

    def forward(self: Any, tokens_BAD: Tensor, pairs_Q2: Tensor) -> Tensor:
        said_BGD = before(self, tokens_BAD, pairs_Q2)
        rows, tokens, width = said_BGD.shape
        if tokens != len(pairs_Q2) * OPERATIONS:
            raise RuntimeError(f"{tokens} tokens for {len(pairs_Q2)} pairs: the layout has changed")
        parts_BQRD = said_BGD.view(rows, len(pairs_Q2), OPERATIONS, width)
        kept = [k for k in range(OPERATIONS) if k != number]
        return parts_BQRD[:, :, kept].flatten(1, 2)

    with replaced("featrix_core.space.relationships:RelationshipTokens", "forward", forward):
        yield


def operations() -> tuple[str, ...]:
    """Names of the relationship operations, in the order of their tokens."""
    from featrix_core.space.relationships import OPERATIONS as NAMES

    if len(NAMES) != OPERATIONS:
        raise RuntimeError(
            f"{len(NAMES)} relationship operations; the benchmark knows {OPERATIONS}"
        )
    return NAMES


NO_TOKENS = "no relationship tokens"


def switches() -> dict[str, Arm]:
    """What can be turned off, by name."""
    from featrix_core.space.model import SpaceConfig

    objective = "featrix_core.space.objective"
    return {
        NO_TOKENS: _replacing("featrix_core.space.plan", "PAIRS", 0),
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
        "narrow, rows of width 192": _replacing(
            "featrix_core.embedding_space", "plan_shape", lambda *_: SpaceConfig(d_model=192)
        ),
        # What the factor was when the prototypes were measured.
        "contrastive losses at a twentieth": _replacing(objective, "CONTRASTIVE_SCALE", 0.05),
        "no contrastive losses": _replacing(objective, "CONTRASTIVE_SCALE", 0.0),
        "contrastive losses at the source's weight": _replacing(
            objective, "CONTRASTIVE_SCALE", 1.0
        ),
        **{
            f"without {name}": functools.partial(_without_operation, number)
            for number, name in enumerate(operations())
        },
    }
