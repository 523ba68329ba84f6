"""How fast are predictions? Rows per second with and without importance, latency of one row (PRED-5).

    make bench-throughput DATA_DIR=…
    python -m benchmarks.throughput --data-dir data --only german_credit --quick
    python -m benchmarks.throughput --report            # fills the README from the results

A predictor is trained once per table as for any table. Rows per second are those of `predict_frame` on parsed
tables, on two threads unless others are asked for; latency is from the JSON text of one record to the JSON text of
its response through `SinglePredictor.predict`, one record after the other. A cell per table; cells that are there are
kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.program import Cells, Program
from benchmarks.space_cells import Cell, Settings
from benchmarks.space_tables import markdown

HERE = Path(__file__).parent
CREDIT = HERE.parent / "examples" / "data" / "german_credit.csv"
TABLES = {"german_credit": "class", "adult": "income"}
MOST_ROWS = 20_000
SCORED, EXPLAINED, SINGLE = 5_000, 100, 200
REPEATS = 3


def _frame(name: str, data_dir: Path) -> pd.DataFrame:
    if name == "german_credit":
        return pd.read_csv(CREDIT, keep_default_na=False)
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


def measure(settings: Settings, name: str) -> dict[str, Any]:
    """Train on all rows, then time predictions of rows drawn from them."""
    from featrix_core import EmbeddingSpace, SinglePredictor

    target, quick = TABLES[name], settings.quick
    frame = _frame(name, settings.data_dir)
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
        json.dumps(predict(json.loads(record), explain=explain))
        taken.append(1_000.0 * (time.perf_counter() - started))
    return {"p50": float(np.median(taken)), "p99": float(np.quantile(taken, 0.99))}


def cells(settings: Settings, sets: list[str]) -> list[Cell]:
    """One per table."""
    return [Cell(f"throughput/{name}", partial(measure, settings, name)) for name in sets]


def report(found: Cells) -> list[str]:
    """Rows per second and latency, by table."""
    rows = [
        [
            key.split("/")[1],
            cell["columns"],
            f"{cell['rows_per_second']:,.0f}",
            f"{cell['rows_per_second_importance']:,.1f}",
            *(f"{cell['latency_ms'][point]:.0f}" for point in ("p50", "p99")),
            *(f"{cell['latency_ms_importance'][point]:.0f}" for point in ("p50", "p99")),
        ]
        for key, cell in found.items()
    ]
    head = [
        "table", "columns", "rows per second", "with importance",
        "one row, ms, p50", "p99", "with importance, p50", "p99",
    ]  # fmt: skip
    return markdown(head, rows)


PROGRAM = Program(
    "throughput", "bench-throughput", (__doc__ or "").splitlines()[0], tuple(TABLES), cells, report
)

if __name__ == "__main__":
    PROGRAM.main()
