"""An exported predictor beside torch: figures, latency, throughput, disk, import time.

    make bench-export
    python -m benchmarks.export --data-dir examples/data
    python -m benchmarks.export --report                # fills the README from the results

German credit, a frozen bag without the models beside the nets. Times are of the graph alone: both sides are handed the
same tensors, which the codecs have made of raw rows.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.program import Cells, Program
from benchmarks.space_cells import Cell, Settings
from benchmarks.space_tables import markdown
from featrix_core import EmbeddingSpace, FeatrixInputDataSet, SinglePredictor
from featrix_core.predictor.export import export_predictor
from featrix_core.predictor.exported import ExportedPredictor

SETS = ("german_credit",)
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


def measure(settings: Settings, name: str) -> dict[str, Any]:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder:
        return _measured(pd.read_csv(settings.data_dir / f"{name}.csv"), Path(folder), settings)


def _measured(frame: pd.DataFrame, folder: Path, settings: Settings) -> dict[str, Any]:
    epochs = 1 if settings.quick else EPOCHS
    data = FeatrixInputDataSet(frame, ignore_cols=["class"])
    space = EmbeddingSpace(data, n_epochs=epochs).train()
    predictor = SinglePredictor(space, fine_tune=False, ensemble=False)
    predictor.prep_for_training(frame, "class").train(n_epochs=epochs)
    predictor.save(folder / "bundle")
    started = time.process_time()
    export_predictor(predictor, folder / "export")
    seconds = time.process_time() - started
    exported = ExportedPredictor.load(folder / "export", threads=torch.get_num_threads())
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
        "members": len(predictor.members),
        "largest_difference": {
            "probabilities": float(np.abs(own - said["probabilities"]).max()),
            "row embedding": float(np.abs(space.encode(rows) - said["row_embedding"]).max()),
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
            "torch": seconds_of("import featrix_core.single_predictor"),
            "onnx": seconds_of("import onnxruntime, featrix_core.predictor.exported"),
        },
    }


def cells(settings: Settings, names: list[str]) -> list[Cell]:
    """One for each table."""
    return [Cell(f"export/{name}", partial(measure, settings, name)) for name in names]


def report(found: Cells) -> list[str]:
    """Torch and ONNX Runtime side by side."""
    cell = found[f"export/{SETS[0]}"]
    one, disk = cell["one_row_ms"], cell["disk_mb"]
    rows = [
        *(
            [f"one row, ms, {point}", *(f"{one[by][point]:.1f}" for by in ("torch", "onnx"))]
            for point in ("p50", "p99")
        ),
        ["rows per second", *(f"{cell['rows_per_second'][by]:,}" for by in ("torch", "onnx"))],
        ["import, processor seconds", *(cell["import_seconds"][by] for by in ("torch", "onnx"))],
        ["bundle or export, MB", disk["bundle"], disk["export"]],
        ["runtime package, MB", disk["torch"], disk["onnxruntime"]],
    ]
    differences = " and ".join(
        f"{value:.0e} of {what}" for what, value in cell["largest_difference"].items()
    )
    return [
        *markdown(["", "torch", "ONNX Runtime"], rows),
        "",
        f"{cell['members']} nets, exported in {cell['export_seconds']} processor seconds. Largest difference over all "
        f"rows: {differences}. The codecs take {one['codecs']['p50']:.1f} ms more for one raw row on either side.",
    ]


PROGRAM = Program("export", "bench-export", (__doc__ or "").splitlines()[0], SETS, cells, report)

if __name__ == "__main__":
    PROGRAM.main()
