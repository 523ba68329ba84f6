"""Fitting the models that stand beside the nets, on the nets' own folds (PRED-7).

A model beside the nets never stops a predictor: where it cannot be fitted, it is left out, and the reason is kept.

Legend: N rows · O outputs (classes, or 1) · Z columns of the linear model's design.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featrix_core.encoders.tokens import TokenBatch
from featrix_core.predictor.boosted import (
    MOST_CLASSES,
    ROUNDS,
    Boosted,
    Sample,
    fit_boosted,
    regrow_boosted,
)
from featrix_core.predictor.design import Design
from featrix_core.predictor.ensemble import CHUNK, Answers, Trees, loss_of
from featrix_core.predictor.leafwise import (
    RANDOM_SPLITS,
    Leafwise,
    fit_leafwise,
    regrow_leafwise,
)
from featrix_core.predictor.linear import MOST_CLASSES as MOST_LINEAR_CLASSES
from featrix_core.predictor.linear import STRENGTHS, Linear, fit_linear
from featrix_core.predictor.standing import BOOSTED, LEAFWISE, LINEAR, RANDOMISED
from featrix_core.predictor.wide_columns import choose_shown

MOST_ROWS = 100_000
"""Training rows of a fold that trees and linear model learn from; of more, so many are drawn, of rare classes all."""
REGROWN = 2
"""Where there is one fold, trees are grown so many times more, on its validation rows too."""
MOST_CELLS = 100_000_000
"""Cells of the linear model's design (400 MB); fewer rows where it is wide."""

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class _Kind:
    """How trees are fitted on a fold, grown once more on all rows, and read again. Without `regrow` they are only
    fitted where there are several folds."""

    fit: Callable[..., Trees]
    regrow: Callable[..., Trees] | None
    read: Callable[[list[bytes], int], Trees]


_KINDS = {
    BOOSTED: _Kind(fit_boosted, regrow_boosted, Boosted),
    LEAFWISE: _Kind(fit_leafwise, regrow_leafwise, Leafwise),
    # One split is for many rows. There they took time, of many classes a lot, and added nothing.
    RANDOMISED: _Kind(partial(fit_leafwise, **RANDOM_SPLITS), None, Leafwise),
}


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
class Drawn:
    """Row numbers in order, and weights of all rows: where a class is drawn in part, its rows stand for the others."""

    rows: NDArray[np.int64]
    weights_N: NDArray[np.float64] | None

    @property
    def weights(self) -> NDArray[np.float64] | None:
        """Of these rows."""
        return None if self.weights_N is None else self.weights_N[self.rows]


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

    def drawn(self, most: int) -> list[Drawn]:
        """At most so many training rows of every fold."""
        rng = np.random.default_rng(self.seed)
        return [self._of(rng, train, most) for train, _ in self.folds]

    def drawn_of_all(self, most: int) -> Drawn:
        """At most so many of the rows that train or validate in the first fold."""
        rows = np.sort(np.concatenate(self.folds[0]))
        return self._of(np.random.default_rng(self.seed), rows, most)

    def _of(self, rng: np.random.Generator, rows: NDArray[np.int64], most: int) -> Drawn:
        return draw(rng, rows, most, self.target_N, self.outputs, self.weights_N)


def draw(
    rng: np.random.Generator,
    rows: NDArray[np.int64],
    most: int,
    target_N: NDArray[Any],
    outputs: int,
    weights_N: NDArray[np.float64] | None = None,
) -> Drawn:
    """At most so many of the rows, of classes in `fair_shares`; the other arguments as of `fit_peers`."""
    if len(rows) <= most:
        return Drawn(rows, weights_N)
    if outputs == 1:
        return Drawn(np.sort(rng.choice(rows, most, replace=False)), weights_N)
    labels = target_N[rows]
    counts_O = np.bincount(labels, minlength=outputs)
    weighted_N = np.ones(len(target_N)) if weights_N is None else weights_N.copy()
    kept = []
    for label, count in enumerate(fair_shares(counts_O, most)):
        if count:
            chosen = rng.choice(rows[labels == label], count, replace=False)
            weighted_N[chosen] *= counts_O[label] / count
            kept.append(chosen)
    return Drawn(np.sort(np.concatenate(kept)), weighted_N)


