"""The embedding space, measured: all suites, cell by cell.

    make bench-space DATA_DIR=…
    python -m benchmarks.space --data-dir … --only probe,labels --sets diamonds,bikeshare --minutes 60
    python -m benchmarks.space --data-dir … --again probe     # cells measured with other code, once more
    python -m benchmarks.space --data-dir … --quick           # tiny; under out/bench-space/quick
    python -m benchmarks.space --list

A run that was stopped goes on where it stopped. What a suite is: `benchmarks.space_cells`.
"""

from __future__ import annotations

import argparse
import importlib
import math
import sys
import time
import traceback
from collections.abc import Callable
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
    "pairs",
    "rho",
    "ablation",
    "plan",
)
"""In the order in which they run; each is the module `benchmarks.space_<name>`."""


def _kills(settings: Settings) -> list[str]:
    small = ["--rows", "200", "--columns", "6", "--epochs", "4", "--kills", "2", "--runs", "1"]
    return small if settings.quick else []


def _distributed(settings: Settings) -> list[str]:
    return ["--rows", "200", "--epochs", "3"] if settings.quick else []


PROGRAMS: dict[str, Callable[[Settings], list[str]]] = {
    "kills": _kills,
    "distributed": _distributed,
}
"""Suites with a result of their own form (`main(arguments)`, `--out`), and their arguments."""


def suite(name: str) -> ModuleType:
    """A suite's module."""
    return importlib.import_module(f"benchmarks.space_{name}")


def _chosen(cells: list[Cell], sets: list[str] | None, rivals: bool) -> list[Cell]:
    """Cells of the named data sets (a cell's name holds its set between strokes), or of rivals alone."""
    named = [cell for cell in cells if sets is None or set(sets) & set(cell.name.split("/"))]
    return [cell for cell in named if not (rivals and cell.own)]


def _run_program(name: str, settings: Settings, path: Path, *, again: bool) -> int:
    """Run a program whose result is not there yet; 1 when it failed."""
    if path.is_file() and not again:
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        suite(name).main(["--out", str(path), *PROGRAMS[name](settings)])
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return int(not (isinstance(error, SystemExit) and error.code in (0, None)))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    known = (*SUITES, *PROGRAMS)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", default="", help=f"suites, by commas: {', '.join(known)}")
    parser.add_argument("--sets", default="", help="data sets, separated by commas")
    parser.add_argument("--rivals", action="store_true", help="only what this code has no part in")
    parser.add_argument("--again", default="", help="suites whose outdated cells are run again")
    parser.add_argument("--minutes", type=float, default=math.inf, help="start none after so long")
    parser.add_argument("--out", type=Path, help="folder of the result files")
    parser.add_argument("--quick", action="store_true", help="tiny cells, to see that all run")
    parser.add_argument("--list", action="store_true", help="suites and how many cells are there")
    arguments = parser.parse_args()
    for option in ("only", "sets", "again"):
        given = list(filter(None, getattr(arguments, option).split(",")))
        setattr(arguments, option, given)
        if option != "sets" and (unknown := set(given) - set(known)):
            parser.error(f"unknown suite {min(unknown)!r}; there are {', '.join(known)}")
    arguments.only = arguments.only or arguments.again or list(known)
    if not arguments.list and arguments.data_dir is None:
        parser.error("--data-dir is needed")
    return arguments


def main() -> None:
    """Measure what is lacking; exit 1 when a cell failed."""
    arguments = _arguments()
    settings = Settings(arguments.data_dir or Path(), arguments.quick)
    deadline = time.monotonic() + 60.0 * arguments.minutes
    console, failed = Console(stderr=True, width=150), 0
    for name in arguments.only:
        path = result_file(name, quick=settings.quick)
        if settings.quick:
            path.unlink(missing_ok=True)
        elif arguments.out:
            path = arguments.out / path.name
        again = name in arguments.again
        if name in PROGRAMS:
            if arguments.list:
                print(f"{name:<10}{'there' if path.is_file() else 'not there yet'}")
            elif not (arguments.rivals or arguments.sets) and time.monotonic() < deadline:
                failed += _run_program(name, settings, path, again=again)
            continue
        module = suite(name)
        cells = _chosen(module.cells(settings), arguments.sets or None, arguments.rivals)
        if arguments.list:
            there = len({cell.name for cell in cells} & set(read_cells(path)))
            print(f"{name:<10}{there:>5} of {len(cells):>5} cells  {module.QUESTION}")
            continue
        failed += run_suite(cells, path, again=again, deadline=deadline, console=console)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
