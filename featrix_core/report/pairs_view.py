"""The decision log of relationship scoring as lines of a table, each with a picture of its lift (JOINT-3, JOINT-4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featrix_core.report.training_content import (
    Interval,
    Lift,
    PairEntry,
    Pairs,
    SelfValidation,
)

MAX_PAIRS = 400
REACH_SHARE = 0.95
"""Share of the intervals that the common scale of the pictures holds in full."""


@dataclass(frozen=True)
class Strip:
    """Places (0 to 100, zero lift at 50) of a mean and its interval; `ink` is better, worse or even."""

    value: float
    low: float
    high: float
    ink: str


@dataclass(frozen=True)
class PairLine:
    """One line: the entry, the picture of both directions together, and one of each direction."""

    entry: PairEntry
    total: Strip | None
    lifts: tuple[tuple[Lift, Strip], ...]


def pair_lines(pairs: Pairs) -> list[PairLine]:
    """The first lines of the log; all pictures have the same scale, what reaches beyond it is cut off."""
    shown = pairs.entries[:MAX_PAIRS]
    ends = [abs(end) for e in shown for end in _span(e.total, e.interval)]
    ends += [abs(end) for e in shown for lift in e.lifts for end in _span(lift.mean, lift.interval)]
    reach = float(np.quantile(ends, REACH_SHARE)) if ends else 0.0
    return [
        PairLine(
            entry=entry,
            total=_strip(entry.total, entry.interval, reach),
            lifts=tuple(
                (lift, strip)
                for lift in entry.lifts
                if (strip := _strip(lift.mean, lift.interval, reach)) is not None
            ),
        )
        for entry in shown
    ]


def _span(mean: float | None, interval: Interval | None) -> tuple[float, ...]:
    if mean is None:
        return ()
    return interval if interval is not None else (mean,)


def _strip(mean: float | None, interval: Interval | None, reach: float) -> Strip | None:
    if mean is None:
        return None
    low, high = interval or (mean, mean)
    ink = "even"
    if interval is not None:
        ink = "better" if low > 0 else "worse" if high < 0 else "even"
    scale = 48.0 / (reach or 1.0)
    low, value, high = (
        round(50.0 + float(np.clip(figure * scale, -49.0, 49.0)), 1) for figure in (low, mean, high)
    )
    return Strip(value=value, low=low, high=high, ink=ink)


def pairs_content(document: Mapping[str, Any]) -> Pairs:
    """Read `pair_decisions.json` (`space.pair_log`)."""
    kept, known, tried = (document[key] for key in ("pairs_kept", "pairs_in_all", "pairs_tried"))
    checked = document["self_validation"]
    return Pairs(
        entries=tuple(_entry(entry) for entry in document["pairs"]),
        validation=SelfValidation(
            rho=checked["rho"], verdict=checked["verdict"], text=checked["text"]
        ),
        note=f"{document['periods']:,} periods of {document['updates_per_period']:,} updates; "
        f"{tried:,} of {known:,} pairs were tried, {kept:,} are kept{_added(document)}.",
    )


def _added(document: Mapping[str, Any]) -> str:
    """Pairs of an extension, which were not tried."""
    more = document.get("pairs_added", 0)
    return f"; the extension added {more:,} with its new columns, untried" if more else ""


def _entry(entry: Mapping[str, Any]) -> PairEntry:
    lifts = tuple(
        Lift(
            helps=lift["helps"],
            mean=lift["mean"],
            interval=_interval(lift["interval"]),
            third=lift.get("third", False),
        )
        for lift in entry["lifts"]
    )
    same = ("total", "score", "paired", "unpaired", "decision", "kept", "reason")
    return PairEntry(
        columns=tuple(entry["columns"]),
        lifts=lifts,
        interval=_interval(entry["interval"]),
        **{name: entry[name] for name in same},
    )


def _interval(ends: Sequence[float | None] | None) -> Interval | None:
    """Both ends; None where one of them is not known."""
    if ends is None or ends[0] is None or ends[1] is None:
        return None
    return ends[0], ends[1]
