"""Gradient-boosted trees beside the nets: CatBoost, on every fold or on all rows (PRED-7).

Legend: N rows · O outputs (classes, or 1).
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featrix_core.predictor.design import Features

ROUNDS = 2_000
PATIENCE = 50
MOST_CLASSES = 20
"""Trees are grown per class; with more classes they take longer than everything else."""
FEW_VALUES = 20
"""Columns with up to so many categories are an indicator each, and categories are not combined, but by the trees.
CatBoost's statistics of combined categories take several times longer than all the rest and change the loss little
either way."""
_LEAST = 1e-7
_RATE = "learning_rate"
FEW_ROWS = 10_000
"""Rows up to which one thread answers: starting more takes longer."""


@dataclass(frozen=True)
class Sample:
    """What trees learn from: N rows with labels.

    Args:
        target_N: class numbers 0 … O-1, or standardised numbers.
        outputs: classes, or 1.
        weights_N: None where all rows weigh the same.
    """

    read: Features
    target_N: NDArray[Any]
    outputs: int
    weights_N: NDArray[np.float64] | None = None

    def weights(self, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Of some rows. Where all of them weigh nothing they are the only ones there are, and count as any other: rows
        without weight are refused by trees."""
        if self.weights_N is None or not self.weights_N[rows].any():
            return None
        return self.weights_N[rows]


class Boosted:
    """Trees of every fold, or of one and of all rows; the mean of what they say.

    Shape: Features of N rows → log-probabilities (N, O), or standardised numbers (N, 1).

    Args:
        stored: every model in CatBoost's own format (cbm). It is what a bundle holds, byte for byte: a model
            that was read and is written again is not.
    """

    def __init__(self, stored: list[bytes], outputs: int) -> None:
        from catboost import CatBoost

        self.stored = stored
        self.outputs = outputs
        self.models = [CatBoost().load_model(blob=blob) for blob in stored]

    def answer(self, read: Features) -> NDArray[np.float32]:
        """Mean over the models."""
        if not len(read.codes_NK):
            return np.zeros((0, self.outputs), np.float32)
        # One for all models: it takes longer than a model's answer.
        pool = _pool(read, slice(None))
        said = np.mean([_said(model, pool, self.outputs) for model in self.models], axis=0)
        return log_probabilities(said) if self.outputs > 1 else said.astype(np.float32)


def fit_boosted(
    sample: Sample,
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    seed: int,
    rounds: int = ROUNDS,
) -> Boosted:
    """Trees on one fold's rows, stopped early on its validation rows; `rounds`: most trees."""
    settings = {"iterations": rounds, "early_stopping_rounds": PATIENCE, "use_best_model": True}
    return _grown(sample, (train, validation), seed, settings)


def regrow_boosted(
    first: Boosted, sample: Sample, rows: NDArray[np.int64], seed: int, longer: float = 1.0
) -> Boosted:
    """Trees on rows of which none say when to stop: as many as `first` has, times `longer`, in steps as large as
    its."""
    model = first.models[0]
    settings = {
        "iterations": max(1, round(longer * model.tree_count_)),
        "learning_rate": json.loads(model.get_metadata()["params"])[_RATE],
    }
    return _grown(sample, (rows,), seed, settings)


def _grown(
    sample: Sample, parts: tuple[NDArray[np.int64], ...], seed: int, growth: dict[str, Any]
) -> Boosted:
    """Trees on the first part's rows; a second one's tell when to stop.

    What CatBoost notes in a model and is another one with every training or number of threads is taken out (TRAIN-7).
    """
    from catboost import CatBoost

    settings: dict[str, Any] = {
        "random_seed": seed,
        "verbose": False,
        "allow_writing_files": False,
        "thread_count": torch.get_num_threads(),
        "loss_function": _loss(sample.outputs),
        "one_hot_max_size": FEW_VALUES,
        "max_ctr_complexity": 1,
        **growth,
    }
    if sample.outputs > 2:
        settings["classes_count"] = sample.outputs
    model = CatBoost(settings)
    fit, *held = (
        _pool(sample.read, rows, sample.target_N[rows], sample.weights(rows)) for rows in parts
    )
    model.fit(fit, eval_set=held or None)
    kept = model.get_metadata()
    known = json.loads(kept["params"])["loss_function"]
    rate = float(model.get_all_params()[_RATE])
    kept["params"] = json.dumps({"loss_function": known, _RATE: rate}, sort_keys=True)
    kept["training"] = kept["output_options"] = "{}"
    kept["model_guid"] = kept["train_finish_time"] = ""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.cbm"
        model.save_model(str(path), format="cbm")
        return Boosted([path.read_bytes()], sample.outputs)


def _loss(outputs: int) -> str:
    if outputs == 1:
        return "RMSE"
    return "Logloss" if outputs == 2 else "MultiClass"


def _pool(
    read: Features,
    rows: NDArray[np.int64] | slice,
    target_N: NDArray[Any] | None = None,
    weights_N: NDArray[np.float64] | None = None,
) -> Any:
    from catboost import FeaturesData, Pool

    codes = read.codes_NK[rows]
    texts = np.array([str(k).encode() for k in range(int(codes.max(initial=0)) + 1)], object)
    data = FeaturesData(
        num_feature_data=np.ascontiguousarray(read.numbers_NF[rows])
        if read.numbers_NF.shape[1]
        else None,
        cat_feature_data=texts[codes] if codes.shape[1] else None,
    )
    return Pool(data, label=target_N, weight=weights_N)


def _said(model: Any, pool: Any, outputs: int) -> NDArray[np.float64]:
    """Probabilities (N, O), or numbers (N, 1)."""
    threads = 1 if pool.num_row() <= FEW_ROWS else torch.get_num_threads()
    kind = "RawFormulaVal" if outputs == 1 else "Probability"
    said = np.asarray(model.predict(pool, prediction_type=kind, thread_count=threads), np.float64)
    return said[:, None] if outputs == 1 else said


def log_probabilities(said_NO: NDArray[np.float64]) -> NDArray[np.float32]:
    """Logs of probabilities that are nowhere zero and sum to one."""
    said_NO = np.clip(said_NO, _LEAST, 1.0)
    return np.log(said_NO / said_NO.sum(axis=1, keepdims=True)).astype(np.float32)
