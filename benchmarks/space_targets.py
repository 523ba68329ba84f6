"""Five targets from one space: it is trained once, without any of the five, on all rows of the pool.

The rivals train anew for every target. Seconds stand beside the scores: a space is paid once.
"""

from __future__ import annotations

import functools
import time
from typing import Any

from benchmarks.space_cells import Cell, Settings
from benchmarks.space_data import SETS as ALL
from benchmarks.space_data import facts, load_targets
from benchmarks.space_labels import RIVALS, arm_score, drawn
from benchmarks.space_tables import averages, markdown, mean, paired, scores_of

QUESTION = "five targets from one space, few labels each"
SETS = ("adult", "king_county")
ROWS = 3_000
COUNTS = (100, 500, 2_000)
SEEDS = 3
ARMS = (
    "frozen, linear",
    "frozen, k-NN",
    *RIVALS,
)


def measure(
    settings: Settings, name: str, target: str, arm: str, count: int, seed: int
) -> dict[str, Any]:
    """One arm for one target."""
    task = load_targets(settings.data_dir, name, settings.rows(ROWS))[target]
    # Test rows and pool depend on the seed alone, so that all targets share one space.
    pool, test, rows = drawn(settings, task, seed, count, by_class=False)
    more = {"measure": task.measure, "labels": len(rows), "pool": facts(pool)}
    started = time.monotonic()
    figures = arm_score(settings, arm, pool, test, rows, seed)
    return {**more, **figures, "seconds": round(time.monotonic() - started, 2)}


def cells(settings: Settings) -> list[Cell]:
    """Seed by seed, set by set: targets of a set share its space."""
    seeds, counts = (1, COUNTS[:1]) if settings.quick else (SEEDS, COUNTS)
    return [
        Cell(
            f"targets/{name}/{target}/{arm}/{count}/{seed}",
            functools.partial(measure, settings, name, target, arm, count, seed),
            own=arm not in RIVALS,
        )
        for seed in range(seeds)
        for name in SETS
        for count in counts
        for target in (ALL[name].drop[0], *ALL[name].others)
        for arm in ARMS
    ]


def report(found: dict[str, dict[str, Any]]) -> list[str]:
    """Means over seeds per target; mean difference over targets to every rival."""
    scores = {key[:4]: value for key, value in scores_of(found).items()}
    pairs = [(s, t) for s in SETS for t in (ALL[s].drop[0], *ALL[s].others)]
    pairs = [pair for pair in pairs if any(key[:2] == pair for key in scores)]
    rows = [
        [name, target, n, *(mean(scores.get((name, target, arm, n))) for arm in ARMS)]
        for name, target in pairs
        for n in map(str, COUNTS)
        if any(key[:2] == (name, target) and key[3] == n for key in scores)
    ]
    lines = markdown(["set", "target", "labels", *ARMS], rows, left=2)
    rows = []
    for arm in ("frozen, linear", "frozen, k-NN"):
        for rival in RIVALS:
            gains = [
                averages(
                    paired(scores.get((*pair, arm, n), {}), scores.get((*pair, rival, n), {}))
                    for pair in pairs
                )
                for n in map(str, COUNTS)
            ]
            rows.append([f"{arm} − {rival}", *gains])
    head = ["mean difference over targets; targets ahead; labels", *map(str, COUNTS)]
    return [*lines, "", *markdown(head, rows)]
