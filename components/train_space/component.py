"""Trains the embedding space on the development rows (TRAIN-1…8)."""

from kfp import dsl

from components.images import image


@dsl.component(base_image=image("train-space"), install_kfp_package=False)
def train_space(
    dataset: dsl.Input[dsl.Dataset],
    seed: int,
    max_seconds: float,
    space: dsl.Output[dsl.Model],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Train one space for all targets of the data set; the targets are not among its columns."""
    from pathlib import Path

    from components.show import show
    from featrix_core import steps

    folder = Path(space.path)
    steps.train_space(Path(dataset.path), folder, seed=seed, max_seconds=max_seconds or None)
    show("train_space", folder, page=page, metrics=metrics)
