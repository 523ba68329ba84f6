"""Do the values of a column of codes share anything, or is each a draw of its own? (DATA-5)

A sentence model cannot tell `INV-2021-00017` from a random token: both mean nothing to it. Their make-up can.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

MOST_BITS = 1.5
"""Random draws hold far more bits than are needed to number the values; counters about as many."""
_SPARE_BITS = 4.0
_SAME_FORM = 0.95
_CATEGORY_SHARE = 0.05
_LEAST_VALUES = 20
_WIDEST = 64
_LONGEST_NUMBERED = 18
_NUMBER = re.compile(r"[0-9]+")
_DELIMITER = re.compile(r"[-_/.:#|\s]+")


def shared_structure(values: Sequence[str]) -> str | None:
    """What distinct values have in common, or None where each is a random draw.

    Either a number stands in fixed characters (such codes are kept as numbers are: they often grow with
    time), or they are counted through (their characters vary no more than numbering them takes), or a
    piece between delimiters recurs like a category.
    """
    if len(values) < _LEAST_VALUES:
        return None
    skeletons = [_NUMBER.sub("0", value) for value in values]
    usual_skeleton = Counter(skeletons).most_common(1)[0][0]
    alike = skeletons.count(usual_skeleton) >= _SAME_FORM * len(values)
    if alike and usual_skeleton.count("0") == 1 and max(map(len, values)) <= _LONGEST_NUMBERED:
        return "one number within fixed characters"
    needed = math.log2(len(values))
    held = _bits(values)
    if held <= max(MOST_BITS * needed, needed + _SPARE_BITS):
        return f"its characters vary by {held:.0f} bits, numbering takes {needed:.0f}"
    pieces = [_DELIMITER.split(value) for value in values]
    counts = np.bincount([len(split) for split in pieces])
    usual = int(counts.argmax())
    if usual < 2 or counts[usual] < _SAME_FORM * len(values):
        return None
    columns = zip(*(split for split in pieces if len(split) == usual), strict=True)
    for place, column in enumerate(columns, 1):
        distinct = len(set(column))
        if 2 <= distinct <= _CATEGORY_SHARE * len(column):
            return f"piece {place} of {usual} has {distinct} values only"
    return None


def _bits(values: Sequence[str]) -> float:
    """Sum of the entropies of the characters by place, from the left; shorter values are padded."""
    width = min(max(map(len, values)), _WIDEST)
    cells = np.array([value[:width].ljust(width) for value in values], dtype=f"U{width}")
    places = cells.view("U1").reshape(len(values), width)
    total = 0.0
    for place in range(width):
        _, counts = np.unique(places[:, place], return_counts=True)
        shares = counts / counts.sum()
        total -= float((shares * np.log2(shares)).sum())
    return total
