"""Encoders: codec throughput and step time over the number of columns.

    make bench-encoders DATA_DIR=…

Results are kept cell by cell in `results/encoders.json`: an interrupted run goes on where it stopped. A cell
is measured again when it is named with `--again` (a prefix of its name). What each encoder adds to a
prediction is measured by `benchmarks.encoder_value`, which takes hours.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Printed

from benchmarks import encoder_speed, encoder_steps
from benchmarks.machine import machine
from featrix_core.files import read_json, write_json

HERE = Path(__file__).parent
OUT = HERE / "results" / "encoders.json"
PARTS = ("throughput", "steps")


def cells(part: str, data_dir: Path) -> dict[str, Callable[[], Any]]:
    """What a part measures, by name."""
    return encoder_speed.cells(data_dir) if part == "throughput" else encoder_steps.cells()


def run(
    parts: list[str], data_dir: Path, out: Path, *, again: str | None, minutes: float | None
) -> dict[str, Any]:
    """Measure what is lacking, for at most so many minutes; the file is written after every cell."""
    console = Console(stderr=True)
    result: dict[str, Any] = read_json(out) if out.is_file() else {"cells": {}}
    found: dict[str, Any] = result["cells"]
    wanted = {name: cell for part in parts for name, cell in cells(part, data_dir).items()}
    if again is not None:
        for name in [name for name in wanted if name.startswith(again)]:
            found.pop(name, None)
    started = time.monotonic()
    for name, cell in wanted.items():
        if name in found:
            continue
        if minutes is not None and time.monotonic() - started > 60.0 * minutes:
            console.print("The time is up; run again to go on.")
            break
        before = time.monotonic()
        load = os.getloadavg()[0]
        measured = cell()
        info = machine()
        found[name] = {**measured, "date": info["date"], "load": round(load, 1)}
        result["machine"] = info
        result["summary"] = {"steps": encoder_steps.growth(found)}
        write_json(out, result)
        console.print(f"{name}  {time.monotonic() - before:.1f} s")
    return result


def show(result: dict[str, Any], console: Console) -> None:
    """Print what is there."""
    found = result["cells"]
    table = Printed("type", "distinct", "typing", "fit", "encode", "with sentences", "sentences s")
    for name, cell in found.items():
        if name.startswith("codec/"):
            kinds = ("typing", "fit", "encode", "encode_with_sentences")
            speeds = [f"{cell[f'{kind}_cells_per_s']:,}" for kind in kinds]
            seconds = f"{cell['sentences_s']:.2f}"
            table.add_row(name.removeprefix("codec/"), str(cell["distinct"]), *speeds, seconds)
    table.title = f"codecs, cells per second ({encoder_speed.ROWS:,} rows)"
    console.print(table)
    table = Printed("table", "tool", "seconds", "cells/s", "peak MiB", title="whole tables")
    for name, cell in found.items():
        if name.startswith("table/"):
            _, which, tool = name.split("/")
            speed, peak = f"{cell['cells_per_s']:,}", str(cell["peak_memory_mib"])
            table.add_row(which, tool, f"{cell['seconds']:.2f}", speed, peak)
    console.print(table)
    summary = result.get("summary", {"steps": []})
    counts = [str(count) for count in encoder_steps.COUNTS]
    table = Printed("columns", "part", "threads", *counts, "10 → 100", "100 apart")
    table.title = "milliseconds a step, by number of columns"
    for row in summary["steps"]:
        times = {str(count): f"{ms:.1f}" for count, ms in row["ms"].items()}
        growth = f"{row['growth_10_to_100']:.1f}×"
        part, threads = row["part"], str(row["threads"])
        apart = row["hundred_apart_ms"]
        shown = [
            *(times[count] for count in counts),
            growth,
            "" if apart is None else f"{apart:.1f}",
        ]
        table.add_row(row["kind"], part, threads, *shown)
    console.print(table)


def main() -> None:
    """Measure, print, write `results/encoders.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--again", default=None, help="measure cells again, by prefix")
    parser.add_argument("--minutes", type=float, default=None, help="start no cell after so long")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    parts = arguments.only.split(",")
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"unknown part {unknown[0]!r}; there are {', '.join(PARTS)}")
    result = run(
        parts,
        arguments.data_dir,
        arguments.out,
        again=arguments.again,
        minutes=arguments.minutes,
    )
    show(result, Console(width=150))


if __name__ == "__main__":
    main()
