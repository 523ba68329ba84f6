"""Step time of a space over its number of columns: whole steps and the column encoders alone (ENC-6)."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.input_data_set import FeatrixInputDataSet
from featrix_core.space.model import SpaceConfig, SpaceModel
from featrix_core.space.objective import SpaceObjective
from featrix_core.space.plan import pair_budget
from featrix_core.space.relationships import PairSampler
from featrix_core.tables.build import typed_columns
from featrix_core.tables.schema import ColumnType
from featrix_core.training.rotation import Sides

COUNTS = (1, 10, 30, 100, 300)
KINDS = ("scalar", "set", "timestamp", "text", "mixed")
THREADS = (1, 2)
BATCH = 256
GOAL = 4.0
"""From 10 to 100 columns a step may take at most this many times as long."""
CONFIG = SpaceConfig(d_model=64, width=64)
_RUNS = 7
_ROWS = 512
_WORDS = ("red", "green", "blue", "small", "large", "old", "new", "warm", "cold", "heavy", "round")
# As many texts as rows: no text column of the benchmark is easier than a real one.
_TEXTS = [f"the {_WORDS[k % 11]} box of order {k} was {_WORDS[k // 11 % 11]}" for k in range(_ROWS)]
_TYPES = {
    "scalar": ColumnType.SCALAR,
    "set": ColumnType.SET,
    "timestamp": ColumnType.TIMESTAMP,
    "text": ColumnType.TEXT,
}


def frame_of(kind: str, columns: int) -> tuple[pd.DataFrame, dict[str, ColumnType]]:
    """A table of one kind of column (mixed: the four in turn), and their types."""
    rng = np.random.default_rng(columns)
    cells: dict[str, Any] = {}
    types: dict[str, ColumnType] = {}
    for k in range(columns):
        own = tuple(_TYPES)[k % len(_TYPES)] if kind == "mixed" else kind
        name = f"{own} {k}"
        types[name] = _TYPES[own]
        if own == "scalar":
            cells[name] = np.exp(rng.normal(0.0, 0.2 + 0.01 * k, _ROWS))
        elif own == "set":
            cells[name] = rng.choice(_WORDS, _ROWS)
        elif own == "timestamp":
            seconds = rng.integers(946_684_800, 1_735_689_600, _ROWS)
            cells[name] = pd.to_datetime(seconds, unit="s")
        else:
            cells[name] = rng.permutation(_TEXTS)
    return pd.DataFrame(cells), types


def objective_of(kind: str, columns: int) -> SpaceObjective:
    """What a space with such a table is trained on."""
    frame, types = frame_of(kind, columns)
    data = FeatrixInputDataSet(frame, overrides=types)
    schema = data.schema()
    typed = typed_columns(data.table, schema)
    tokenizer = Tokenizer.fit(schema, typed)
    rows = tokenizer.encode(typed)
    torch.manual_seed(0)
    sampler = PairSampler(columns, pair_budget(columns), 0)
    model = SpaceModel(tokenizer, CONFIG, sampler.first())
    objective = SpaceObjective(model, rows, Sides.given(_ROWS, 0), sampler)
    objective.start_epoch(1, 0.0)
    return objective


def _milliseconds(step: Callable[[], None], clock: Callable[[], float]) -> float:
    """Median of several runs after two that do not count."""
    taken = []
    for run in range(_RUNS + 2):
        started = clock()
        step()
        if run >= 2:
            taken.append(1000.0 * (clock() - started))
    return statistics.median(taken)


def measure(kind: str, columns: int) -> dict[str, dict[str, float]]:
    """Milliseconds per step and of the encoders' part (forward and backward), by number of threads.

    One thread is timed by the processor's clock, which other processes of the machine do not disturb.
    """
    objective = objective_of(kind, columns)
    model = objective.model
    rows = torch.arange(BATCH)
    batch = objective.rows.rows(rows)

    def whole() -> None:
        model.zero_grad(set_to_none=True)
        objective.loss(rows)[0].backward()  # type: ignore[no-untyped-call]

    gradient = torch.randn(BATCH, columns, CONFIG.width)

    def alone() -> None:
        model.zero_grad(set_to_none=True)
        model.encoders(batch).backward(gradient)

    before = torch.get_num_threads()
    figures: dict[str, dict[str, float]] = {}
    for threads in THREADS:
        torch.set_num_threads(threads)
        clock = time.process_time if threads == 1 else time.perf_counter
        figures[str(threads)] = {
            "step_ms": round(_milliseconds(whole, clock), 2),
            "encoders_ms": round(_milliseconds(alone, clock), 2),
        }
    torch.set_num_threads(before)
    return figures


def cells() -> dict[str, Callable[[], Any]]:
    """Everything that is measured, by name."""
    return {
        f"steps/{kind}/{count}": functools.partial(measure, kind, count)
        for kind in KINDS
        for count in COUNTS
    }


def growth(found: dict[str, Any]) -> list[dict[str, Any]]:
    """A row per kind and number of threads: milliseconds at every count, growth from 10 to 100.

    Beside the stacked encoders stands what one encoder per column would take.
    """
    rows = []
    for kind in KINDS:
        own = {count: found.get(f"steps/{kind}/{count}") for count in COUNTS}
        if any(value is None for value in own.values()):
            continue
        for threads in map(str, THREADS):
            for part in ("step_ms", "encoders_ms"):
                times = {count: value[threads][part] for count, value in own.items() if value}
                rows.append(
                    {
                        "kind": kind,
                        "threads": int(threads),
                        "part": part.removesuffix("_ms"),
                        "ms": times,
                        "growth_10_to_100": round(times[100] / times[10], 2),
                        # What a hundred encoders of one column each would take, one after the other.
                        "hundred_apart_ms": round(100 * times[1], 1)
                        if part == "encoders_ms"
                        else None,
                    }
                )
    return rows
