"""Fitting the models that stand beside the nets, on the nets' own folds (PRED-7).

A model beside the nets never stops a predictor: where it cannot be fitted, it is left out, and the reason is kept.

Legend: N rows · O outputs (classes, or 1) · Z columns of the linear model's design.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featrix_core.encoders.tokens import TokenBatch
from featrix_core.predictor.boosted import (
    MOST_CLASSES,
    ROUNDS,
    Boosted,
    fit_boosted,
    regrow_boosted,
)
from featrix_core.predictor.design import Design, Features
from featrix_core.predictor.ensemble import CHUNK, Answers, Trees, loss_of
from featrix_core.predictor.leafwise import Leafwise, fit_leafwise, regrow_leafwise
from featrix_core.predictor.linear import MOST_CLASSES as MOST_LINEAR_CLASSES
from featrix_core.predictor.linear import STRENGTHS, Linear, fit_linear
from featrix_core.predictor.standing import BOOSTED, LEAFWISE, LINEAR
from featrix_core.predictor.wide_columns import choose_shown

MOST_ROWS = 100_000
"""Training rows of a fold that trees and linear model learn from; of more, so many are drawn."""
REGROWN = 2
"""Where there is one fold, trees are grown so many times more, on its validation rows too."""
MOST_CELLS = 100_000_000
"""Cells of the linear model's design (400 MB); fewer rows where it is wide."""

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class Peers:
    """The models beside the nets, and their out-of-fold answers in the order of the folds' validation rows.

    left_out: reason by model that could not be fitted. seconds: by model that was; those of the choice of `hidden`,
    what trees do not read, are with the first trees.
    """

    design: Design
    trees: dict[str, Trees]
    linear: Linear | None
    answers: dict[str, Answers]
    left_out: dict[str, str]
    seconds: dict[str, float]
    hidden: list[str]


@dataclass(frozen=True)
class _Asked:
    """Rows, labels and folds of all models; names: of the columns by family."""

    design: Design
    names: tuple[tuple[str, ...], ...]
    batch: TokenBatch
    target_N: NDArray[Any]
    outputs: int
    folds: list[Fold]
    seed: int
    weights_N: NDArray[np.float64] | None

    def drawn(self, most: int) -> list[NDArray[np.int64]]:
        """Training rows of every fold, at most so many, in order."""
        rng = np.random.default_rng(self.seed)
        return [_drawn(rng, train, most) for train, _ in self.folds]

    def drawn_of_all(self, most: int) -> NDArray[np.int64]:
        """Rows that train or validate in the first fold, at most so many, in order."""
        rows = np.sort(np.concatenate(self.folds[0]))
        return _drawn(np.random.default_rng(self.seed), rows, most)


