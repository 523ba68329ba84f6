"""One row per part of the space that is turned off: frozen score, validation loss, seconds."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import numpy as np

from benchmarks.space_arms import embedded, train_space
from benchmarks.space_cells import Cell, Settings
from benchmarks.space_data import facts, load
from benchmarks.space_operations import TOKENS
from benchmarks.space_probes import knn, linear, score
from benchmarks.space_replace import Change
from benchmarks.space_switches import switches
from benchmarks.space_tables import averages, markdown, paired, scores_of

QUESTION = "PCA, semantic floor, curriculum, losses, each relationship operation: one row each"
SETS = ("german_credit", "titanic1309", "bikeshare", "diamonds")
ROWS = 1_500
PARTS, FOLDS = 3, 2
"""The table is parted in three; the first two of the parts test."""
DEFAULT = "default"


def measure(settings: Settings, name: str, arm: str, fold: int) -> dict[str, Any]:
    """One arm on one fold."""
    task = load(settings.data_dir, name, settings.rows(ROWS))
    train, test = (task.take(rows) for rows in task.folds(PARTS)[fold])
    change: Change = contextlib.nullcontext if arm == DEFAULT else switches()[arm]
    space, record = train_space(train, 42 + fold, settings.epochs, arm=arm, change=change)
    with change():
        pair = embedded(space, train, test)
    said = {
        "linear": linear(pair, train.y_N, train.classes),
        "knn": knn(pair, train.y_N, train.classes),
    }
    scores = {probe: score(test.y_N, values, train.classes) for probe, values in said.items()}
    return {**facts(train), **record, "measure": train.measure, "scores": scores}


def _arms() -> list[str]:
    """All switches but the eight tokens per pair, which take five times as long: suite "tokens" has them."""
    return [arm for arm in switches() if arm != TOKENS]


def cells(settings: Settings) -> list[Cell]:
    """All arms of a fold of a set after one another."""
    folds = 1 if settings.quick else FOLDS
    return [
        Cell(f"ablation/{name}/{arm}/{fold}", functools.partial(measure, settings, name, arm, fold))
        for fold in range(folds)
        for name in SETS
        for arm in (DEFAULT, *_arms())
    ]


def report(found: dict[str, dict[str, Any]]) -> list[str]:
    """Paired differences to the default, per set and in the mean; relative change of the validation loss."""
    scores = scores_of(found)
    losses = _losses(found)
    rows = []
    for arm in _arms():
        for probe in ("linear", "knn"):
            gains = [
                paired(scores.get((s, arm, probe), {}), scores.get((s, DEFAULT, probe), {}))
                for s in SETS
            ]
            if not any(gains):
                continue
            cells_ = ["" if gain is None else f"{gain.mean:+.4f}" for gain in gains]
            changed = losses.get(arm, "") if probe == "linear" else ""
            rows.append([arm, probe, *cells_, averages(gains), changed])
    head = ["difference to the default", "probe", *SETS, "mean; sets ahead", "validation loss"]
    return markdown(head, rows, left=2)


def _losses(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Mean relative change of the validation (reconstruction) loss, by arm."""
    by: dict[tuple[str, str, str], float] = {}
    for name, cell in found.items():
        _, table, arm, fold = name.split("/")
        by[table, arm, fold] = float(cell["plan"]["final_validation_loss"])
    changes: dict[str, list[float]] = {}
    for (table, arm, fold), loss in by.items():
        if (table, DEFAULT, fold) in by:
            changes.setdefault(arm, []).append(loss / by[table, DEFAULT, fold] - 1.0)
    return {arm: f"{np.mean(values):+.1%}" for arm, values in changes.items()}
