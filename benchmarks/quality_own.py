"""This project's answers: a space on the training rows, a predictor on top, all from raw cells."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.quality_figures import Answers
from benchmarks.quality_sets import Kind
from benchmarks.space_arms import plan_of
from featrix_core.embedding_space import EmbeddingSpace
from featrix_core.predictor.response import ClassScores
from featrix_core.single_predictor import SinglePredictor

GOAL = "the goal"
FEATRIX, NET_ONLY = "featrix", "featrix, net only"
KEPT = ("plan", "hidden_layers", "loss", "selector")
"""What a cell keeps of a predictor's training."""
OWN = (FEATRIX,)
"""One fit answers twice: as it is by default, and as its nets alone."""


def featrix_answers(
    train: pd.DataFrame,
    y: pd.Series,
    test: pd.DataFrame,
    kind: Kind,
    seed: int,
    *,
    names: tuple[str, ...] = (),
    epochs: int | None = None,
) -> dict[str, Answers]:
    """Fit on raw training rows, answer the test rows, by method; nothing is tuned to the table.

    Args:
        y: class names or numbers, row by row as `train`.
        names: class names in the order of the answers' columns, the positive one last of two.
        epochs: of space and predictor; their plans decide when left out.
    """
    started = time.perf_counter()
    space = EmbeddingSpace(train, n_epochs=epochs, seed=seed).train()
    seconds = time.perf_counter() - started
    notes = {"space": plan_of(space, seconds)}
    return predictor_answers(
        space, train, y, test, kind, seed, names=names, epochs=epochs, before=seconds, notes=notes
    )


def predictor_answers(
    space: EmbeddingSpace,
    train: pd.DataFrame,
    y: pd.Series,
    test: pd.DataFrame,
    kind: Kind,
    seed: int,
    *,
    names: tuple[str, ...] = (),
    epochs: int | None = None,
    before: float = 0.0,
    notes: dict[str, Any] | None = None,
) -> dict[str, Answers]:
    """As `featrix_answers`, on a space that is there; its seconds to fit are the predictor's and those `before`."""
    started = time.perf_counter()
    positive = names[1] if kind == "binary" else None
    predictor = SinglePredictor(space, seed=seed, positive_label=positive)
    labelled = train.assign(**{GOAL: np.asarray(y)})
    type_ = "scalar" if kind == "regression" else "set"
    predictor.prep_for_training(labelled, GOAL, type_).train(epochs)
    seconds = before + time.perf_counter() - started
    kept = {k: predictor.training_info[k] for k in KEPT}
    told = {**(notes or {}), "predictor": kept, "peer_seconds": predictor.peer_seconds}
    alone = predictor.nets_only()
    return {
        FEATRIX: _answers(predictor, test, names, seconds, told),
        NET_ONLY: _answers(alone, test, names, seconds, told),
    }


def _answers(
    predictor: SinglePredictor,
    test: pd.DataFrame,
    names: tuple[str, ...],
    fit_seconds: float,
    notes: dict[str, Any],
) -> Answers:
    started = time.perf_counter()
    scores = predictor.scores(test)
    seconds = time.perf_counter() - started
    if not isinstance(scores, ClassScores):
        said_N, ends = scores.prediction_N, (scores.low_N, scores.high_N)
        return Answers(said_N, fit_seconds, seconds, *ends, notes=notes)
    place = [predictor.classes.index(name) for name in names]
    chances_NK = scores.probabilities_NK
    sets_NK = None if scores.sets is None else scores.sets.contains(chances_NK)[:, place]
    said_NK = chances_NK[:, place]
    return Answers(
        said_NK, fit_seconds, seconds, sets_NK=sets_NK, threshold=scores.threshold, notes=notes
    )
