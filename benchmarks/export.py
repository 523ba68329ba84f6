"""An exported predictor beside torch: figures, latency, throughput, disk, import time (`make bench-export`).

German credit, a frozen bag without the models beside the nets. Times are of the graph alone: both sides are handed the
same tensors, which the codecs have made of raw rows.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.machine import machine
from featrix_core import EmbeddingSpace, FeatrixInputDataSet, SinglePredictor
from featrix_core.files import write_json
from featrix_core.predictor.export import export_predictor
from featrix_core.predictor.exported import ExportedPredictor

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "examples" / "data" / "german_credit.csv"
RESULT = ROOT / "benchmarks" / "results" / "export.json"
EPOCHS = 5
REPEATS = 100


def milliseconds(call: Callable[[], object], repeats: int) -> dict[str, float]:
    """p50 and p99 of a call, after ten that do not count."""
    for _ in range(10):
        call()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - started))
    p50, p99 = np.quantile(taken, [0.5, 0.99])
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}


def seconds_of(code: str) -> float:
    """Processor seconds of a fresh Python that runs the code: the least of three."""
    timed = f"import time\n{code}\nprint(time.process_time())"
    runs = [
        subprocess.run([sys.executable, "-c", timed], check=True, capture_output=True, text=True)
        for _ in range(3)
    ]
    return round(min(float(run.stdout.split()[-1]) for run in runs), 2)


def megabytes(folder: Path) -> float:
    """Size of a folder's files."""
    return round(sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e6, 1)


def package_megabytes(name: str) -> float:
    """Size of an installed package."""
    found = sys.modules[name].__file__
    assert found is not None
    return megabytes(Path(found).parent)


def run(folder: Path) -> dict[str, Any]:
    """All figures."""
    torch.set_num_threads(1)
    frame = pd.read_csv(DATA)
    data = FeatrixInputDataSet(frame, ignore_cols=["class"])
    space = EmbeddingSpace(data, n_epochs=EPOCHS).train()
    predictor = SinglePredictor(space, fine_tune=False, ensemble=False)
    predictor.prep_for_training(frame, "class").train(n_epochs=EPOCHS)
    predictor.save(folder / "bundle")
    started = time.process_time()
    export_predictor(predictor, folder / "export")
    seconds = time.process_time() - started
    exported = ExportedPredictor.load(folder / "export", threads=1)
    rows = frame.drop(columns=["class"])
    batch = predictor.tokens(rows)
    cells = exported.cells(rows)
    own, said = predictor.predict_proba(rows), exported.run(cells)
    one_batch, one = batch.rows(slice(0, 1)), exported.cells(rows.iloc[:1])
    rates = {}
    for name, call in (
        ("torch", lambda: predictor._said(batch)),
        ("onnx", lambda: exported.run(cells)),
    ):
        rates[name] = round(len(rows) / (milliseconds(call, 10)["p50"] / 1000))
    return {
        "machine": machine(),
        "members": len(predictor.members),
        "largest_difference": {
            "probabilities": float(np.abs(own - said["probabilities"]).max()),
            "row_embedding": float(np.abs(space.encode(rows) - said["row_embedding"]).max()),
        },
        "one_row_ms": {
            "torch": milliseconds(lambda: predictor._said(one_batch), REPEATS),
            "onnx": milliseconds(lambda: exported.run(one), REPEATS),
            "codecs": milliseconds(lambda: exported.cells(rows.iloc[:1]), REPEATS),
        },
        "rows_per_second": rates,
        "export_seconds": round(seconds, 1),
        "disk_mb": {
            "bundle": megabytes(folder / "bundle"),
            "export": megabytes(folder / "export"),
            "torch": package_megabytes("torch"),
            "onnxruntime": package_megabytes("onnxruntime"),
        },
        "import_seconds": {
            "single_predictor": seconds_of("import featrix_core.single_predictor"),
            "exported": seconds_of("import onnxruntime, featrix_core.predictor.exported"),
            "onnxruntime": seconds_of("import onnxruntime"),
            "torch": seconds_of("import torch"),
        },
    }


def main() -> None:
    """Write benchmarks/results/export.json and print it."""
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder))
    write_json(RESULT, found)
    print(RESULT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
