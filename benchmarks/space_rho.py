"""Self-validation of the causal scores: Spearman's rho on epochs that the score did not use, per data set."""

from __future__ import annotations

import functools
from typing import Any

from benchmarks.space_arms import train_space
from benchmarks.space_cells import Cell, Settings
from benchmarks.space_data import facts, load
from benchmarks.space_tables import markdown

QUESTION = "self-validation rho of the pair scores per data set"
SETS = (
    "german_credit",
    "telco_churn",
    "adult",
    "bank_marketing",
    "titanic1309",
    "kdd_census",
    "diamonds",
    "bikeshare",
    "king_county",
    "planted",
)
ROWS = 5_000
SEEDS = 3


def measure(settings: Settings, name: str, seed: int) -> dict[str, Any]:
    """The space's own verdict on its pair scores."""
    task = load(settings.data_dir, name, settings.rows(ROWS))
    space, record = train_space(task, seed, settings.epochs)
    report_ = getattr(space, "pair_report", None)
    if report_ is None:
        raise RuntimeError("EmbeddingSpace has no pair_report yet")
    said = report_() if callable(report_) else report_
    return {**facts(task), **record, "self_validation": said["self_validation"]}


def cells(settings: Settings) -> list[Cell]:
    """Seed by seed."""
    return [
        Cell(f"rho/{name}/{seed}", functools.partial(measure, settings, name, seed))
        for seed in range(1 if settings.quick else SEEDS)
        for name in SETS
    ]


def report(found: dict[str, dict[str, Any]]) -> list[str]:
    """Rho by seed."""
    rows = []
    for name in SETS:
        own = [
            cell["self_validation"].get("rho")
            for key, cell in sorted(found.items())
            if key.split("/")[1] == name
        ]
        if own:
            rows.append([name, ", ".join("none" if r is None else f"{r:+.2f}" for r in own)])
    return markdown(["set", "rho, by seed"], rows)
