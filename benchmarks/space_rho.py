"""Self-validation of the causal scores: Spearman's rho on epochs that the score did not use, per data set.

The spaces are those of the suite "probe" (its last folds), so that they are trained once.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from benchmarks.space_arms import train_space
from benchmarks.space_cells import Cell, Settings
from benchmarks.space_data import facts, load
from benchmarks.space_probe import FOLDS, ROWS
from benchmarks.space_tables import markdown

QUESTION = "self-validation rho of the pair scores per data set"
SETS = (
    "german_credit",
    "telco_churn",
    "adult",
    "bank_marketing",
    "titanic1309",
    "diamonds",
    "bikeshare",
    "king_county",
    "planted",
)
REPEATS = 3


def measure(settings: Settings, name: str, fold: int) -> dict[str, Any]:
    """The space's own verdict on its pair scores."""
    task = load(settings.data_dir, name, settings.rows(ROWS))
    task = task.take(task.folds(FOLDS)[fold][0])
    space, record = train_space(task, 42 + fold, settings.epochs)
    if space.pair_report is None:
        raise RuntimeError("the space has no log of its pairs")
    return {**facts(task), **record, "self_validation": space.pair_report["self_validation"]}


def cells(settings: Settings) -> list[Cell]:
    """Fold by fold, the last one first."""
    return [
        Cell(f"rho/{name}/{fold}", functools.partial(measure, settings, name, fold))
        for fold in range(FOLDS - 1, FOLDS - 1 - (1 if settings.quick else REPEATS), -1)
        for name in SETS
    ]


def report(found: dict[str, dict[str, Any]]) -> list[str]:
    """Rho by fold, and what the best and the worst fifth of the pairs did in the held-out periods."""
    rows = []
    for name in SETS:
        own = [
            cell["self_validation"]
            for key, cell in sorted(found.items())
            if key.split("/")[1] == name
        ]
        checked = [said for said in own if said.get("rho") is not None]
        if not checked:
            continue
        means = {
            key: np.mean([said[key] for said in checked])
            for key in ("pairs", "rho", "top_lift", "bottom_lift")
        }
        wrong, missed = (
            np.mean([len(said[key]) for said in checked])
            for key in ("false_positives", "false_negatives")
        )
        rows.append(
            [
                name,
                f"{means['pairs']:.0f}",
                ", ".join(f"{said['rho']:+.2f}" for said in checked),
                f"{means['rho']:+.2f}",
                f"{means['top_lift']:+.4f}",
                f"{means['bottom_lift']:+.4f}",
                f"{wrong:.1f}",
                f"{missed:.1f}",
            ]
        )
    head = ["set", "pairs", "rho, by fold", "mean", "lift of the top fifth", "of the bottom fifth"]
    return markdown([*head, "kept, but harm", "dropped, but help"], rows)
