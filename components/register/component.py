"""Registers space and predictor in MLflow and decides on promotion (OPS-4)."""

from kfp import dsl

from components.images import image


@dsl.component(base_image=image("register"), install_kfp_package=False)
def register(
    predictor: dsl.Input[dsl.Model],
    space: dsl.Input[dsl.Model],
    dataset: dsl.Input[dsl.Dataset],
    tracking: str,
    name: str,
    registration: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Write run, versions, aliases and the gates' verdicts; `tracking` is an MLflow address."""
    from pathlib import Path

    from components.show import show
    from featrix_core import steps

    folder = Path(registration.path)
    steps.register(
        Path(predictor.path), Path(space.path), Path(dataset.path), folder, tracking, name
    )
    show("register", folder, page=page, metrics=metrics)
