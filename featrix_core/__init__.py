"""featrix: one self-supervised embedding space per table, many predictors on top of it.

The public names are loaded when they are first used, so that `import featrix_core` costs nothing.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from featrix_core.cores import cpu_limit, limit_threads

# How long an idle OpenMP thread spins before it sleeps. The default is so long that a second process on the
# same cores makes training many times slower; none at all costs a third on a quiet machine. It only takes
# effect where torch is not loaded yet.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

limit_threads(os.environ, cpu_limit())

_HOME = {
    "EmbeddingSpace": "embedding_space",
    "load_embedding_space": "embedding_space",
    "FeatrixInputDataSet": "input_data_set",
    "SinglePredictor": "single_predictor",
    "SinglePredictorMLP": "single_predictor_mlp",
    "SimpleMLP": "predictor.shape",
    "FeatureEngineer": "features.engineer",
    "FeatureEffectivenessTracker": "features.effectiveness",
    "FeatrixError": "errors",
    "FeatrixUserError": "errors",
}

__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'featrix_core' has no attribute {name!r}")
    return getattr(importlib.import_module(f"featrix_core.{_HOME[name]}"), name)
