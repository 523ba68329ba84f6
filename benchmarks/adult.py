"""`featrix fit` on Adult: seconds, peak memory and hold-out figures.

make bench-adult DATA_DIR=…      # a folder that holds adult.parquet
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from benchmarks.machine import machine
from featrix_core.files import read_json, write_json

HERE = Path(__file__).parent


def main() -> None:
    """Run the command in a process of its own and write `results/adult.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "adult.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("featrix")), "fit"]
        command += ["--data", str(arguments.data_dir / "adult.parquet"), "--target", "income"]
        command += ["--out", f"{folder}/fit"]
        started = time.monotonic()
        subprocess.run(command, check=True)
        seconds = time.monotonic() - started
        metrics = read_json(Path(folder) / "fit" / "metrics.json")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    result = {
        "machine": machine(),
        "seconds": round(seconds, 1),
        "peak_memory_gib": round(peak, 2),
        "metrics": metrics,
    }
    write_json(arguments.out, result)
    Console().print(f"{seconds:.0f} s, {peak:.2f} GiB at most, AUC {metrics['roc_auc']:.4f}")


if __name__ == "__main__":
    main()
