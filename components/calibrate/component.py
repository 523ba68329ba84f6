"""Calibrates a predictor and measures it on the hold-out rows (PRED-3, PRED-4)."""

from kfp import dsl

from components.images import image


@dsl.component(base_image=image("calibrate"), install_kfp_package=False)
def calibrate(
    predictor: dsl.Input[dsl.Model],
    dataset: dsl.Input[dsl.Dataset],
    calibrated: dsl.Output[dsl.Model],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    classification: dsl.Output[dsl.ClassificationMetrics],
) -> None:
    """Write the calibrated predictor with its hold-out evaluation (ROC, reliability, confusion)."""
    from pathlib import Path

    from components.show import show
    from featrix_core import steps

    folder = Path(calibrated.path)
    steps.calibrate(Path(predictor.path), Path(dataset.path), folder)
    show("calibrate", folder, page=page, metrics=metrics, classification=classification)
