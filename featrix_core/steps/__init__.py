"""The steps of the pipelines as plain functions over folders (OPS-1).

KFP components and the command line call the same functions; each writes its result atomically and leaves
`figures.json` (metrics, ROC, confusion matrix) for whoever shows it. Imported lazily: a step pays only for
the libraries that it uses.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "StepConfig": "config",
    "ingest": "data_step",
    "join_validate": "join_step",
    "train_space": "space_step",
    "extend_space": "extend_step",
    "train_predictor": "predictor_step",
    "calibrate": "predictor_step",
    "batch_score": "score_step",
    "register": "register_step",
    "report": "report_step",
    "figures": "figures",
    "step_page": "pages",
}

__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'featrix_core.steps' has no attribute {name!r}")
    module = importlib.import_module(f"featrix_core.steps.{_HOME[name]}")
    value = getattr(module, name)
    # `figures` is a function in a module of the same name: the function is what callers mean.
    globals()[name] = value
    return value
