"""Causal scoring of column pairs against all pairs, none, random ones and the loss-distance heuristic.

Every scheme trains the same space on the same rows with the same masks; `causal`, `random` and `distance` have the same
budget, that of every space. What is compared is the validation loss of the finished space (reconstruction, the same
rows and masks for all), the epochs until a scheme reaches the heuristic's final loss, and seconds. On tables with
planted interactions the pairs that were kept are held against the planted ones.
"""

from __future__ import annotations

import functools
import time
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.space_cells import Cell, Settings
from benchmarks.space_data import load
from benchmarks.space_tables import markdown

QUESTION = (
    "causal scoring of column pairs against all, none, random ones and the loss-distance heuristic"
)
SETS = (
    "planted_pairs",
    "titanic1309",
    "diamonds",
    "bikeshare",
    "medical_cost",
    "german_credit",
)
SCHEMES = ("none", "causal", "distance", "random", "all")
ROWS, SEEDS = 2_500, 3
TRIPLES, LONE, NOISE = 4, 4, 0.1


def planted_pairs(seed: int, rows: int) -> tuple[pd.DataFrame, set[frozenset[str]]]:
    """16 columns: four triples `c = f(a, b) + noise` (products, a ratio, a distance) and four others, two of them
    correlated. The planted pairs are those within a triple."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    planted: set[frozenset[str]] = set()
    for number in range(TRIPLES):
        a, b = rng.normal(size=(2, rows))
        if number == 1:
            a, b = rng.uniform(0.5, 3.0, (2, rows))
        c = (a * b, a / b, np.abs(a - b), a * b)[number]
        c = c + NOISE * c.std() * rng.normal(size=rows)
        names = [f"triple {number} {part}" for part in "abc"]
        columns |= dict(zip(names, (a, b, c), strict=True))
        planted |= {frozenset(pair) for pair in (names[:2], names[1:], names[::2])}
    common = rng.normal(size=rows)
    for number in range(LONE):
        own = rng.normal(size=rows)
        columns[f"other {number}"] = own if number % 2 else 0.7 * (common + own)
    order = rng.permutation(list(columns))
    return pd.DataFrame({name: columns[name] for name in order}), planted


def measure(settings: Settings, name: str, scheme: str, seed: int) -> dict[str, Any]:
    """One training with one scheme."""
    from featrix_core import EmbeddingSpace
    from featrix_core.space.objective import SpaceObjective
    from featrix_core.space.plan import pair_budget
    from featrix_core.space.relationships import PairSampler
    from featrix_core.training.loop import run_loop
    from featrix_core.training.plan import plan_space
    from featrix_core.training.rotation import Sides
    from featrix_core.training.timeline import Timeline

    planted: set[frozenset[str]] = set()
    if name == "planted_pairs":
        frame, planted = planted_pairs(seed, settings.rows(ROWS))
    else:
        frame = load(settings.data_dir, name, settings.rows(ROWS)).frame
    space = EmbeddingSpace(frame, seed=seed)
    columns = len(space.column_names)
    pairs = columns * (columns - 1) // 2
    budget = pair_budget(columns)
    sampler = PairSampler(columns, budget, seed, scheme)
    model, split, rows = space.model, space._sides, space._rows
    assert rows is not None
    # Rows that stay on their side: losses of different epochs and schemes can be compared.
    sides = Sides(split.train_T.numpy(), split.validation_V.numpy(), rotates=False, seed=seed)
    model.pairs_Q2 = sampler.first()
    objective = SpaceObjective(model, rows, sides, sampler)
    plan = plan_space(sides.n_train, epochs=settings.epochs, seed=seed)
    timeline, started = Timeline(plan), time.monotonic()
    run_loop(objective, plan, timeline)
    seconds = time.monotonic() - started
    loss, _ = objective.validate()
    report = objective.pair_report(space.column_names)
    kept = [frozenset(entry["columns"]) for entry in report["pairs"] if entry["kept"]]
    found: dict[str, Any] = {
        "rows": len(frame),
        "columns": columns,
        "pairs": pairs,
        "slots": sampler.active,
        "kept": len(kept),
        "loss": loss,
        "seconds": seconds,
        "losses": [round(entry["validation_loss"], 5) for entry in timeline.entries],
        "periods": report["periods"],
    }
    if scheme == "causal":
        found["self_validation"] = report["self_validation"]
    if planted and scheme != "none":
        hits = len(planted & set(kept))
        found |= {"precision": hits / max(len(kept), 1), "recall": hits / len(planted)}
    return found


def cells(settings: Settings) -> list[Cell]:
    """All schemes of a set and seed after one another."""
    return [
        Cell(
            f"pairs/{name}/{scheme}/{seed}",
            functools.partial(measure, settings, name, scheme, seed),
        )
        for seed in range(1 if settings.quick else SEEDS)
        for name in SETS
        for scheme in SCHEMES
    ]


def report(found: dict[str, dict[str, Any]]) -> list[str]:
    """Loss against the heuristic's, epochs to reach it, seconds, planted pairs; means over seeds."""
    rows = []
    for name in SETS:
        for scheme in SCHEMES:
            own = {
                key.split("/")[3]: cell
                for key, cell in found.items()
                if key.startswith(f"pairs/{name}/{scheme}/")
            }
            base = {seed: found.get(f"pairs/{name}/distance/{seed}") for seed in own}
            both = [(cell, base[seed]) for seed, cell in sorted(own.items())]
            compared = [(cell, other) for cell, other in both if other is not None]
            if not compared:
                continue
            gains = [
                100.0 * (other["loss"] - cell["loss"]) / other["loss"] for cell, other in compared
            ]
            reached = [_epochs_to(cell["losses"], other["loss"]) for cell, other in compared]
            arrived = [epoch for epoch in reached if epoch is not None]
            cells_ = [cell for cell, _ in compared]
            rows.append(
                [
                    name,
                    scheme,
                    f"{np.mean([cell['kept'] for cell in cells_]):.0f} of {cells_[0]['pairs']}",
                    f"{np.mean([cell['loss'] for cell in cells_]):.4f}",
                    f"{np.mean(gains):+.2f} % ({min(gains):+.2f} … {max(gains):+.2f})",
                    f"{np.mean(arrived):.0f} of {len(cells_[0]['losses'])}" if arrived else "never",
                    f"{np.mean([cell['seconds'] for cell in cells_]):.0f}",
                    _share(cells_, "precision"),
                    _share(cells_, "recall"),
                    ", ".join(
                        f"{cell['self_validation']['rho']:+.2f}"
                        for cell in cells_
                        if cell.get("self_validation", {}).get("rho") is not None
                    ),
                ]
            )
    head = ["set", "scheme", "pairs kept", "loss", "below the heuristic's", "epochs to reach it"]
    return markdown([*head, "seconds", "precision", "recall", "rho, by seed"], rows, left=2)


def _epochs_to(losses: list[float], goal: float) -> int | None:
    return next((epoch for epoch, loss in enumerate(losses, 1) if loss <= goal), None)


def _share(cells_: list[dict[str, Any]], key: str) -> str:
    shares = [cell[key] for cell in cells_ if key in cell]
    return f"{np.mean(shares):.2f}" if shares else ""
