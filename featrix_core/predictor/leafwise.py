"""Gradient-boosted trees of another kind beside the nets: LightGBM's grow leaf by leaf, and take seconds (PRED-7).

On larger tables they are often ahead of CatBoost's. On small ones a second kind, whose splits are drawn rather than
searched for, errs otherwise than all the others.

Legend: N rows · O outputs (classes, or 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featrix_core.predictor.boosted import FEW_ROWS, PATIENCE, ROUNDS, Sample, log_probabilities
from featrix_core.predictor.design import Features

SETTINGS: dict[str, Any] = {
    "learning_rate": 0.03,
    "num_leaves": 31,
    "min_data_in_leaf": 10,
    "lambda_l2": 2.0,
    # Less smoothing than the library's: categories are often people or places with some ten rows each.
    "cat_smooth": 3.0,
    "cat_l2": 5.0,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.8,
    "deterministic": True,
    "force_col_wise": True,
    "verbosity": -1,
}
RANDOM_SPLITS: dict[str, Any] = {
    "extra_trees": True,
    "num_leaves": 15,
    "cat_smooth": 10.0,
    "cat_l2": 10.0,
}
"""In place of those of `SETTINGS`."""


class Leafwise:
    """Trees of every fold, or of one and of all rows; the mean of what they say.

    Shape: Features of N rows → log-probabilities (N, O), or standardised numbers (N, 1).

    Args:
        stored: every model as LightGBM's own text.

    Raises:
        lightgbm.basic.LightGBMError: a text that is no model.
    """

    def __init__(self, stored: list[bytes], outputs: int) -> None:
        import lightgbm

        self.stored = stored
        self.outputs = outputs
        self.models = [lightgbm.Booster(model_str=text.decode()) for text in stored]

    def answer(self, read: Features) -> NDArray[np.float32]:
        """Mean over the models."""
        cells = _cells(read)
        if not len(cells):
            return np.zeros((0, self.outputs), np.float32)
        threads = 1 if len(cells) <= FEW_ROWS else torch.get_num_threads()
        said = np.mean([model.predict(cells, num_threads=threads) for model in self.models], axis=0)
        if self.outputs == 1:
            return said[:, None].astype(np.float32)
        both = np.column_stack([1.0 - said, said]) if self.outputs == 2 else said
        return log_probabilities(both)


def fit_leafwise(
    sample: Sample,
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    seed: int,
    rounds: int = ROUNDS,
    **other: Any,
) -> Leafwise:
    """Trees on one fold's rows, stopped early on its validation rows; `rounds`: most trees, and `other` settings
    replace those of `SETTINGS`.

    Raises:
        lightgbm.basic.LightGBMError: columns that do not vary, and other data that it refuses.
    """
    return _grown(sample, (train, validation), seed, rounds, other)


def regrow_leafwise(
    first: Leafwise, sample: Sample, rows: NDArray[np.int64], seed: int, longer: float = 1.0
) -> Leafwise:
    """Trees on rows of which none say when to stop: as many as `first` has, times `longer`."""
    rounds = max(1, round(longer * first.models[0].current_iteration()))
    return _grown(sample, (rows,), seed, rounds, {})


def _grown(
    sample: Sample,
    parts: tuple[NDArray[np.int64], ...],
    seed: int,
    rounds: int,
    other: dict[str, Any],
) -> Leafwise:
    """Trees on the first part's rows; a second one's tell when to stop."""
    import lightgbm

    read, outputs = sample.read, sample.outputs
    settings = {
        **SETTINGS,
        **other,
        "objective": "regression" if outputs == 1 else "binary" if outputs == 2 else "multiclass",
        "seed": seed,
        "num_threads": torch.get_num_threads(),
    }
    if outputs > 2:
        settings["num_class"] = outputs
    numbers = read.numbers_NF.shape[1]
    sets: list[Any] = []
    for rows in parts:
        sets.append(
            lightgbm.Dataset(
                _cells(read.rows(rows)),
                sample.target_N[rows],
                weight=sample.weights(rows),
                reference=sets[0] if sets else None,
                categorical_feature=list(range(numbers, numbers + read.codes_NK.shape[1])),
                params=settings,
            )
        )
    stop: list[Any] = [lightgbm.early_stopping(PATIENCE, verbose=False)] if sets[1:] else []
    model = lightgbm.train(settings, sets[0], rounds, valid_sets=sets[1:], callbacks=stop)
    text = model.model_to_string(num_iteration=model.best_iteration or None)
    # Behind the trees stand the settings, with the number of threads; nothing reads them again.
    trees, _, _ = text.partition("\nparameters:")
    return Leafwise([trees.encode()], outputs)


def _cells(read: Features) -> NDArray[np.float32]:
    return np.concatenate([read.numbers_NF, read.codes_NK.astype(np.float32)], axis=1)
