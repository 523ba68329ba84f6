"""Predictors on real tables, beside what a practitioner would use instead: one cell per set, method and fold.

    make bench-quality DATA_DIR=…
    python -m benchmarks.quality --data-dir … --peers                    # what this code has no part in
    python -m benchmarks.quality --data-dir … --sets adult,fars --methods featrix --minutes 60
    python -m benchmarks.quality --data-dir … --only adult/LightGBM      # cells whose name holds this
    python -m benchmarks.quality --data-dir … --again                    # own cells of other code, once more
    python -m benchmarks.quality --data-dir … --quick                    # tiny; under out/bench-quality
    python -m benchmarks.quality --list

A run that was stopped goes on where it stopped. Every cell is a process of its own, so that its peak memory is its
own. A cell may hold several methods' figures, where they come from one fit.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import math
import multiprocessing
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.quality_figures import LOSS, SCORE, Answers, figures
from benchmarks.quality_own import OWN, featrix_answers
from benchmarks.quality_peers import PEERS, TUNED, peer_answers
from benchmarks.quality_sets import ROWS, SEED, SMALL, Question, fold_count, question
from benchmarks.space_cells import RESULTS, Cell, _with_memory, read_cells, run_suite

SCRATCH = RESULTS.parent.parent / "out" / "bench-quality"
RESULT = RESULTS / "quality.json"
METHODS = ("linear", "LightGBM", "XGBoost", "CatBoost", TUNED, *OWN, "TabM", "RealMLP")
"""In the order in which they run: the cheap ones first."""
QUICK_ROWS = 300


def asks(method: str, name: str) -> bool:
    """Whether a method is measured on a set: tuning takes too long on large ones."""
    return method != TUNED or ROWS[name] <= SMALL


def cells(data_dir: Path, *, threads: int = 2, quick: bool = False) -> list[Cell]:
    """Everything that the suite measures; a cell is named `quality/<set>/<method>/<fold>`."""
    return [
        Cell(
            f"quality/{name}/{method}/{fold}",
            partial(_measured, data_dir, name, method, fold, threads, quick),
            own=method in OWN,
        )
        for method in METHODS
        for name in ROWS
        if asks(method, name)
        for fold in range(1 if quick else fold_count(ROWS[name]))
    ]


def _measured(*arguments: Any) -> dict[str, Any]:
    """A cell in a process of its own, forked from one that has read the modules and done nothing else: reading
    them anew takes longer than most peers, and all cells of a run are of the same code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.quality_own", "benchmarks.quality_peers"])
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_with_memory, measure, *arguments).result()


def measure(
    data_dir: Path, name: str, method: str, fold: int, threads: int, quick: bool
) -> dict[str, Any]:
    """One fold of one set by one method."""
    import torch

    torch.set_num_threads(threads)
    asked = question(data_dir, name, QUICK_ROWS if quick else None)
    started = time.process_time()
    answers = answered(asked, method, fold, threads, quick=quick)
    return {
        **record(asked, fold, answers),
        "processor_seconds": round(time.process_time() - started, 1),
        "threads": threads,
    }


def answered(
    asked: Question, method: str, fold: int, threads: int = 2, *, quick: bool = False
) -> dict[str, Answers]:
    """Answers on the test rows of a fold, by method; it sees the labels of the training rows alone."""
    rows, held = asked.folds()[fold]
    train, test = asked.task.take(rows), asked.task.take(held)
    if method in PEERS:
        said = peer_answers(
            method, train.frame, train.y_N, test.frame,
            classes=len(asked.names), seed=SEED, threads=threads, quick=quick,
        )  # fmt: skip
        return {method: said}
    import pandas as pd

    named = [asked.names[int(code)] for code in train.y_N] if asked.names else train.y_N
    return featrix_answers(
        train.frame, pd.Series(named), test.frame, asked.kind, SEED,
        names=asked.names, epochs=2 if quick else None,
    )  # fmt: skip


def record(asked: Question, fold: int, answers: dict[str, Answers]) -> dict[str, Any]:
    """What a cell keeps: the fold's size and, under `methods`, the figures of each."""
    rows, held = asked.folds()[fold]
    y_N = asked.task.y_N[held]
    methods = {method: figures(asked.kind, y_N, said) for method, said in answers.items()}
    first = next(iter(methods.values()))
    return {
        "kind": asked.kind,
        "rows": len(rows),
        "test_rows": len(held),
        "columns": int(asked.task.frame.shape[1]),
        "classes": len(asked.names),
        "methods": methods,
        # For the line that a run prints.
        "score": float(first[SCORE[asked.kind]]),
        "loss": float(first[LOSS[asked.kind]]),
    }


def _chosen(every: list[Cell], arguments: argparse.Namespace) -> list[Cell]:
    kept = []
    for cell in every:
        _, name, method, _ = cell.name.split("/")
        wanted = (
            (not arguments.sets or name in arguments.sets)
            and (not arguments.methods or method in arguments.methods)
            and (not arguments.only or any(part in cell.name for part in arguments.only))
            and not (arguments.peers and cell.own)
        )
        kept += [cell] if wanted else []
    return kept


def _arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", default="", help="cells whose name holds one of these, by commas")
    parser.add_argument("--sets", default="", help=f"by commas: {', '.join(ROWS)}")
    # Methods' own names hold commas.
    parser.add_argument("--methods", default="", help=f"by semicolons: {'; '.join(METHODS)}")
    parser.add_argument("--peers", action="store_true", help="only what this code has no part in")
    parser.add_argument("--again", action="store_true", help="own cells of other code, once more")
    parser.add_argument("--minutes", type=float, default=math.inf, help="start none after so long")
    parser.add_argument("--threads", type=int, default=2, help="of every cell")
    parser.add_argument("--out", type=Path, help=f"result file (default: {RESULT.name})")
    parser.add_argument("--quick", action="store_true", help="tiny cells, to see that all run")
    parser.add_argument("--list", action="store_true", help="methods and how many cells are there")
    arguments = parser.parse_args(given)
    for option, sign, known in (
        ("sets", ",", ROWS),
        ("methods", ";", METHODS),
        ("only", ",", None),
    ):
        parts = [part.strip() for part in getattr(arguments, option).split(sign)]
        chosen = list(filter(None, parts))
        setattr(arguments, option, chosen)
        if known is not None and (unknown := set(chosen) - set(known)):
            parser.error(f"--{option}: unknown {min(unknown)!r}; there are {', '.join(known)}")
    if not arguments.list and arguments.data_dir is None:
        parser.error("--data-dir is needed")
    return arguments


def main(given: list[str] | None = None) -> None:
    """Measure what is lacking; exit 1 when a cell failed."""
    import torch

    arguments = _arguments(given)
    every = cells(arguments.data_dir or Path(), threads=arguments.threads, quick=arguments.quick)
    chosen = _chosen(every, arguments)
    path = arguments.out or (SCRATCH / "quick.json" if arguments.quick else RESULT)
    if arguments.list:
        there = read_cells(path)
        for method in METHODS:
            own = [cell.name for cell in chosen if cell.name.split("/")[2] == method]
            print(f"{method:<20}{sum(name in there for name in own):>5} of {len(own):>5} cells")
        return
    if arguments.quick and not arguments.out:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Before the first process starts, so that its libraries begin with so many.
    for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[key] = str(arguments.threads)
    torch.set_num_threads(arguments.threads)
    deadline = time.monotonic() + 60.0 * arguments.minutes
    console = Console(stderr=True, width=150)
    failed = run_suite(chosen, path, again=arguments.again, deadline=deadline, console=console)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