def _drawn(rng: np.random.Generator, rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


def fit_peers(
    design: Design,
    names: tuple[tuple[str, ...], ...],
    batch: TokenBatch,
    target_N: NDArray[Any],
    outputs: int,
    folds: list[Fold],
    seed: int,
    weights_N: NDArray[np.float64] | None = None,
    rounds: int = ROUNDS,
) -> Peers:
    """Fit trees and a linear model on the folds that the nets were trained on.

    Args:
        names: of the columns by family, as of a tokenizer's `groups`.
        target_N: class numbers 0 … O-1, or standardised numbers.
        rounds: most trees per fold.
    """
    asked = _Asked(design, names, batch, target_N, outputs, folds, seed, weights_N)
    left_out: dict[str, str] = {}
    answers: dict[str, Answers] = {}
    seconds: dict[str, float] = {}
    trees: dict[str, Trees] = {}
    hidden: list[str] = []
    linear = None
    alike = any(len(np.unique(target_N[train])) < 2 for train, _ in folds)
    for name, most in (
        (BOOSTED, MOST_CLASSES),
        (LEAFWISE, MOST_CLASSES),
        (LINEAR, MOST_LINEAR_CLASSES),
    ):
        if alike:
            left_out[name] = "the rows that a fold trains on all have one label"
        elif outputs > most:
            left_out[name] = f"the target has more than {most} classes"
    for name in (BOOSTED, LEAFWISE):
        if name in left_out:
            continue
        started = time.perf_counter()
        if name == BOOSTED:
            asked, hidden = _with_shown(asked, rounds)
        found = _trees(asked, name, rounds)
        if isinstance(found, str):
            left_out[name] = found
        else:
            trees[name], answers[name] = found
            seconds[name] = round(time.perf_counter() - started, 2)
    if LINEAR not in left_out:
        started = time.perf_counter()
        linear, answers[LINEAR] = _linear(asked)
        seconds[LINEAR] = round(time.perf_counter() - started, 2)
    return Peers(asked.design, trees, linear, answers, left_out, seconds, hidden)


def _with_shown(asked: _Asked, rounds: int) -> tuple[_Asked, list[str]]:
    """With what the trees should read of texts and other wide columns, all of it where nothing can be said; and what
    is hidden."""
    from lightgbm.basic import LightGBMError

    try:
        shown, hidden = choose_shown(
            asked.design,
            asked.names,
            asked.batch,
            asked.target_N,
            asked.outputs,
            asked.folds,
            asked.seed,
            asked.weights_N,
            rounds,
        )
    except LightGBMError:
        return asked, []
    return replace(asked, design=replace(asked.design, shown=shown)), hidden


def _trees(asked: _Asked, name: str, rounds: int) -> tuple[Trees, Answers] | str:
    """Trees of all folds and what they say, or why there are none."""
    from catboost import CatBoostError
    from lightgbm.basic import LightGBMError

    fit = fit_boosted if name == BOOSTED else fit_leafwise
    read = asked.design.shown.of(asked.design.features(asked.batch))
    grown: list[Any] = []
    said = []
    try:
        for k, ((_, validation), rows) in enumerate(
            zip(asked.folds, asked.drawn(MOST_ROWS), strict=True)
        ):
            one = fit(
                read,
                asked.target_N,
                asked.outputs,
                rows,
                validation,
                asked.seed + k,
                asked.weights_N,
                rounds,
            )
            grown.append(one)
            said.append(one.answer(read.rows(validation)))
        if len(grown) == 1:
            grown += _regrown(asked, name, read, grown[0])
    except (CatBoostError, LightGBMError) as error:
        # Such as columns that do not vary in a fold.
        return str(error).split(": ", 1)[-1].strip()
    together = Boosted if name == BOOSTED else Leafwise
    stored = [text for one in grown for text in one.stored]
    return together(stored, asked.outputs), np.concatenate(said)


def _regrown(asked: _Asked, name: str, read: Features, first: Any) -> list[Any]:
    """Trees on all rows, of other seeds: only what chooses, calibrates and judges has to leave rows out."""
    regrow = regrow_boosted if name == BOOSTED else regrow_leafwise
    every, trained = asked.drawn_of_all(MOST_ROWS), asked.drawn(MOST_ROWS)[0]
    longer = len(every) / len(trained)
    return [
        regrow(
            first,
            read,
            asked.target_N,
            asked.outputs,
            every,
            asked.seed + k,
            asked.weights_N,
            longer,
        )
        for k in range(1, 1 + REGROWN)
    ]


def _linear(asked: _Asked) -> tuple[Linear, Answers]:
    """The penalty is that of the best out-of-fold answers."""
    most = min(MOST_ROWS, max(1_000, MOST_CELLS // asked.design.linear_width))
    models: list[list[Linear]] = [[] for _ in STRENGTHS]
    said: list[list[Answers]] = [[] for _ in STRENGTHS]
    for (_, validation), rows in zip(asked.folds, asked.drawn(most), strict=True):
        weights = None if asked.weights_N is None else asked.weights_N[rows]
        read = _design(asked, rows)
        fitted = [
            fit_linear(read, asked.target_N[rows], asked.outputs, strength, weights)
            for strength in STRENGTHS
        ]
        parts = [validation[start : start + CHUNK] for start in range(0, len(validation), CHUNK)]
        held = [_design(asked, part) for part in parts]
        for place, one in enumerate(fitted):
            models[place].append(one)
            said[place].append(np.concatenate([one.answer(part) for part in held]))
    rows = np.concatenate([validation for _, validation in asked.folds])
    weights = None if asked.weights_N is None else asked.weights_N[rows]
    answers = [np.concatenate(each) for each in said]
    losses = [loss_of(each, asked.target_N[rows], weights) for each in answers]
    best = int(np.argmin(losses))
    if len(asked.folds) == 1:
        rows = asked.drawn_of_all(most)
        weights = None if asked.weights_N is None else asked.weights_N[rows]
        again = fit_linear(
            _design(asked, rows), asked.target_N[rows], asked.outputs, STRENGTHS[best], weights
        )
        models[best].append(again)
    return (
        Linear(
            np.concatenate([one.weight_KZO for one in models[best]]),
            np.concatenate([one.bias_KO for one in models[best]]),
        ),
        answers[best],
    )


def _design(asked: _Asked, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    part = asked.batch.rows(torch.from_numpy(rows))
    return asked.design.linear(part, asked.design.features(part))
