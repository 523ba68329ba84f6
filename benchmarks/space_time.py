"""Time to a trained space beside the source's own table, and whether four times as long would have been better.

- 1,000 × 20: German credit.
- 10,000 × 50: nycflights13, flights beside their aeroplane, airline, airports and weather (three hours of it).
- 100,000 × 100: kdd_census (40 columns), nycflights13 and fars beside one another; rows of different tables have
  nothing to do with each other, and the target is that of kdd_census.

From the frame in memory to the trained space, types and codecs included, each in a process of its own with the
threads that torch takes. Scores are those of logistic regression on frozen embeddings: German credit on
three of 5 folds (800 rows train), flights on 10,000 others, with one seed.
"""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any

from benchmarks.space_arms import embedded, plan_of
from benchmarks.space_cells import Cell, Settings, apart
from benchmarks.space_data import Task, facts, flights, load, side_by_side
from benchmarks.space_probes import linear, score
from benchmarks.space_tables import markdown, paired, scores_of
from featrix_core.embedding_space import EmbeddingSpace
from featrix_core.training.plan import plan_space

QUESTION = "seconds to a trained space at three sizes; score against four times the epochs"
SIZES = ("1,000 × 20", "10,000 × 50", "100,000 × 100")
SOURCE_MINUTES = {"1,000 × 20": 10, "10,000 × 50": 30, "100,000 × 100": 120}
GOAL_SECONDS = {"1,000 × 20": 30, "10,000 × 50": 180, "100,000 × 100": 1200}
TEST_ROWS = 10_000
LONGER = 4
FOLDS = 5
REPEATED = {SIZES[0]: 3, SIZES[1]: 1}
"""Folds, or seeds, that are scored: four times the epochs take long."""


def _task(data_dir: Path, size: str, test_rows: int, cut: int | None) -> Task:
    """The table of a size, with so many rows for testing behind its own."""
    if size == SIZES[0]:
        return load(data_dir, "german_credit", cut)
    if size == SIZES[1]:
        return flights(data_dir, (cut or 10_000) + test_rows, 50)
    return side_by_side(data_dir, (cut or 100_000) + test_rows, 100)


def _train(task: Task, seed: int, epochs: int | None) -> tuple[Any, dict[str, Any]]:
    import torch

    started = time.perf_counter()
    space = EmbeddingSpace(task.frame, n_epochs=epochs, seed=seed)
    prepared = time.perf_counter()
    space.train()
    now = time.perf_counter()
    record = plan_of(space, now - started)
    plan = record["plan"]
    fast = plan["updates"] * plan["batch_size"] / (now - prepared)
    used = torch.cuda.is_available() and torch.cuda.max_memory_allocated() > 0
    more = {
        "prepare_seconds": round(prepared - started, 2),
        "rows_per_second": round(fast),
        "device": torch.cuda.get_device_name() if used else "cpu",
    }
    return space, {**facts(task), **record, **more}


def timed(data_dir: Path, size: str, cut: int | None, epochs: int | None) -> dict[str, Any]:
    """The whole table of a size, for the clock."""
    return _train(_task(data_dir, size, 0, cut), 42, epochs)[1]


def _parts(task: Task, size: str, repetition: int, test_rows: int) -> tuple[Task, Task]:
    if size == SIZES[0]:
        train, test = task.folds(FOLDS)[repetition]
        return task.take(train), task.take(test)
    return task.parted(test_rows / len(task.y_N), repetition)


def scored(
    data_dir: Path, size: str, repetition: int, longer: int, cut: int | None, epochs: int | None
) -> dict[str, Any]:
    """Frozen score after the planned epochs, or `longer` times as many."""
    test_rows = 0 if size == SIZES[0] else (cut or TEST_ROWS)
    task = _task(data_dir, size, test_rows, cut)
    train, test = _parts(task, size, repetition, test_rows)
    if longer > 1 and epochs is None:
        sides = EmbeddingSpace(train.frame, seed=42 + repetition)._sides
        epochs = longer * plan_space(sides.n_train).epochs
    space, record = _train(train, 42 + repetition, epochs)
    said = linear(embedded(space, train, test), train.y_N, True)
    return {**record, "scores": {"linear": score(test.y_N, said, True)}}


def cells(settings: Settings) -> list[Cell]:
    """The clock first, then the scores of the two smaller sizes."""
    cut = 300 if settings.quick else None
    found = [
        Cell(
            f"time/{size}/clock/0",
            functools.partial(apart, timed, settings.data_dir, size, cut, settings.epochs),
        )
        for size in SIZES
    ]
    for size, count in REPEATED.items():
        for k in range(1 if settings.quick else count):
            for longer in (1, LONGER):
                what = (settings.data_dir, size, k, longer, cut, settings.epochs)
                call = functools.partial(apart, scored, *what)
                found.append(Cell(f"time/{size}/epochs × {longer}/{k}", call))
    return found


def report(found: dict[str, dict[str, Any]]) -> list[str]:
    """Seconds beside the source's and the goal; scores of one and four times the epochs."""
    rows = []
    for size in SIZES:
        cell = found.get(f"time/{size}/clock/0")
        if cell is not None:
            plan = cell["plan"]
            rows.append(
                [
                    size,
                    plan["tokens"],
                    f"{cell['train_seconds']:.0f}",
                    GOAL_SECONDS[size],
                    f"{60 * SOURCE_MINUTES[size]:,}",
                    f"{cell['rows_per_second']:,}",
                    f"{plan['epochs']} × {plan['updates'] // plan['epochs']}",
                    f"{cell['peak_memory_mib']:,}",
                    f"{cell['device']}, {cell['threads']} threads, load {cell['load']}",
                ]
            )
    head = ["rows × columns", "columns used", "seconds", "goal", "source, about", "rows per second"]
    lines = markdown([*head, "epochs × updates", "peak memory, MiB", "measured on"], rows)
    scores = scores_of(found)
    rows = []
    for size in SIZES[:2]:
        own = scores.get((size, "epochs × 1", "linear"), {})
        longer = scores.get((size, f"epochs × {LONGER}", "linear"), {})
        gain = paired(longer, own)
        if gain is not None:
            means = [f"{sum(v.values()) / len(v):.4f}" for v in (own, longer)]
            rows.append([size, *means, gain.text])
    head = ["frozen, linear, AUC", "as planned", "four times the epochs", "paired difference"]
    return [*lines, "", *markdown(head, rows)]
