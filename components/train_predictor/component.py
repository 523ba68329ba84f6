"""Trains a predictor for one target on a space (PRED-1, PRED-2)."""

from kfp import dsl

from components.images import image


@dsl.component(base_image=image("train-predictor"), install_kfp_package=False)
def train_predictor(
    space: dsl.Input[dsl.Model],
    dataset: dsl.Input[dsl.Dataset],
    target: str,
    config: str,
    seed: int,
    predictor: dsl.Output[dsl.Model],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Train on development rows only; the hold-out rows are not touched here."""
    from pathlib import Path

    from components.show import show
    from featrix_core import steps

    folder = Path(predictor.path)
    settings = steps.StepConfig.model_validate_json(config)
    steps.train_predictor(
        Path(space.path),
        Path(dataset.path),
        target,
        folder,
        seed=seed,
        config=settings,
    )
    show("train_predictor", folder, page=page, metrics=metrics)
