"""Step train-space: the self-supervised space over the development rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from featrix_core.bundle import seal_beside
from featrix_core.embedding_space import EmbeddingSpace, OnProgress
from featrix_core.steps.data_step import load_dataset
from featrix_core.steps.figures import write_figures
from featrix_core.steps.limits import check_limit
from featrix_core.training.launch import writes


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
    max_seconds: float | None = None,
    resume: bool = False,
    on_progress: OnProgress | None = None,
    on_notice: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Train a space on the development rows and write its bundle; targets and hold-out are never seen.

    Checkpoints and the timeline of the running training stand in a folder `OUT.training` beside the bundle,
    which is gone when that is written. Under `torchrun` the first process writes, and the others come back with
    no figures (TRAIN-9).

    Args:
        max_seconds: the schedule is compressed to fit into this time (`EmbeddingSpace.train`).
        resume: go on from the last valid checkpoint there, if there is one.
        on_notice: told at once what the training is resumed from, and of a limit that ends it.
    """
    check_limit(max_seconds)
    data, out = load_dataset(Path(dataset)), Path(out)
    work = out.with_name(f"{out.name}.training")
    space = EmbeddingSpace(
        data.development,
        name=name,
        seed=seed,
        schema=data.schema,
        output_dir=work,
        on_progress=on_progress,
    )
    space.train(
        resume=resume and work.is_dir(),
        max_seconds=max_seconds,
        on_progress=on_progress,
        on_notice=on_notice,
    )
    if not writes():
        return {}
    space.save(out)
    figures = write_figures(out, space_figures(space))
    seal_beside(out)
    shutil.rmtree(work)
    return figures