def fair_shares(counts_O: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Rows of every class, at most so many together: rare classes whole, and the others share what these leave."""
    shares_O, left = np.zeros_like(counts_O), most
    for place, label in enumerate(np.argsort(counts_O, kind="stable")):
        shares_O[label] = min(counts_O[label], left // (len(counts_O) - place))
        left -= shares_O[label]
    return shares_O


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
    kinds = [name for name, kind in _KINDS.items() if len(folds) > 1 or kind.regrow is not None]
    for name in (*kinds, LINEAR):
        most = MOST_LINEAR_CLASSES if name == LINEAR else MOST_CLASSES
        if alike:
            left_out[name] = "the rows that a fold trains on all have one label"
        elif outputs > most:
            left_out[name] = f"the target has more than {most} classes"
    for name in kinds:
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

    kind = _KINDS[name]
    read = asked.design.shown.of(asked.design.features(asked.batch))
    sample = Sample(read, asked.target_N, asked.outputs)
    grown: list[Any] = []
    said = []
    try:
        for k, ((_, validation), drawn) in enumerate(
            zip(asked.folds, asked.drawn(MOST_ROWS), strict=True)
        ):
            weighted = replace(sample, weights_N=drawn.weights_N)
            one = kind.fit(weighted, drawn.rows, validation, asked.seed + k, rounds)
            grown.append(one)
            said.append(one.answer(read.rows(validation)))
    except (CatBoostError, LightGBMError) as error:
        # Such as columns that do not vary in a fold.
        return str(error).split(": ", 1)[-1].strip()
    if len(grown) == 1 and kind.regrow is not None:
        with contextlib.suppress(CatBoostError, LightGBMError):  # the first ones are good enough
            grown += _regrown(asked, kind.regrow, sample, grown[0])
    stored = [text for one in grown for text in one.stored]
    return kind.read(stored, asked.outputs), np.concatenate(said)


def _regrown(
    asked: _Asked, regrow: Callable[..., Trees], sample: Sample, first: Trees
) -> list[Trees]:
    """Trees on all rows, of other seeds: only what chooses, calibrates and judges has to leave rows out."""
    every = asked.drawn_of_all(MOST_ROWS)
    longer = len(every.rows) / min(len(asked.folds[0][0]), MOST_ROWS)
    weighted = replace(sample, weights_N=every.weights_N)
    return [
        regrow(first, weighted, every.rows, asked.seed + k, longer) for k in range(1, 1 + REGROWN)
    ]


def _linear(asked: _Asked) -> tuple[Linear, Answers]:
    """The penalty is that of the best out-of-fold answers."""
    most = min(MOST_ROWS, max(1_000, MOST_CELLS // asked.design.linear_width))
    models: list[list[Linear]] = [[] for _ in STRENGTHS]
    said: list[list[Answers]] = [[] for _ in STRENGTHS]
    for (_, validation), drawn in zip(asked.folds, asked.drawn(most), strict=True):
        read, target = _design(asked, drawn.rows), asked.target_N[drawn.rows]
        fitted = [
            fit_linear(read, target, asked.outputs, strength, drawn.weights)
            for strength in STRENGTHS
        ]
        for place, one in enumerate(fitted):
            models[place].append(one)
        for start in range(0, len(validation), CHUNK):
            held = _design(asked, validation[start : start + CHUNK])
            for place, one in enumerate(fitted):
                said[place].append(one.answer(held))
    rows = np.concatenate([validation for _, validation in asked.folds])
    weights = None if asked.weights_N is None else asked.weights_N[rows]
    answers = [np.concatenate(each) for each in said]
    losses = [loss_of(each, asked.target_N[rows], weights) for each in answers]
    best = int(np.argmin(losses))
    if len(asked.folds) == 1:
        every = asked.drawn_of_all(most)
        read, target = _design(asked, every.rows), asked.target_N[every.rows]
        again = fit_linear(read, target, asked.outputs, STRENGTHS[best], every.weights)
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
