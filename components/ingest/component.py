"""Reads the data, finds the column types, filters columns, splits off the hold-out (DATA-1…7)."""

from kfp import dsl

from components.images import image


@dsl.component(base_image=image("ingest"), install_kfp_package=False)
def ingest(
    data: str,
    targets: list[str],
    config: str,
    seed: int,
    data_version: str,
    dataset: dsl.Output[dsl.Dataset],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Turn a table into a data set folder; `data_version` only takes part in the cache key."""
    from pathlib import Path

    from components.show import show
    from featrix_core import steps

    folder = Path(dataset.path)
    settings = steps.StepConfig.model_validate_json(config)
    steps.ingest(data, targets, folder, config=settings, seed=seed)
    show("ingest", folder, page=page, metrics=metrics)
