"""Cost against columns: step time and memory while all pairs are candidates, on real columns beside one another.

A step is forward and backward of `SpaceObjective.loss` at batch 256 and the space's own width; median of nine. One
thread is timed by the processor's clock, which other processes do not disturb; two, and a GPU, by the wall's. The
share of matrix products is that of torch's profiler, by operators' own time. Every count is a process of its own.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.space_cells import Cell, Settings, apart
from benchmarks.space_data import side_by_side
from benchmarks.space_tables import markdown

QUESTION = "step time and memory at 10 … 200 columns, all pairs still candidates"
COUNTS = (10, 20, 50, 100, 200)
ROWS = 4_000
BATCH = 256
RUNS = 9
THREADS = (1, 2)
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "_scaled_dot_product")
"""Beginnings of the names of torch's operators (`aten::…`) that multiply matrices."""


def measure(data_dir: Path, columns: int, rows: int) -> dict[str, Any]:
    """Milliseconds per step by threads, share of matrix products, pairs read in a step."""
    import torch

    from featrix_core.embedding_space import EmbeddingSpace
    from featrix_core.input_data_set import as_table
    from featrix_core.space.objective import SpaceObjective
    from featrix_core.space.plan import pair_budget
    from featrix_core.space.relationships import PairSampler
    from featrix_core.tables.build import typed_columns
    from featrix_core.training.device import choose_device, moved
    from featrix_core.training.rotation import Sides

    frame = side_by_side(data_dir, rows, columns).frame
    space = EmbeddingSpace(frame, seed=42)
    device = choose_device()
    space.model.to(device)
    batch = moved(space.tokenizer.encode(typed_columns(as_table(frame), space.schema)), device)
    used = len(space.column_names)
    sampler = PairSampler(used, pair_budget(used), 42)
    objective = SpaceObjective(space.model, batch, Sides.given(rows, 0), sampler)
    objective.start_epoch(1, 0.0)
    index = torch.arange(min(BATCH, rows))

    def step() -> None:
        space.model.zero_grad(set_to_none=True)
        objective.loss(index)[0].backward()  # type: ignore[no-untyped-call]
        if device.type == "cuda":
            torch.cuda.synchronize()

    figures: dict[str, Any] = {"columns": columns, "used": used, "batch": len(index)}
    figures["pairs"] = len(objective.pairs_Q2)
    figures["config"] = space.model.config.model_dump()
    figures["parameters"] = sum(p.numel() for p in space.model.parameters())
    for threads in THREADS:
        torch.set_num_threads(threads)
        alone = threads == 1 and device.type == "cpu"
        clock = time.process_time if alone else time.perf_counter
        figures[f"step_ms_{threads}"] = round(_milliseconds(step, clock), 1)
    figures["device"] = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    figures["products_share"] = round(_products_share(step), 3)
    return figures


def _products_share(step: Callable[[], None]) -> float:
    """Share of operators' own time, on the device where there is one, that is spent in matrix products."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    gpu = torch.cuda.is_available()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]
    with profile(activities=activities) as watched:
        for _ in range(3):
            step()
    # Kernels are listed once more by themselves; their time is that of the operators that started them.
    events = [event for event in watched.key_averages() if event.device_type.name == "CPU"]
    own = {e.key: e.self_device_time_total if gpu else e.self_cpu_time_total for e in events}
    starts = tuple(f"aten::{name}" for name in PRODUCTS)
    return float(sum(t for key, t in own.items() if key.startswith(starts)) / sum(own.values()))


def _milliseconds(step: Callable[[], None], clock: Callable[[], float]) -> float:
    taken = []
    for run in range(RUNS + 2):
        started = clock()
        step()
        if run >= 2:
            taken.append(1000.0 * (clock() - started))
    return statistics.median(taken)


def cells(settings: Settings) -> list[Cell]:
    """A cell per number of columns."""
    rows = settings.rows(ROWS)
    return [
        Cell(
            f"columns/{count}/0",
            functools.partial(apart, measure, settings.data_dir, count, rows),
        )
        for count in COUNTS
    ]


def report(found: dict[str, dict[str, Any]]) -> list[str]:
    """A row per count."""
    rows = []
    for count in COUNTS:
        cell = found.get(f"columns/{count}/0")
        if cell is not None:
            rows.append(
                [
                    count,
                    cell["used"],
                    cell["pairs"],
                    cell["config"]["d_model"],
                    f"{cell['step_ms_1']:.0f}",
                    f"{cell['step_ms_1'] / cell['used']:.2f}",
                    f"{cell['step_ms_2']:.0f}",
                    f"{cell['products_share']:.0%}",
                    f"{cell['memory_before_mib']:,}",
                    f"{cell['peak_memory_mib']:,}",
                    f"{cell['parameters']:,}",
                ]
            )
    head = ["columns", "used", "active pairs", "row width", "step, ms, one thread"]
    head += [
        "per column",
        "two threads",
        "in matrix products",
        "MiB before",
        "MiB at most",
        "parameters",
    ]
    return markdown(head, rows, left=0)
