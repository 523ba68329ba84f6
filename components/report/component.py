"""Draws the run's report, one self-contained HTML file (VIEW-2)."""

from kfp import dsl

from components.images import image


@dsl.component(base_image=image("report"), install_kfp_package=False)
def report(
    dataset: dsl.Input[dsl.Dataset],
    joins: dsl.Input[dsl.Artifact],
    space: dsl.Input[dsl.Model],
    predictor: dsl.Input[dsl.Model],
    registration: dsl.Input[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
) -> None:
    """Bring together what the steps of a run left behind."""
    from pathlib import Path

    from featrix_core import steps

    steps.report(
        Path(page.path),
        dataset=Path(dataset.path),
        joins=Path(joins.path),
        space=Path(space.path),
        predictor=Path(predictor.path),
        registration=Path(registration.path),
    )
