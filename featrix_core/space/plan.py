"""Shape of a space from the size of its table (TRAIN-2)."""

from __future__ import annotations

from featrix_core.space.model import SpaceConfig
from featrix_core.space.relationships import OPERATIONS

PAIRS = 3
"""Active pairs per epoch: eight tokens each, about as many tokens as a middling table has columns."""


def plan_shape(columns: int, rows: int) -> SpaceConfig:
    """Row width 192 (256 for wide or long tables), tokens of width 64, heads of 32 as in D6.

    One layer: a second one measured neutral and costs as much again (DESIGN, "Neutral in these tests").
    """
    large = columns > 60 or rows > 50_000
    return SpaceConfig(d_model=256 if large else 192)


def relationship_budget() -> int:
    """Most relationship tokens that are read in one pass."""
    return PAIRS * len(OPERATIONS)
