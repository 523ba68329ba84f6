"""The embedding space, measured: all suites, cell by cell.

    make bench-space DATA_DIR=…
    python -m benchmarks.space --data-dir … --only probe,labels --sets diamonds,bikeshare --minutes 60
    python -m benchmarks.space --data-dir … --again probe     # cells measured with other code, once more
    python -m benchmarks.space --data-dir … --quick           # tiny; under out/bench-space/quick
    python -m benchmarks.space --list

A run that was stopped goes on where it stopped. Suites: see `SUITES`; what a suite is: `benchmarks.space_cells`.
"""

from __future__ import annotations

import argparse
import importlib
import math
import sys
import time
from pathlib import Path
from types import ModuleType

from rich.console import Console

from benchmarks.space_cells import Cell, Settings, read_cells, result_file, run_suite

SUITES = (
    "probe",
    "labels",
    "targets",
    "tokens",
    "time",
    "columns",
    "ablation",
    "pairs",
    "rho",
    "plan",
    "kills",
)
"""In the order in which they run; each is the module `benchmarks.space_<name>`."""


def suite(name: str) -> ModuleType:
    """A suite's module."""
    return importlib.import_module(f"benchmarks.space_{name}")


def _chosen(cells: list[Cell], sets: list[str] | None, rivals: bool) -> list[Cell]:
    """Cells of the named data sets (a cell's name holds its set between strokes), or of rivals alone."""
    named = [cell for cell in cells if sets is None or set(sets) & set(cell.name.split("/"))]
    return [cell for cell in named if not (rivals and cell.own)]


def main() -> None:
    """Measure what is lacking; exit 1 when a cell failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", default=None, help="suites, separated by commas")
    parser.add_argument("--sets", default=None, help="data sets, separated by commas")
    parser.add_argument(
        "--again", default="", help="suites whose outdated cells are measured again"
    )
    parser.add_argument("--minutes", type=float, default=None, help="start no cell after so long")
    parser.add_argument("--out", type=Path, default=None, help="folder of the result files")
    parser.add_argument("--quick", action="store_true", help="tiny cells, to see that all run")
    parser.add_argument("--list", action="store_true", help="suites and how many cells are there")
    arguments = parser.parse_args()
    if not arguments.list and arguments.data_dir is None:
        parser.error("--data-dir is needed")
    again = set(filter(None, arguments.again.split(",")))
    only = (
        arguments.only.split(",") if arguments.only else sorted(again, key=SUITES.index) or SUITES
    )
    if unknown := (set(only) | again) - set(SUITES):
        parser.error(f"unknown suite {min(unknown)!r}; there are {', '.join(SUITES)}")
    settings = Settings(arguments.data_dir or Path(), arguments.quick)
    sets = arguments.sets.split(",") if arguments.sets else None
    deadline = math.inf if arguments.minutes is None else time.monotonic() + 60 * arguments.minutes
    console, failed = Console(stderr=True, width=150), 0
    for name in only:
        module = suite(name)
        path = result_file(name, quick=settings.quick)
        path = arguments.out / path.name if arguments.out and not settings.quick else path
        if settings.quick and not arguments.list:
            path.unlink(missing_ok=True)
        cells = _chosen(module.cells(settings), sets, arguments.rivals)
        if arguments.list:
            there = len({cell.name for cell in cells} & set(read_cells(path)))
            print(f"{name:<10}{there:>5} of {len(cells):>5} cells  {module.QUESTION}")
            continue
        failed += run_suite(cells, path, again=name in again, deadline=deadline, console=console)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
