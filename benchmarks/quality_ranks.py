"""What the suite's cells say of methods: scores by set, ranks, normalised scores, wins, gaps, critical difference."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy import stats

from benchmarks.quality_figures import LOSS, SCORE
from benchmarks.quality_own import FEATRIX, NET_ONLY
from benchmarks.quality_peers import NETWORKS, PEERS, TUNED
from benchmarks.quality_sets import ROWS, Kind, fold_count
from benchmarks.space_tables import Gain, paired

METHODS = (FEATRIX, NET_ONLY, *PEERS)
"""As they stand in tables."""
Table: TypeAlias = dict[str, dict[str, float]]
"""Set → method → mean over folds."""


@dataclass(frozen=True)
class Found:
    """Figures by set, method and fold, and every set's kind of target."""

    kinds: dict[str, Kind]
    figures: dict[tuple[str, str], dict[str, dict[str, Any]]]

    @property
    def methods(self) -> list[str]:
        """Those that were measured at all."""
        return [m for m in METHODS if any(method == m for _, method in self.figures)]

    @property
    def sets(self) -> list[str]:
        """Those that were measured at all, as the suite orders them."""
        return [name for name in ROWS if name in self.kinds]

    def values(self, name: str, method: str, figure: str) -> dict[str, float]:
        """A figure by fold, as far as it is there."""
        folds = self.figures.get((name, method), {})
        return {fold: float(f[figure]) for fold, f in folds.items() if figure in f}

    def whole(self, name: str, method: str) -> bool:
        """Whether every fold is there."""
        return len(self.figures.get((name, method), {})) == fold_count(ROWS[name])

    def complete(self, methods: Iterable[str]) -> list[str]:
        """Sets on which all these methods have all folds."""
        return [s for s in self.sets if all(self.whole(s, m) for m in methods)]

    def means(self, which: Mapping[Kind, str], sets: list[str], methods: list[str]) -> Table:
        """Means over folds; `which`: the figure by kind of target."""
        return {
            s: {
                m: float(np.mean(list(self.values(s, m, which[self.kinds[s]]).values())))
                for m in methods
            }
            for s in sets
        }

    def scores(self, sets: list[str], methods: list[str]) -> Table:
        """AUC or R²."""
        return self.means(SCORE, sets, methods)

    def losses(self, sets: list[str], methods: list[str]) -> Table:
        """Log loss or RMSE."""
        return self.means(LOSS, sets, methods)

    def gain(self, name: str, method: str, other: str) -> Gain | None:
        """Paired difference of AUC or R²; None unless both have all folds."""
        if not (self.whole(name, method) and self.whole(name, other)):
            return None
        figure = SCORE[self.kinds[name]]
        return paired(self.values(name, method, figure), self.values(name, other, figure))


OF_A_CELL = ("peak_memory_mib", "processor_seconds", "rows", "test_rows")
"""Figures that a cell has once for all methods that come from its one fit."""


def gathered(cells: Mapping[str, dict[str, Any]]) -> Found:
    """Cells by set, method and fold. Of two cells that answer a method, the one counts that answers more of them."""
    found = Found({}, {})
    for name, cell in sorted(cells.items(), key=lambda item: len(item[1]["methods"])):
        _, table, _, fold = name.split("/")
        if table not in ROWS:
            continue
        found.kinds[table] = cell["kind"]
        seen = {key: cell.get(key) for key in OF_A_CELL}
        for method, figures in cell["methods"].items():
            found.figures.setdefault((table, method), {})[fold] = {**seen, **figures}
    return found


def groups(found: Found) -> list[tuple[list[str], list[str]]]:
    """Methods that are ranked together, with the sets on which all of them are whole: first those that take
    seconds, on most sets, then with the tuned rival that is asked on small sets only, and with the networks."""
    slow, tuned = set(NETWORKS), {TUNED}
    parts: dict[tuple[str, ...], list[str]] = {}
    for left_out in (slow | tuned, slow, tuned, set()):
        methods = [m for m in found.methods if m not in left_out]
        # Of two groups with the same sets, the one with more methods says all that the other does.
        parts[tuple(found.complete(methods))] = methods
    return [(methods, list(sets)) for sets, methods in parts.items() if sets and len(methods) > 1]


