"""Cells of the space's benchmarks: what a suite is, and how its cells are measured, kept and measured again.

A suite is a module with

    QUESTION: str                                      what it asks, in a line
    def cells(settings: Settings) -> list[Cell]        everything that it measures, most telling first
    def report(found: dict[str, dict]) -> list[str]    Markdown of the cells that are there, by their names

Its results lie in `results/space_<suite>.json`, written after every cell. Each cell names the commit, the tree of
`featrix_core` that it ran with, date, load and threads; a space's plan stands in the cell of whoever trained it.
"""

from __future__ import annotations

import concurrent.futures
import functools
import multiprocessing
import os
import subprocess
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.machine import machine
from featrix_core.files import read_json, write_json

HERE = Path(__file__).parent
RESULTS = HERE / "results"
SCRATCH = HERE.parent / "out" / "bench-space"
"""Trained spaces that several cells share, and the results of `--quick`."""


@dataclass(frozen=True)
class Settings:
    """What all suites are told.

    quick: a few rows and epochs, to see that every cell runs; such results are never kept as results.
    """

    data_dir: Path
    quick: bool = False

    def rows(self, count: int) -> int:
        """Rows of a table: `count`, or hardly any."""
        return min(count, 300) if self.quick else count

    @property
    def epochs(self) -> int | None:
        """Epochs of a space: what its plan says, or two."""
        return 2 if self.quick else None


@dataclass(frozen=True)
class Cell:
    """One measurement.

    own: it depends on this project's training, so that a change of the code asks for it again.
    """

    name: str
    measure: Callable[[], dict[str, Any]]
    own: bool = True


@functools.cache
def revision() -> dict[str, Any]:
    """Commit, tree of `featrix_core`, and whether that was changed since; read once, as the modules are."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=HERE, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    return {
        "commit": git("rev-parse", "--short", "HEAD"),
        "code": git("rev-parse", "--short", "HEAD:featrix_core"),
        "changed": bool(git("status", "--porcelain", "--", ":/featrix_core")),
    }


def result_file(suite: str, *, quick: bool) -> Path:
    """Where a suite's cells are kept."""
    return (SCRATCH / "quick" if quick else RESULTS) / f"space_{suite}.json"


def read_cells(path: Path) -> dict[str, dict[str, Any]]:
    """Cells by name; none where there is no file yet."""
    cells: dict[str, dict[str, Any]] = read_json(path)["cells"] if path.is_file() else {}
    return cells


def run_suite(
    cells: Iterable[Cell], path: Path, *, again: bool, deadline: float, console: Console
) -> int:
    """Measure what is lacking until `deadline` (monotonic seconds); how many cells failed.

    again: cells that this project's code has a part in and that were measured with other code, too. A run
    that was stopped goes on where it stopped, as long as the code stays.
    """
    import torch

    failed = 0
    for cell in cells:
        known = read_cells(path).get(cell.name)
        outdated = known is not None and known["code"] != revision()["code"]
        if known is not None and not (again and cell.own and outdated):
            continue
        if time.monotonic() > deadline:
            console.print("The time is up; run again to go on.")
            break
        started, load = time.monotonic(), os.getloadavg()[0]
        try:
            figures = cell.measure()
        except Exception:
            failed += 1
            console.print(f"[red]{cell.name} failed[/red]")
            console.print(traceback.format_exc(), markup=False, highlight=False)
            continue
        info = machine()
        record = {
            **figures,
            **revision(),
            "cell_seconds": round(time.monotonic() - started, 1),
            "date": info["date"],
            "processor": info["processor"],
            "load": round(load, 1),
            "threads": torch.get_num_threads(),
        }
        # Read again: another process may have added cells in the meantime.
        write_json(path, {"machine": info, "cells": {**read_cells(path), cell.name: record}})
        shown = "  ".join(
            f"{key} {value:.4f}" for key, value in figures.items() if isinstance(value, float)
        )
        console.print(f"{cell.name}  {record['cell_seconds']} s  {shown}", highlight=False)
    return failed


def apart(call: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """A measurement in a process of its own, with the process's peak memory."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_with_memory, call, *arguments).result()


def _with_memory(call: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    import resource

    import torch  # noqa: F401  (part of every process that trains, so it is before)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = call(*arguments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {**figures, "memory_before_mib": before // 1024, "peak_memory_mib": peak // 1024}
