"""A space trained by several processes under torchrun, beside the same one by a single process.

    python -m benchmarks.space_distributed

German credit's rows, repeated up to the wanted number, are trained on by one process and then by two, each with
one thread. The losses of every epoch are compared; the seconds of an epoch are the median over all but the first,
which also warms everything up. Where cores are busy, look at the processor's seconds in the first process: its
own work, and what the exchange costs it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from featrix_core.embedding_space import EmbeddingSpace
from featrix_core.files import read_json, write_json
from featrix_core.training.launch import writes
from featrix_core.training.protocols import EpochDone

HERE = Path(__file__).parent
DATA = HERE.parent / "examples" / "data" / "german_credit.csv"
TARGET = "class"
TOLERANCE = 1e-4


def _frame(rows: int) -> pd.DataFrame:
    """The table's rows over and over; numbers differ a little, so that no row stands twice."""
    frame = pd.read_csv(DATA).drop(columns=[TARGET])
    frame = pd.concat([frame] * -(-rows // len(frame)), ignore_index=True).iloc[:rows]
    return frame.assign(credit_amount=frame["credit_amount"] + frame.index / rows)


def _train(options: argparse.Namespace) -> None:
    """One process's part; the first one writes losses and seconds."""
    torch.set_num_threads(1)
    moments: list[tuple[float, float]] = []

    def note(_: EpochDone) -> None:
        moments.append((time.perf_counter(), time.process_time()))

    space = EmbeddingSpace(_frame(options.rows), n_epochs=options.epochs)
    space.train(on_epoch=note)
    if writes() and space.timeline is not None:
        seconds, busy = (
            median(after - before for before, after in pairwise(clock))
            for clock in zip(*moments, strict=True)
        )
        entries = space.timeline["timeline"]
        write_json(
            options.one,
            {
                "epoch_seconds": seconds,
                "processor_seconds": busy,
                "columns": len(space.column_names),
                "batch_size": space.training_info["batch_size"],
                "validation": [entry["validation_loss"] for entry in entries],
                "training": [entry["train_loss"] for entry in entries],
            },
        )


def _run(options: argparse.Namespace, processes: int, out: Path) -> dict[str, Any]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [*(launcher if processes > 1 else []), "-m", "benchmarks.space_distributed"]
    size = ["--rows", str(options.rows), "--epochs", str(options.epochs)]
    subprocess.run(
        [sys.executable, *command, *size, "--one", str(out)],
        check=True,
        cwd=HERE.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    found: dict[str, Any] = read_json(out)
    return found


def _difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest difference between losses of the same epoch."""
    pairs = [
        pair
        for key in ("validation", "training")
        for pair in zip(one[key], other[key], strict=True)
    ]
    return float(max(abs(a - b) for a, b in pairs))


def main(arguments: list[str] | None = None) -> None:
    """Run, print, write; status 1 where the losses differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "space_distributed.json")
    options = parser.parse_args(arguments)
    if options.one is not None:
        _train(options)
        return
    with tempfile.TemporaryDirectory() as name:
        one = _run(options, 1, Path(name) / "one.json")
        other = _run(options, options.processes, Path(name) / "other.json")
    difference = _difference(one, other)
    table = Table("processes", "seconds per epoch", "of the processor", "final validation loss")
    for processes, found in ((1, one), (options.processes, other)):
        taken = (f"{found[key]:.3f}" for key in ("epoch_seconds", "processor_seconds"))
        table.add_row(str(processes), *taken, f"{found['validation'][-1]:.6f}")
    console = Console()
    console.print(table)
    console.print(f"largest difference of a loss: {difference:.1e}")
    write_json(
        options.out,
        {
            "machine": machine(),
            "rows": options.rows,
            "columns": one["columns"],
            "batch_size": one["batch_size"],
            "epochs": options.epochs,
            "load": round(os.getloadavg()[0], 1),
            "largest_loss_difference": difference,
            "runs": [
                {
                    "processes": processes,
                    "epoch_seconds": round(found["epoch_seconds"], 4),
                    "processor_seconds": round(found["processor_seconds"], 4),
                    "final_validation_loss": found["validation"][-1],
                }
                for processes, found in ((1, one), (options.processes, other))
            ],
        },
    )
    if difference > TOLERANCE:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