def mean_ranks(table: Table, methods: list[str], *, best_is_high: bool) -> dict[str, float]:
    """Mean rank over sets, 1 the best; equal figures share their ranks."""
    sign = -1.0 if best_is_high else 1.0
    ranks_SM = np.array(
        [stats.rankdata([sign * row[m] for m in methods]) for row in table.values()]
    )
    return dict(zip(methods, ranks_SM.mean(axis=0).tolist(), strict=True))


def normalised(table: Table, methods: list[str]) -> dict[str, float]:
    """Mean over sets of (score − worst) / (best − worst)."""
    rows = []
    for row in table.values():
        values_M = np.array([row[m] for m in methods])
        span = float(np.ptp(values_M))
        rows.append((values_M - values_M.min()) / span if span > 0 else np.ones(len(methods)))
    return dict(zip(methods, np.mean(rows, axis=0).tolist(), strict=True))


@dataclass(frozen=True)
class Standing:
    """A method against another: sets won, tied (the 95 % paired interval holds zero) and lost."""

    wins: int
    ties: int
    losses: int
    mean: float

    @property
    def text(self) -> str:
        """As it stands in a table."""
        return f"{self.wins} / {self.ties} / {self.losses}"


def standing(
    found: Found, own: str, other: str, sets: Iterable[str] | None = None
) -> Standing | None:
    """Over the sets (all, if none are named) on which both have all folds; None where there is none."""
    asked = found.sets if sets is None else sets
    gains = [g for s in asked if (g := found.gain(s, own, other)) is not None]
    if not gains:
        return None
    wins, losses = sum(g.low > 0 for g in gains), sum(g.high < 0 for g in gains)
    mean = float(np.mean([g.mean for g in gains]))
    return Standing(wins, len(gains) - wins - losses, losses, mean)


def gaps(found: Found, own: str) -> dict[str, tuple[str, float]]:
    """Set → (best peer, its mean AUC or R² minus the own one), where own and the peers that take seconds are whole;
    the other peers count where they are."""
    found_gaps = {}
    for name in found.sets:
        peers = [m for m in PEERS if found.whole(name, m)]
        if found.whole(name, own) and all(m in peers for m in PEERS if m not in (*NETWORKS, TUNED)):
            row = found.scores([name], [own, *peers])[name]
            best = max(peers, key=lambda m: row[m])
            found_gaps[name] = (best, row[best] - row[own])
    return found_gaps


def ece_ratios(found: Found, own: str, other: str) -> dict[str, float]:
    """Set → own mean calibration error as a part of the other's."""
    ratios = {}
    for name in found.sets:
        if (
            found.kinds[name] != "regression"
            and found.whole(name, own)
            and found.whole(name, other)
        ):
            mine, theirs = (
                np.mean(list(found.values(name, m, "ece").values())) for m in (own, other)
            )
            ratios[name] = float(mine / theirs)
    return ratios


@dataclass(frozen=True)
class Differences:
    """Friedman's test over sets, and how far mean ranks must lie apart by Nemenyi's (5 %)."""

    ranks: dict[str, float]
    p_value: float
    distance: float
    sets: int


def differences(table: Table, methods: list[str]) -> Differences | None:
    """Of scores (high is good); None for fewer than three methods or five sets, too few to say anything."""
    count, sets = len(methods), len(table)
    if count < 3 or sets < 5:
        return None
    columns = [[row[m] for row in table.values()] for m in methods]
    p_value = float(stats.friedmanchisquare(*columns).pvalue)
    quantile = float(stats.studentized_range.ppf(0.95, count, math.inf)) / math.sqrt(2.0)
    distance = quantile * math.sqrt(count * (count + 1) / (6.0 * sets))
    return Differences(mean_ranks(table, methods, best_is_high=True), p_value, distance, sets)


def cliques(found: Differences) -> list[tuple[float, float]]:
    """Longest runs of mean ranks that are not told apart, as (least, most)."""
    ranks = sorted(found.ranks.values())
    runs: list[tuple[float, float]] = []
    for k, low in enumerate(ranks):
        high = max(r for r in ranks if r - low <= found.distance)
        if high > low and (not runs or high > runs[-1][1]) and k < len(ranks) - 1:
            runs.append((low, high))
    return runs
