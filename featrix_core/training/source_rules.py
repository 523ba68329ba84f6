"""The automatic values of the source (D4.4, D10, D20), so that a plan can name them beside its own (TRAIN-2).

The source names rates for under 1,000, for 5,000–20,000 and for more than 20,000 rows, and weight decays for
under 1,000, 1,000–5,000 and more than 20,000; the gaps are filled by the value between their neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

UPDATES = 36_000
PEAK_FACTOR = 3.0
"""Highest learning rate over the base rate."""
DROPOUT = (0.5, 0.25)
CLIP_RATIO = 2.0
PATIENCE = 100
LAYERS, HEADS = 3, 8


def batch_size(rows: int) -> int:
    """min(2048, max(32, rows/100)), the nearest power of two."""
    return int(2 ** round(math.log2(min(2048.0, max(32.0, rows / 100)))))


def epochs(rows: int) -> int:
    """Passes over the rows that make 36,000 updates."""
    return math.ceil(UPDATES / max(1, rows // batch_size(rows)))


def learning_rate(rows: int) -> float:
    """Base rate, by rows."""
    return _step(rows, ((1_000, 5e-5), (5_000, 1e-4), (20_000, 2e-4)), 3e-4)


def weight_decay(rows: int) -> float:
    """Decoupled weight decay, by rows."""
    return _step(rows, ((1_000, 0.1), (5_000, 0.01), (20_000, 0.001)), 0.0001)


def d_model(columns: int) -> int:
    """128 for a few dozen columns, 256 from 50 on (D14); its tables of defaults say 256 for all."""
    return 128 if columns < 50 else 256


def class_weights(counts: Mapping[str, int]) -> dict[str, float]:
    """sqrt(1 / frequency), mean 1 over the classes."""
    total = sum(counts.values())
    raw = {name: math.sqrt(total / max(count, 1)) for name, count in sorted(counts.items())}
    mean = sum(raw.values()) / max(len(raw), 1)
    return {name: round(value / mean, 4) for name, value in raw.items()}


def _step(rows: int, steps: tuple[tuple[int, float], ...], beyond: float) -> float:
    return next((value for limit, value in steps if rows < limit), beyond)
