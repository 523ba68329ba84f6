"""Shape of a space from the size of its table (TRAIN-2)."""

from __future__ import annotations

from featrix_core.space.model import SpaceConfig
from featrix_core.space.relationships import MOST_PAIRS

SHARE = 0.40
"""Pairs that a finished space reads, of all pairs: the most that the source ends with (25–40 %). They cost alike, so
there is no reason to read fewer (suite "pairs" of the benchmarks, "The space")."""
LEAST = 5
"""Active pairs at least, and half as many as there are columns (D6)."""


def plan_shape() -> SpaceConfig:
    """Row width 832 (512 learned, 256 random features, 64 products), tokens of width 64, heads of 32 as in D6.

    A narrower row has less room than one-hot and piecewise-linear codes of a middling table, and a straight
    line reads less from it (row "narrow" of the ablation, benchmarks, "The space").

    One layer: a second one measured neutral and costs as much again (DESIGN, "Neutral in these tests").
    """
    return SpaceConfig()


def pair_budget(columns: int) -> int:
    """Column pairs that a finished space reads (JOINT-3)."""
    pairs = min(columns * (columns - 1) // 2, MOST_PAIRS)
    return min(pairs, max(LEAST, columns // 2, round(SHARE * pairs)))
