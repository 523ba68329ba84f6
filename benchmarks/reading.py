"""A CSV of 2 GB to a schema and training tensors of a sample of 100,000 rows, beside DuckDB's scan of it.

make bench-reading DATA_DIR=…    # a folder that holds kdd_census.parquet
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.machine import machine
from featrix_core.files import write_json

HERE = Path(__file__).parent
BYTES, SAMPLE, TARGET = 2_000_000_000, 100_000, "income"
SOURCE = "kdd_census.parquet"
ROUNDS = 3
GOAL_GB, GOAL_TIMES = 1.2, 3.0
SCANS = {
    "duckdb_all_columns": "SELECT count(COLUMNS(*)) FROM read_csv('{file}')",
    "duckdb_count_rows": "SELECT count(*) FROM read_csv('{file}')",
    "duckdb_all_columns_as_text": "SELECT count(COLUMNS(*)) FROM read_csv('{file}', all_varchar=true)",
}


def write_table(source: Path, file: Path) -> dict[str, float]:
    """The table, again and again, as CSV of at least 2 GB; gives the number of rows."""
    import pandas as pd

    frame = pd.read_parquet(source)
    text = frame.to_csv(index=False).encode()
    header, _, body = text.partition(b"\n")
    times = 0
    with file.open("wb") as handle:
        handle.write(header + b"\n")
        while handle.tell() < BYTES:
            handle.write(body)
            times += 1
    return {"rows": float(times * len(frame))}


def featrix(file: Path) -> dict[str, float]:
    """Seconds of every stage, from the first import to the tensors."""
    seconds: dict[str, float] = {}
    started = before = time.monotonic()

    def done(stage: str) -> None:
        nonlocal before
        now = time.monotonic()
        seconds[stage], before = now - before, now

    from featrix_core.tables.build import build_schema, typed_columns
    from featrix_core.tables.reading import read_table

    done("import")
    table = read_table(file, max_rows=SAMPLE)
    done("read")
    schema = build_schema(table, targets=[TARGET])
    done("schema")
    from featrix_core.encoders.tokenizer import Tokenizer

    done("import torch")
    typed = typed_columns(table, schema)
    done("typed columns")
    tokenizer = Tokenizer.fit(schema, typed)
    done("fit codecs")
    batch = tokenizer.encode(typed)
    done("tensors")
    seconds["total"] = time.monotonic() - started
    return {**seconds, "rows": float(table.n_rows), "tokens": float(batch.missing_NA.shape[1])}


def duckdb(file: Path, query: str) -> dict[str, float]:
    """Seconds of one scan with DuckDB's own settings."""
    started = time.monotonic()
    import duckdb as engine

    imported = time.monotonic()
    engine.connect().execute(query.format(file=file)).fetchall()
    now = time.monotonic()
    return {"import": imported - started, "scan": now - imported, "total": now - started}


def in_a_process(kind: str, file: Path, *more: str) -> dict[str, float]:
    """One measurement in a process of its own, with the highest memory of that process.

    This process stays small: what it holds at its highest would count for its children too.
    """
    # The cache of sentence vectors would spare the model from the second run on.
    environment = {k: v for k, v in os.environ.items() if k != "FEATRIX_CACHE_DIR"}
    command = [
        sys.executable,
        "-m",
        "benchmarks.reading",
        "--child",
        kind,
        "--file",
        str(file),
        *more,
    ]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=HERE.parent, env=environment
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def child(kind: str, file: Path, data_dir: Path) -> None:
    """What runs in the process of its own."""
    if kind == "write":
        figures = write_table(data_dir / SOURCE, file)
    else:
        figures = featrix(file) if kind == "featrix" else duckdb(file, SCANS[kind])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(json.dumps({**figures, "peak_gb": peak}))


def run(data_dir: Path) -> dict[str, Any]:
    """All measurements in turn, three rounds; medians, and the single runs."""
    screen = Console(stderr=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.csv"
        rows = int(in_a_process("write", file, "--data-dir", str(data_dir))["rows"])
        size = file.stat().st_size
        screen.print(f"{size / 1e9:.2f} GB, {rows:,} rows")
        runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in ("featrix", *SCANS)}
        for number in range(ROUNDS):
            for kind, found in runs.items():
                found.append(in_a_process(kind, file))
                figures = f"{found[-1]['total']:.1f} s, {found[-1]['peak_gb']:.2f} GB"
                screen.print(f"round {number + 1}  {kind:<28}{figures}")
    middle = {
        kind: {key: round(statistics.median(r[key] for r in found), 3) for key in found[0]}
        for kind, found in runs.items()
    }
    own, scan = middle["featrix"], middle["duckdb_all_columns"]
    return {
        "machine": machine(),
        "file": {"bytes": size, "rows": rows, "source": SOURCE, "sample": SAMPLE},
        "median": middle,
        "times_duckdb_all_columns": round(own["total"] / scan["scan"], 2),
        "times_duckdb_count_rows": round(own["total"] / middle["duckdb_count_rows"]["scan"], 2),
        "goals": {"peak_gb": GOAL_GB, "times_duckdb_all_columns": GOAL_TIMES},
        "runs": runs,
    }


def main() -> None:
    """Run and write `results/reading.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "reading.json")
    parser.add_argument("--child", choices=["write", "featrix", *SCANS], help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.file, arguments.data_dir)
        return
    if arguments.data_dir is None:
        parser.error("--data-dir is needed: a folder that holds kdd_census.parquet")
    result = run(arguments.data_dir)
    write_json(arguments.out, result)
    own = result["median"]["featrix"]
    Console().print(
        f"{own['total']:.1f} s and {own['peak_gb']:.2f} GB; "
        f"{result['times_duckdb_all_columns']} × DuckDB's scan of all columns, "
        f"{result['times_duckdb_count_rows']} × its count of rows"
    )


if __name__ == "__main__":
    main()
