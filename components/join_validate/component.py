"""Checks a join specification before anything is trained on what it joins (JOIN-1, JOIN-2)."""

from kfp import dsl

from components.images import image


@dsl.component(base_image=image("join-validate"), install_kfp_package=False)
def join_validate(
    spec: str,
    join_version: str,
    joins: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Write the verdict on every join; an empty `spec` is a run without joins."""
    from pathlib import Path

    from components.show import show
    from featrix_core import steps

    folder = Path(joins.path)
    steps.join_validate(spec, folder)
    show("join_validate", folder, page=page, metrics=metrics)
