"""How fast are predictions? Rows per second with and without importance, latency of one row (PRED-5).

    make bench-throughput DATA_DIR=…
    python -m benchmarks.throughput --only german_credit --quick
    python -m benchmarks.throughput --report            # fills the README from the results

A predictor is trained once per table as for any table. Rows per second are those of `predict_frame` on parsed
tables, on two threads; latency is from the JSON text of one record to the JSON text of its response through
`SinglePredictor.predict`, one record after the other. A cell per table; cells that are there are kept.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from benchmarks import readme
from benchmarks.space_cells import RESULTS, SCRATCH, Cell, read_cells, run_suite
from benchmarks.space_tables import markdown
from featrix_core.files import read_json, write_text

RESULT = RESULTS / "throughput.json"
HERE = Path(__file__).parent
README = HERE / "README.md"
CREDIT = HERE.parent / "examples" / "data" / "german_credit.csv"
START, END = "<!-- throughput:start -->", "<!-- throughput:end -->"
THREADS = 2
TABLES = {"german_credit": "class", "adult": "income"}
MOST_ROWS = 20_000
SCORED, EXPLAINED, SINGLE = 5_000, 100, 200
REPEATS = 3


def _frame(name: str, data_dir: Path | None) -> pd.DataFrame:
    if name == "german_credit":
        return pd.read_csv(CREDIT, keep_default_na=False)
    assert data_dir is not None
    frame = pd.read_parquet(data_dir / f"{name}.parquet")
    return frame.sample(min(len(frame), MOST_ROWS), random_state=42).reset_index(drop=True)


def _rate(rows: int, call: Callable[[], object]) -> float:
    """Rows per second, the best of some repetitions: others' work makes a run slower, nothing makes it faster."""
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return rows / min(seconds)


def measure(name: str, data_dir: Path | None, quick: bool) -> dict[str, Any]:
    """Train on all rows, then time predictions of rows drawn from them."""
    import torch

    from featrix_core import EmbeddingSpace, SinglePredictor

    torch.set_num_threads(THREADS)
    target = TABLES[name]
    frame = _frame(name, data_dir)
    if quick:
        frame = frame.iloc[:300]
    epochs = 2 if quick else None
    space = EmbeddingSpace(frame.drop(columns=[target]), n_epochs=epochs).train()
    predictor = SinglePredictor(space)
    predictor.prep_for_training(frame, target, "set").train(n_epochs=epochs)
    scored, explained, single = (50, 5, 10) if quick else (SCORED, EXPLAINED, SINGLE)
    rows = frame.drop(columns=[target]).sample(scored, replace=True, random_state=42)
    rows = rows.reset_index(drop=True)
    few = rows.iloc[:explained]
    predictor.predict_frame(few.iloc[:2], explain=True)  # what the first call sets up is not timed
    plain = _rate(len(rows), lambda: predictor.predict_frame(rows, explain=False))
    signed = _rate(len(few), lambda: predictor.predict_frame(few, explain=True))
    records = [row.to_json(orient="records") for row in _singly(rows.iloc[:single])]
    return {
        "rows": len(frame),
        "columns": int(rows.shape[1]),
        "rows_per_second": plain,
        "rows_per_second_importance": signed,
        "latency_ms": _latency(predictor.predict, records, False),
        "latency_ms_importance": _latency(predictor.predict, records[: max(1, single // 4)], True),
    }


def _singly(frame: pd.DataFrame) -> list[pd.DataFrame]:
    return [frame.iloc[place : place + 1] for place in range(len(frame))]


def _latency(
    predict: Callable[..., list[dict[str, Any]]], records: list[str], explain: bool
) -> dict[str, float]:
    """Milliseconds from JSON to JSON, median and 99th percentile over records."""
    taken = []
    for record in records:
        started = time.perf_counter()
        json.dumps(predict(pd.read_json(io.StringIO(record), orient="records"), explain=explain))
        taken.append(1_000.0 * (time.perf_counter() - started))
    return {"p50": float(np.median(taken)), "p99": float(np.quantile(taken, 0.99))}


def block(cells: dict[str, dict[str, Any]]) -> str:
    """Markdown of all cells."""
    if not cells:
        return "No results are committed yet."
    rows = [
        [
            name,
            cell["columns"],
            f"{cell['rows_per_second']:,.0f}",
            f"{cell['rows_per_second_importance']:,.1f}",
            *(f"{cell['latency_ms'][key]:.0f}" for key in ("p50", "p99")),
            *(f"{cell['latency_ms_importance'][key]:.0f}" for key in ("p50", "p99")),
        ]
        for name, cell in cells.items()
    ]
    head = [
        "table", "columns", "rows per second", "with importance",
        "one row, ms, p50", "p99", "with importance, p50", "p99",
    ]  # fmt: skip
    loads = [cell["load"] for cell in cells.values()]
    dates = sorted({cell["date"] for cell in cells.values()})
    return "\n".join(
        [
            *markdown(head, rows),
            "",
            f"{len(cells)} of {len(TABLES)} tables, {', '.join(dates)}, {THREADS} threads, load "
            f"{min(loads):.0f}–{max(loads):.0f} when done.",
        ]
    )


def main() -> None:
    """Measure what is lacking, or fill the README."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="for adult")
    parser.add_argument("--only", choices=list(TABLES), nargs="+", default=list(TABLES))
    parser.add_argument("--again", action="store_true", help="cells of other code, too")
    parser.add_argument("--quick", action="store_true", help="few rows, results not kept")
    parser.add_argument("--report", action="store_true", help="fill the README, measure nothing")
    arguments = parser.parse_args()
    if arguments.report:
        cells = read_json(RESULT)["cells"] if RESULT.is_file() else {}
        text = README.read_text(encoding="utf-8")
        write_text(README, readme.filled(text, block(cells), START, END))
        return
    if arguments.data_dir is None and "adult" in arguments.only:
        parser.error("--data-dir is needed for adult")
    path = SCRATCH / "quick" / "throughput.json" if arguments.quick else RESULT
    console = Console()
    cells_to_do = [
        Cell(name, partial(measure, name, arguments.data_dir, arguments.quick))
        for name in arguments.only
    ]
    failed = run_suite(
        cells_to_do, path, again=arguments.again, deadline=float("inf"), console=console
    )
    console.print(block(read_cells(path)), markup=False, highlight=False)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
