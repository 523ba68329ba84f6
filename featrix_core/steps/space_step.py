"""Step train-space: the self-supervised space over the development rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featrix_core.bundle import seal_beside
from featrix_core.embedding_space import EmbeddingSpace, OnProgress
from featrix_core.steps.data_step import load_dataset
from featrix_core.steps.figures import write_figures


def space_figures(space: EmbeddingSpace) -> dict[str, float]:
    """Figures of a space that are worth showing."""
    info = space.training_info
    keys = ("final_validation_loss", "best_epoch", "epochs", "updates", "parameters")
    return {
        **{key: float(info[key]) for key in keys},
        "columns": len(space.column_names),
        "d_model": space.d_model,
    }


def train_space(
    dataset: Path,
    out: Path,
    *,
    seed: int = 42,
    name: str = "space",
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Train a space on the development rows and write its bundle; targets and hold-out are never seen."""
    data = load_dataset(Path(dataset))
    space = EmbeddingSpace(
        data.development, name=name, seed=seed, schema=data.schema, on_progress=on_progress
    )
    space.train(on_progress=on_progress)
    space.save(out)
    figures = write_figures(Path(out), space_figures(space))
    seal_beside(Path(out))
    return figures
