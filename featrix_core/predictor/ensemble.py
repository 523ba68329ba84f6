"""Nets, trees and a linear model: what each is worth on rows that it did not train on, and their blend (PRED-7).

All are trained on the same folds. Their out-of-fold answers say honestly where the nets stand; the blend's
weights are found on the same answers by greedy selection (Caruana et al., 2004), which starts with the nets and adds
whichever model helps most, one part in `ROUNDS` at a time. What the blend itself is worth is measured on rows that had
no say in its weights.

Legend: N rows · O outputs (classes, or 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featrix_core.encoders.tokens import TokenBatch
from featrix_core.predictor.design import Design, Features
from featrix_core.predictor.fitting import bag_answer
from featrix_core.predictor.linear import Linear
from featrix_core.predictor.objective import PredictorNet
from featrix_core.predictor.plan import FOLDS
from featrix_core.predictor.standing import LINEAR, NETS
from featrix_core.tables.splits import kfold

ROUNDS = 25
CHUNK = 16_384
"""Rows that the other models read at once."""

Answers = NDArray[np.float32]


class Trees(Protocol):
    """Some boosted models that answer with their mean; `stored` is what a bundle holds of each."""

    stored: list[bytes]

    def answer(self, read: Features) -> Answers:
        """Log-probabilities (N, O), or standardised numbers (N, 1)."""


@dataclass(frozen=True)
class Ensemble:
    """What answers: nets alone, or nets and others in the proportions of `weights`.

    Shape: TokenBatch of N rows → log-probabilities (N, O), or standardised numbers (N, 1); and the spread of the
    nets' heads (N,).
    """

    nets: list[PredictorNet]
    classification: bool
    weights: Mapping[str, float] = field(default_factory=lambda: {NETS: 1.0})
    design: Design | None = None
    trees: Mapping[str, Trees] = field(default_factory=dict)
    linear: Linear | None = None

    def answer(self, batch: TokenBatch) -> tuple[Answers, Answers]:
        """The blend's answer, and the spread."""
        said, spread = bag_answer(self.nets, batch, self.classification)
        parts = [
            self._peers(batch.rows(slice(start, start + CHUNK)))
            for start in range(0, max(batch.n_rows, 1), CHUNK)
        ]
        answers = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        answers[NETS] = said.numpy()
        return blend(answers, self.weights, self.classification), spread.numpy()

    def _peers(self, batch: TokenBatch) -> dict[str, Answers]:
        if self.design is None:
            return {}
        read = self.design.features(batch)
        shown = self.design.shown.of(read)
        answers = {name: each.answer(shown) for name, each in self.trees.items()}
        if self.linear is not None:
            answers[LINEAR] = self.linear.answer(self.design.linear(batch, read))
        return answers


def blend(
    answers: Mapping[str, Answers], weights: Mapping[str, float], classification: bool
) -> Answers:
    """Weighted mean of probabilities, as logs, or of numbers (N, O)."""
    used = [(answers[name], share) for name, share in sorted(weights.items()) if share > 0]
    if len(used) == 1:
        return used[0][0]
    if not classification:
        return np.asarray(sum(share * said for said, share in used), np.float32)
    logs = [said.astype(np.float64) + np.log(share) for said, share in used]
    return np.asarray(np.logaddexp.reduce(logs, axis=0), np.float32)


def losses_of(answer_NO: Answers, target_N: NDArray[Any]) -> NDArray[np.float64]:
    """Row by row: log loss in nats of log-probabilities, or squared error of standardised numbers (N,)."""
    if np.issubdtype(target_N.dtype, np.floating):
        return np.square(answer_NO[:, 0].astype(np.float64) - target_N)
    return -answer_NO[np.arange(len(target_N)), target_N].astype(np.float64)


def loss_of(
    answer_NO: Answers, target_N: NDArray[Any], weights_N: NDArray[np.float64] | None = None
) -> float:
    """Weighted mean of `losses_of`."""
    if weights_N is not None and not weights_N.any():
        weights_N = None
    return float(np.average(losses_of(answer_NO, target_N), weights=weights_N))


def greedy_weights(
    answers: Mapping[str, Answers],
    target_N: NDArray[Any],
    weights_N: NDArray[np.float64] | None = None,
) -> dict[str, float]:
    """Share of every model in the blend, by greedy selection with replacement on out-of-fold answers."""
    classification = not np.issubdtype(target_N.dtype, np.floating)
    names = sorted(answers)
    counts = {name: int(name == NETS) for name in names}
    for _ in range(ROUNDS - 1):
        tried = []
        for name in names:
            more = {other: counts[other] + (other == name) for other in names}
            total = sum(more.values())
            said = blend(answers, {n: c / total for n, c in more.items()}, classification)
            tried.append((loss_of(said, target_N, weights_N), name))
        counts[min(tried)[1]] += 1
    return {name: count / ROUNDS for name, count in counts.items()}


def crossfitted_loss(
    answers: Mapping[str, Answers],
    target_N: NDArray[Any],
    weights_N: NDArray[np.float64] | None = None,
    groups_N: NDArray[np.int64] | None = None,
    seed: int = 42,
) -> float:
    """Loss of the blend on rows that had no say in its shares, to stand beside those of single models (PRED-7).

    In every fold the shares are fitted on the other rows, rows of one group together. What is served has the shares
    of all rows; theirs would be too good a figure on the same rows.
    """
    classification = not np.issubdtype(target_N.dtype, np.floating)
    rows_N = np.arange(len(target_N))
    # A loss needs no more of an answer than what it says of the row's own class.
    told = {
        name: said[rows_N, target_N][:, None] if classification else said
        for name, said in answers.items()
    }
    truth_N = np.zeros_like(target_N) if classification else target_N
    folds = min(FOLDS, len(target_N) if groups_N is None else len(np.unique(groups_N)))
    if folds < 2:  # nothing to fit shares on: the nets, which greedy selection starts with
        return loss_of(told[NETS], truth_N, weights_N)
    judged = np.empty_like(told[NETS])
    for fitted, held in kfold(None, folds, seed, len(target_N), groups_N=groups_N):
        known = {name: said[fitted] for name, said in told.items()}
        some = None if weights_N is None else weights_N[fitted]
        shares = greedy_weights(known, truth_N[fitted], some)
        rest = {name: said[held] for name, said in told.items()}
        judged[held] = blend(rest, shares, classification)
    return loss_of(judged, truth_N, weights_N)
