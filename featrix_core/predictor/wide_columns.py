"""Which columns of many numbers the trees beside the nets read: those that lower the loss on held-out rows (PRED-7).

A text is sixteen directions of a sentence vector, and a category where it recurs. For names and codes the directions
are noise, which trees follow (decision 0008). So each of them has to prove its worth with quick trees.

Legend: N rows · F numbers · K category and text columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featrix_core.encoders.timestamp_codec import CYCLICAL
from featrix_core.encoders.tokens import FAMILIES, TokenBatch
from featrix_core.predictor.boosted import Sample
from featrix_core.predictor.design import TEXT_PARTS, Design, Shown
from featrix_core.predictor.ensemble import losses_of
from featrix_core.predictor.leafwise import fit_leafwise

MOST_ROWS = 5_000
"""Training and validation rows of a fold that the question is asked on."""
FEWEST_OF_A_CLASS = 200
"""Rows of a class that stay among these, where it has so many."""
MOST_TRIED = 16
"""Parts of columns that are tried one by one; the others go together."""
_ROUNDS = 300
_QUICK: dict[str, Any] = {
    "learning_rate": 0.1,
    # More smoothing than where trees answer: with less, a column of noise looks useful more often.
    "min_data_in_leaf": 20,
    "lambda_l2": 0.0,
    "cat_smooth": 10.0,
    "cat_l2": 10.0,
}
_TREES_A_ROUND = 10
"""Trees for all folds of a round: with many classes fewer folds are asked."""

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class _Part:
    """Columns of `Features` that are shown together or not at all; false everywhere else."""

    name: str
    numbers_F: NDArray[np.bool_]
    codes_K: NDArray[np.bool_]


def choose_shown(
    design: Design,
    names: tuple[tuple[str, ...], ...],
    batch: TokenBatch,
    target_N: NDArray[Any],
    outputs: int,
    folds: list[Fold],
    seed: int,
    weights_N: NDArray[np.float64] | None,
    rounds: int,
) -> tuple[Shown, list[str]]:
    """One part after the other is added, and kept if the mean loss over the folds' validation rows falls by more
    than its standard error. Beside it, what is hidden.

    Args:
        names: of the columns of every family, as of a tokenizer's `groups`. The others as of
            `peers.fit_peers`.

    Raises:
        lightgbm.basic.LightGBMError: columns that do not vary, and other data that it refuses.
    """
    parts = _parts(design, names, batch)
    asked = folds[: max(1, _TREES_A_ROUND // max(2, outputs))]
    rng = np.random.default_rng(seed)
    few = [(_drawn(rng, target_N, train), _drawn(rng, target_N, held)) for train, held in asked]
    if not parts or any(len(np.unique(target_N[train])) < 2 for train, _ in few):
        return design.shown, []
    rows = np.unique(np.concatenate([row for fold in few for row in fold]))
    read = design.features(batch).rows(rows)
    cuts = [(np.searchsorted(rows, train), np.searchsorted(rows, held)) for train, held in few]
    held_N = np.concatenate([held for _, held in cuts])
    weights = None if weights_N is None else weights_N[rows]
    counted = None if weights is None or not weights[held_N].any() else weights[held_N]

    def losses(shown: Shown) -> NDArray[np.float64]:
        sample = Sample(shown.of(read), target_N[rows], outputs, weights)
        said = [
            fit_leafwise(sample, train, held, seed, min(rounds, _ROUNDS), **_QUICK).answer(
                sample.read.rows(held)
            )
            for train, held in cuts
        ]
        return losses_of(np.concatenate(said), target_N[rows][held_N])

    shown = Shown(
        ~np.any([part.numbers_F for part in parts], axis=0),
        ~np.any([part.codes_K for part in parts], axis=0),
    )
    if not shown.numbers_F.any() and not len(shown.codes_K):
        return design.shown, []  # a table of such columns alone
    least_N = losses(shown)
    hidden = []
    for part in parts:
        more = Shown(shown.numbers_F | part.numbers_F, shown.codes_K | part.codes_K)
        found_N = losses(more)
        gain_N = least_N - found_N
        gain = float(np.average(gain_N, weights=counted))
        if gain > float(gain_N.std()) / math.sqrt(len(gain_N)):
            shown, least_N = more, found_N
        else:
            hidden.append(part.name)
    return shown, hidden


def _drawn(
    rng: np.random.Generator, target_N: NDArray[Any], rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """At most about `MOST_ROWS`, in order; of a rare class as many as there are."""
    if len(rows) <= MOST_ROWS:
        return rows
    if np.issubdtype(target_N.dtype, np.floating):
        return np.sort(rng.choice(rows, MOST_ROWS, replace=False))
    kept = []
    for label in np.unique(target_N[rows]):
        own = rows[target_N[rows] == label]
        count = max(MOST_ROWS * len(own) // len(rows), min(len(own), FEWEST_OF_A_CLASS))
        kept.append(rng.choice(own, count, replace=False))
    return np.sort(np.concatenate(kept))


def _parts(design: Design, names: tuple[tuple[str, ...], ...], batch: TokenBatch) -> list[_Part]:
    """What has to prove its worth: of every text column the category and the directions, of every composite
    or vector column its numbers."""
    of = dict(zip(FAMILIES, names, strict=True))
    numbers_F = np.zeros_like(design.shown.numbers_F)
    codes_K = np.zeros_like(design.shown.codes_K)
    times = batch.time_NTF.shape[1] * (batch.time_NTF.shape[2] - CYCLICAL // 2)
    start = batch.position_NS.shape[1] + len(design.ordered) + times
    parts = []
    for x, name in enumerate(of["text"]):
        place = len(design.offsets) + x
        if design.sizes[place] > 2:
            category = _with(codes_K, place, 1)
            parts.append(_Part(f"{name}, as a category", numbers_F, category))
        parts.append(_Part(f"{name}, in its sense", _with(numbers_F, start, TEXT_PARTS), codes_K))
        start += TEXT_PARTS
    widths = {"composite": batch.summary_NYZ.shape[2], "vector": batch.vector_NRH.shape[2]}
    for family, width in widths.items():
        for name in of[family]:
            parts.append(_Part(name, _with(numbers_F, start, width), codes_K))
            start += width
    assert start == len(numbers_F)
    first, rest = parts[:MOST_TRIED], parts[MOST_TRIED:]
    if rest:
        numbers = np.any([part.numbers_F for part in rest], axis=0)
        codes = np.any([part.codes_K for part in rest], axis=0)
        first.append(_Part("; ".join(part.name for part in rest), numbers, codes))
    return first


def _with(mask: NDArray[np.bool_], start: int, width: int) -> NDArray[np.bool_]:
    more = mask.copy()
    more[start : start + width] = True
    return more
