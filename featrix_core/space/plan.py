"""Shape of a space from the size of its table (TRAIN-2)."""

from __future__ import annotations

from featrix_core.space.model import SpaceConfig
from featrix_core.space.relationships import OPERATIONS

PAIRS = 3
"""Active pairs per epoch: eight tokens each, about as many tokens as a middling table has columns."""


def plan_shape(columns: int) -> SpaceConfig:
    """Row width 384 (512 beyond 60 columns), tokens of width 64, heads of 32 as in D6.

    A narrower row has less room than one-hot and piecewise-linear codes of a middling table, and a straight
    line reads less from it (row "narrow" of the ablation, benchmarks, "The space").

    One layer: a second one measured neutral and costs as much again (DESIGN, "Neutral in these tests").
    """
    return SpaceConfig(d_model=512 if columns > 60 else 384)


def relationship_budget() -> int:
    """Most relationship tokens that are read in one pass."""
    return PAIRS * len(OPERATIONS)
