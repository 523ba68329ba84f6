"""Steps train-predictor and calibrate: a predictor, its calibration, and its figures on the hold-out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featrix_core.bundle import seal_beside
from featrix_core.embedding_space import EmbeddingSpace, OnProgress
from featrix_core.files import write_json
from featrix_core.predictor.labelled import told_as_notices
from featrix_core.single_predictor import SinglePredictor
from featrix_core.steps.config import StepConfig
from featrix_core.steps.data_step import load_dataset
from featrix_core.steps.evaluation import evaluate
from featrix_core.steps.figures import write_figures
from featrix_core.steps.names import EVALUATION


def train_predictor(
    space: Path,
    dataset: Path,
    target: str,
    out: Path,
    *,
    seed: int = 42,
    config: StepConfig | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Train a predictor for one target on the development rows and write its bundle, not yet calibrated.

    Raises:
        FeatrixUserError: an unusable target, or a setting that none of the data set's targets can have.
    """
    config = config or StepConfig()
    data = load_dataset(Path(dataset))
    config.unused(data.targets)  # ingest has given the notices
    predictor = SinglePredictor(
        EmbeddingSpace.load(space),
        name=target,
        seed=seed,
        fine_tune=config.fine_tune,
        ensemble=config.ensemble,
        **config.of_target(data.target(target)),
    )
    with told_as_notices():
        predictor.prep_for_training(
            data.development,
            target,
            data.target(target).kind,
            group_column=config.group_column,
            time_column=config.time_column,
        )
    predictor.train(calibrate=False, on_progress=on_progress)
    predictor.save(out)
    plan = predictor.training_info["plan"]
    figures = {
        "rows": predictor.training_info["rows"],
        "bag_members": len(predictor.members),
        "hidden_layers": predictor.training_info["hidden_layers"],
        "fine_tuned": float(plan["fine_tune"]),
    }
    document = write_figures(Path(out), figures)
    seal_beside(Path(out))
    return document


def calibrate(predictor: Path, dataset: Path, out: Path) -> dict[str, Any]:
    """Calibrate on held-out development rows, measure on the hold-out, beside two baselines.

    Writes the calibrated bundle and `evaluation.json`.
    """
    data = load_dataset(Path(dataset))
    model = SinglePredictor.load(predictor)
    model.calibrate()
    result = evaluate(model, data)
    model.save(out)
    write_json(Path(out) / EVALUATION, result)
    document = write_figures(Path(out), result["metrics"], result["roc"], result["confusion"])
    seal_beside(Path(out))
    return document
