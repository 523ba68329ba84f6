"""Extends a trained space by engineered columns and measures what that did (EXT-1, EXT-2)."""

from kfp import dsl

from components.images import image


@dsl.component(base_image=image("extend-space"), install_kfp_package=False)
def extend_space(
    space: dsl.Input[dsl.Model],
    dataset: dsl.Input[dsl.Dataset],
    features: str,
    features_version: str,
    seed: int,
    extended: dsl.Output[dsl.Model],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Write the space to use from here on: extended, if that pays on development rows."""
    from pathlib import Path

    from components.show import show
    from featrix_core import steps

    folder = Path(extended.path)
    steps.extend_space(Path(space.path), Path(dataset.path), folder, features=features, seed=seed)
    show("extend_space", folder, page=page, metrics=metrics)
