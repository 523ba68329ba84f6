"""Compiles the DAGs to `pipelines/compiled/*.yaml`: `python -m pipelines.compile` (OPS-1)."""

from __future__ import annotations

from pathlib import Path

from kfp import compiler

from pipelines.score import score
from pipelines.train import train

COMPILED = Path(__file__).parent / "compiled"
DAGS = {"train": train, "score": score}


def compile_all(folder: Path = COMPILED) -> list[Path]:
    """Write one package per DAG; the same sources give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, dag in sorted(DAGS.items()):
        path = folder / f"{name}.yaml"
        compiler.Compiler().compile(dag, str(path))
        written.append(path)
    return written


if __name__ == "__main__":
    for package in compile_all():
        print(package)
