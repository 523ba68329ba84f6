"""Compiles the DAGs to `pipelines/compiled/*.yaml`: `python -m pipelines.compile` (OPS-1)."""

from __future__ import annotations

from pathlib import Path

from kfp import compiler

from featrix_core.files import atomic_file
from pipelines.score import score
from pipelines.train import train

COMPILED = Path(__file__).parent / "compiled"
HEADER = "# Compiled by `make pipelines` from pipelines/*.py; the parameters: pipelines/README.md\n"
DAGS = {"train": train, "score": score}


def compile_all(folder: Path = COMPILED) -> list[Path]:
    """Write one package per DAG; the same sources give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, dag in sorted(DAGS.items()):
        path = folder / f"{name}.yaml"
        with atomic_file(path) as aside:
            compiler.Compiler().compile(dag, str(aside))
            # kfp's own header prints nested defaults in an order that changes from run to run.
            body = [x for x in aside.read_text("utf-8").splitlines(True) if not x.startswith("#")]
            aside.write_text(HEADER + "".join(body), "utf-8")
        written.append(path)
    return written


if __name__ == "__main__":
    for package in compile_all():
        print(package)
