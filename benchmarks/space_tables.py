"""Reading cells and writing Markdown: scores by name, paired differences, tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from benchmarks.quick import mean_and_interval

Scores: TypeAlias = dict[tuple[str, ...], dict[str, float]]
"""What was measured, up to the repetition → repetition (fold or seed) → score."""


@dataclass(frozen=True)
class Gain:
    """A paired difference over `count` folds or seeds; the interval is a 95 % t interval, none for one."""

    mean: float
    low: float
    high: float
    count: int

    @property
    def text(self) -> str:
        """As it stands in a table."""
        if self.count < 2:
            return f"{self.mean:+.4f}"
        return f"{self.mean:+.4f} ({self.low:+.4f} … {self.high:+.4f})"


def scores_of(found: Mapping[str, dict[str, Any]]) -> Scores:
    """Scores by (parts of a cell's name without suite and repetition, key of its `scores`)."""
    scores: Scores = {}
    for name, cell in found.items():
        *parts, last = name.split("/")[1:]
        for key, value in cell.get("scores", {}).items():
            scores.setdefault((*parts, key), {})[last] = float(value)
    return scores


def paired(own: Mapping[str, float], other: Mapping[str, float]) -> Gain | None:
    """Difference on the repetitions that both have."""
    both = sorted(set(own) & set(other))
    if not both:
        return None
    gains = [own[key] - other[key] for key in both]
    if len(gains) < 2:
        return Gain(gains[0], gains[0], gains[0], 1)
    return Gain(*mean_and_interval(gains), len(gains))


def averages(gains: Iterable[Gain | None]) -> str:
    """Mean of the sets' differences, and on how many sets it is above zero."""
    there = [gain.mean for gain in gains if gain is not None]
    if not there:
        return ""
    ahead = sum(value > 0 for value in there)
    return f"{np.mean(there):+.4f}; {ahead} of {len(there)}"


def mean(values: Mapping[str, float] | None, digits: int = 3) -> str:
    """Mean over repetitions, or nothing."""
    return f"{np.mean(list(values.values())):.{digits}f}" if values else ""


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]], *, left: int = 1) -> list[str]:
    """Lines of a table; the first `left` columns are texts, the others numbers."""
    marks = ["---" if k < left else "--:" for k in range(len(head))]
    return [_line(head), _line(marks), *(_line(row) for row in rows)]


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
