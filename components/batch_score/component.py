"""Scores rows with a predictor: one output row per input row, in the same order (OPS-6)."""

from kfp import dsl

from components.images import image


@dsl.component(base_image=image("batch-score"), install_kfp_package=False)
def batch_score(
    scores: dsl.Output[dsl.Dataset],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    predictor: dsl.Input[dsl.Model] = None,
    dataset: dsl.Input[dsl.Dataset] = None,
    model: str = "",
    data: str = "",
    data_version: str = "",
) -> None:
    """Score `data` (or a data set's hold-out rows) with `predictor` (or the bundle `model`)."""
    from pathlib import Path

    from components.show import show
    from featrix_core import steps

    folder = Path(scores.path)
    rows = data if dataset is None else str(Path(dataset.path) / "holdout.parquet")
    bundle = model if predictor is None else predictor.path
    steps.batch_score(bundle, rows, folder / "scores.parquet")
    show("batch_score", folder, page=page, metrics=metrics)
