"""Which columns of many numbers the trees beside the nets read: those that lower the loss on held-out rows (PRED-7).

A text is sixteen directions of a sentence vector, and a category where it recurs. For names and codes the directions
are noise, which trees follow: on 13,333 flights the number of the aeroplane took .010 from their log loss. So each of
them has to prove its worth with trees that take a second or two.

Legend: N rows · F numbers · K category and text columns.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featrix_core.encoders.timestamp_codec import CYCLICAL
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.predictor.design import TEXT_PARTS, Design, Shown
from featrix_core.predictor.ensemble import loss_of
from featrix_core.predictor.leafwise import fit_leafwise

MOST_ROWS = 5_000
"""Training and validation rows of a fold that the question is asked on."""
MOST_TRIED = 16
"""Parts of columns that are tried one by one; the others go together."""

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


def choose_shown(
    design: Design,
    batch: TokenBatch,
    target_N: NDArray[Any],
    outputs: int,
    folds: list[Fold],
    seed: int,
    weights_N: NDArray[np.float64] | None,
    rounds: int,
) -> Shown:
    """One part after the other is added, and kept if the mean loss over the folds' validation rows falls.

    Arguments as of `leafwise.fit_leafwise`.

    Raises:
        lightgbm.basic.LightGBMError: columns that do not vary, and other data that it refuses.
    """
    parts = _parts(design, batch)
    if not parts:
        return design.shown
    read = design.features(batch)
    rng = np.random.default_rng(seed)
    few = [(_drawn(rng, train), _drawn(rng, held)) for train, held in folds]

    def loss(shown: Shown) -> float:
        there = shown.of(read)
        said = [
            fit_leafwise(there, target_N, outputs, train, held, seed, weights_N, rounds).answer(
                there.rows(held)
            )
            for train, held in few
        ]
        rows = np.concatenate([held for _, held in few])
        weights = None if weights_N is None else weights_N[rows]
        return loss_of(np.concatenate(said), target_N[rows], weights)

    tried = np.any([part.codes_K for part in parts], axis=0)
    shown = Shown(~np.any([part.numbers_F for part in parts], axis=0), ~tried)
    least = loss(shown) if shown.numbers_F.any() or shown.codes_K.any() else np.inf
    for part in parts:
        more = Shown(shown.numbers_F | part.numbers_F, shown.codes_K | part.codes_K)
        found = loss(more)
        if found < least:
            shown, least = more, found
    return shown


def _drawn(rng: np.random.Generator, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return rows if len(rows) <= MOST_ROWS else np.sort(rng.choice(rows, MOST_ROWS, replace=False))


def _parts(design: Design, batch: TokenBatch) -> list[Shown]:
    """What has to prove its worth: of every text column the category and the directions, of every composite
    or vector column its numbers."""
    none = Shown(np.zeros_like(design.shown.numbers_F), np.zeros_like(design.shown.codes_K))
    times = batch.time_NTF.shape[1] * (batch.time_NTF.shape[2] - CYCLICAL // 2)
    start = batch.position_NS.shape[1] + len(design.ordered) + times
    texts = batch.text_NX.shape[1]
    parts = []
    for x in range(texts):
        place = len(design.offsets) + x
        if design.sizes[place] > 2:
            parts.append(replace(none, codes_K=_with(none.codes_K, place, 1)))
        parts.append(replace(none, numbers_F=_with(none.numbers_F, start, TEXT_PARTS)))
        start += TEXT_PARTS
    for count, width in (batch.summary_NYZ.shape[1:], batch.vector_NRH.shape[1:]):
        for _ in range(count):
            parts.append(replace(none, numbers_F=_with(none.numbers_F, start, width)))
            start += width
    first, rest = parts[:MOST_TRIED], parts[MOST_TRIED:]
    if rest:
        numbers_F = np.any([part.numbers_F for part in rest], axis=0)
        first.append(Shown(numbers_F, np.any([part.codes_K for part in rest], axis=0)))
    return first


def _with(mask: NDArray[np.bool_], start: int, width: int) -> NDArray[np.bool_]:
    more = mask.copy()
    more[start : start + width] = True
    return more
