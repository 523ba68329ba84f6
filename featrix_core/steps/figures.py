"""`figures.json`: what a step's result amounts to, for the Kubeflow UI and the registry (OPS-2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featrix_core.files import read_json, write_json

NAME = "figures.json"


def write_figures(
    folder: Path,
    metrics: dict[str, float],
    roc: dict[str, list[float]] | None = None,
    confusion: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write a step's figures beside its result and hand them back."""
    document = {
        "metrics": {name: float(value) for name, value in metrics.items()},
        "roc": roc,
        "confusion": confusion,
    }
    write_json(folder / NAME, document)
    return document


def figures(folder: Path) -> dict[str, Any]:
    """`metrics` (name → float), `roc` (fpr, tpr, thresholds) or None, `confusion` (labels, matrix) or None."""
    document: dict[str, Any] = read_json(Path(folder) / NAME)
    return document
