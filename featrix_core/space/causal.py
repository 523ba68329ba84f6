"""What a column pair does for the columns' losses, measured as a randomised experiment (JOINT-3, D6).

Training is cut into observation periods. At the end of each, some candidates are left out, drawn at random with known
probabilities, and the same rows under the same masks are judged twice: with all candidates, and without those. How much
less a column's loss over hidden cells is the second time (mostly it is more) is the outcome `y` of the period: every
row is its own control, so that hard batches, hard masks and the fall of the loss cancel out. With
`D = active − probability`, which averages to zero whatever happened before, a pair's lift on a column is

    lift = Σ ω·D·(y − ȳ) / Σ ω·D²        (ω = 0.95^age)

depends on no preference of the schedule; a period in which a pair had no choice (probability 0 or 1) counts for
nothing.

An interaction shows on a third column (`c = a·b`: the pair (a, b) tells c, which neither column's own loss knows),
so the column that gains most beside the two counts too. It is chosen on one half of the periods and
measured on the other, both ways round, so that choosing it adds no bias. The sum over all columns would hold the
same with the noise of all of them.

Legend: T periods · A columns · P pairs · N records (period and pair).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

RECENCY, AGE_PERIODS = 0.95, 8
"""Weight of an observation per unit of age (D6), and the periods in a unit. The source's epochs are far longer than
a period of a few updates: with a unit per period two thirds of all observations would be thrown away."""
INTERVAL = 1.96
"""Standard errors on either side of the mean: 95 % (D6)."""
ENOUGH = 5
"""Periods with a pair, and periods without it, below which its bound is lowered further (D6)."""
LUCK = 0.36
"""Correlation, at most, of the two results that choose on one half and measure on the other, where nothing has
an effect: they choose the same column most often when it is lucky in both."""
COMPLEXITY = 1e-4
"""Nats that every pair has to earn (D6, "complexity penalty")."""


class Experiment(NamedTuple):
    """What was observed: gains_TA nats per hidden cell with the active pairs alone; active_TP is 0 or 1,
    chance_TP from 0 to 1."""

    gains_TA: Tensor
    active_TP: Tensor
    chance_TP: Tensor


@dataclass(frozen=True)
class Lifts:
    """Lifts of pairs (i, j), in nats per hidden cell; positive is good.

    Attributes:
        onto_P2: on column j (i → j) and on column i (j → i). onto_error_P2: standard errors.
        third_P, third_error_P: on the column that gains most beside them, `third_column_P` (-1: there is none).
        total_P, total_error_P: all of them together.
        paired_P, unpaired_P: periods with and without the pair, of those in which either could happen.
        score_P: lower bound of the total, less the penalties; minus infinity where nothing is known.
    """

    onto_P2: Tensor
    onto_error_P2: Tensor
    third_P: Tensor
    third_error_P: Tensor
    third_column_P: Tensor
    total_P: Tensor
    total_error_P: Tensor
    paired_P: Tensor
    unpaired_P: Tensor
    score_P: Tensor


def measure(experiment: Experiment, pairs_P2: Tensor, used_T: Tensor) -> Lifts:
    """Lifts of all pairs from the periods where `used_T` is true; all pairs and columns at once."""
    gains_TA, active_TP, chance_TP = experiment
    periods, columns = gains_TA.shape
    pairs = len(pairs_P2)
    age_T = periods - 1 - torch.arange(periods)
    weight_T = RECENCY ** (age_T / AGE_PERIODS) * used_T
    share_T1 = (weight_T / weight_T.sum().clamp(min=1e-9)).unsqueeze(1)
    gains_TA = gains_TA - (gains_TA * share_T1).sum(0)
    push_TP = active_TP - chance_TP
    # One degree of freedom went into the mean.
    noise_AA = gains_TA.T @ (gains_TA * share_T1) / (1.0 - (share_T1**2).sum()).clamp(min=0.1)
    noise_A = noise_AA.diagonal()
    every = _effects(push_TP, gains_TA, weight_T)
    i, j, row = pairs_P2[:, 0], pairs_P2[:, 1], torch.arange(pairs)
    onto_P2 = torch.stack([every.lift_PA[row, j], every.lift_PA[row, i]], 1)
    onto_noise_P2 = torch.stack([noise_A[j], noise_A[i]], 1)
    onto_error_P2 = (onto_noise_P2 * every.spread_P.unsqueeze(1)).sqrt()
    third_P, third_column_P = torch.zeros(pairs), torch.full((pairs,), -1)
    third_error_P, shared_P = torch.zeros(pairs), torch.zeros(pairs)
    if columns > 2:
        half_T = (torch.arange(periods) // 2) % 2 == 0
        halves = [_effects(push_TP, gains_TA, weight_T * side) for side in (half_T, ~half_T)]
        scale_A = noise_A.clamp(min=1e-12).sqrt()
        found_P2 = torch.zeros(pairs, 2)
        noise_P2 = torch.zeros(pairs, 2)
        chosen_P2 = torch.zeros(pairs, 2, dtype=torch.int64)
        for k, (seen, told) in enumerate((halves, halves[::-1])):
            best_P = _best_other(seen.lift_PA / scale_A, i, j)
            chosen_P2[:, k] = best_P
            found_P2[:, k] = told.lift_PA[row, best_P]
            noise_P2[:, k] = noise_A[best_P] * told.spread_P
            # Noise that this column has in common with the two counts in both sums.
            common_P = noise_AA[best_P, i] + noise_AA[best_P, j]
            shared_P += common_P * told.spread_P * told.size_P / every.size_P
        third_P = found_P2.mean(1)
        third_error_P = (noise_P2.sum(1) + 2.0 * LUCK * noise_P2.prod(1).sqrt()).sqrt() / 2.0
        # Named where both halves mean the same column: another's name would not be the one that was measured.
        third_column_P = torch.where(chosen_P2[:, 0] == chosen_P2[:, 1], chosen_P2[:, 0], -1)
    free_TP = (chance_TP > 0) & (chance_TP < 1) & (weight_T > 0).unsqueeze(1)
    paired_P = (free_TP & (active_TP > 0)).sum(0)
    unpaired_P = (free_TP & (active_TP == 0)).sum(0)
    total_P = onto_P2.sum(1) + third_P
    two_P = (onto_noise_P2.sum(1) + 2.0 * noise_AA[i, j]).clamp(min=0.0)
    total_error_P = (two_P * every.spread_P + third_error_P**2 + shared_P).clamp(min=0.0).sqrt()
    short_P = (ENOUGH - paired_P).clamp(min=0) + (ENOUGH - unpaired_P).clamp(min=0)
    bound_P = total_P - INTERVAL * total_error_P * (1.0 + short_P / (2.0 * ENOUGH))
    known_P = (paired_P > 0) & (unpaired_P > 0)
    score_P = (bound_P - COMPLEXITY).masked_fill(~known_P, -torch.inf)
    return Lifts(
        onto_P2,
        onto_error_P2,
        third_P,
        third_error_P,
        third_column_P,
        total_P,
        total_error_P,
        paired_P,
        unpaired_P,
        score_P,
    )


class _Effects(NamedTuple):
    """lift_PA; spread_P: variance of a lift for a noise of variance 1 (one over the effective observations);
    size_P: Σ ω·D²."""

    lift_PA: Tensor
    spread_P: Tensor
    size_P: Tensor


def _effects(push_TP: Tensor, gains_TA: Tensor, weight_T: Tensor) -> _Effects:
    weighted_TP = push_TP * weight_T.unsqueeze(1)
    size_P = (weighted_TP * push_TP).sum(0).clamp(min=1e-9)
    return _Effects(
        (weighted_TP.T @ gains_TA) / size_P.unsqueeze(1),
        (weighted_TP**2).sum(0) / size_P**2,
        size_P,
    )


def _best_other(gain_PA: Tensor, i: Tensor, j: Tensor) -> Tensor:
    row = torch.arange(len(gain_PA))
    gain_PA = gain_PA.clone()
    gain_PA[row, i] = gain_PA[row, j] = -torch.inf
    return gain_PA.argmax(1)


class History:
    """Record of all periods. Only pairs that could have been active in a period have an entry for it."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._losses: list[Tensor] = []
        self._gains: list[Tensor] = []
        self._pair: list[Tensor] = []
        self._active: list[Tensor] = []
        self._chance: list[Tensor] = []

    def __len__(self) -> int:
        return len(self._losses)

    def add(self, losses_A: Tensor, gains_A: Tensor, active_P: Tensor, chance_P: Tensor) -> None:
        """A period is over. A column without any hidden cell (NaN) keeps its last loss and has gained nothing.

        Args:
            losses_A: with all candidates. gains_A: how much less they are with the active ones alone.
        """
        losses_A, gains_A = losses_A.detach().float().cpu(), gains_A.detach().float().cpu()
        before = self._losses[-1] if self._losses else torch.zeros(self.columns)
        self._losses.append(torch.where(losses_A.isfinite(), losses_A, before))
        self._gains.append(torch.where(gains_A.isfinite(), gains_A, 0.0))
        pair_N = chance_P.nonzero().squeeze(1)
        self._pair.append(pair_N)
        self._active.append(active_P[pair_N])
        self._chance.append(chance_P[pair_N])

    def mean_losses(self, periods: int) -> Tensor:
        """Losses (A,) over the last periods."""
        return torch.stack(self._losses[-periods:]).mean(0)

    def seen(self) -> Tensor:
        """Numbers of the pairs that could ever have been active, sorted."""
        if not self._pair:
            return torch.zeros(0, dtype=torch.int64)
        return torch.cat(self._pair).unique()  # type: ignore[no-untyped-call]

    def experiment(self, pairs_S: Tensor) -> Experiment:
        """Everything observed of the pairs with these (sorted) numbers."""
        periods = len(self)
        if not periods:
            none_TS = torch.zeros(0, len(pairs_S))
            return Experiment(torch.zeros(0, self.columns), none_TS, none_TS.clone())
        pair_N = torch.cat(self._pair)
        counts_T = torch.tensor([len(p) for p in self._pair])
        period_N = torch.repeat_interleave(torch.arange(periods), counts_T)
        place_N = torch.searchsorted(pairs_S, pair_N).clamp(max=max(len(pairs_S) - 1, 0))
        active_TS = torch.zeros(periods, len(pairs_S))
        chance_TS = torch.zeros(periods, len(pairs_S))
        if len(pairs_S):
            known_N = pairs_S[place_N] == pair_N
            at = (period_N[known_N], place_N[known_N])
            active_TS[at] = torch.cat(self._active)[known_N].float()
            chance_TS[at] = torch.cat(self._chance)[known_N]
        return Experiment(torch.stack(self._gains), active_TS, chance_TS)

    def state(self) -> dict[str, Tensor]:
        """Tensors for a checkpoint."""
        none = torch.zeros(0)
        return {
            "losses_TA": torch.stack(self._losses) if self._losses else none.view(0, self.columns),
            "gains_TA": torch.stack(self._gains) if self._gains else none.view(0, self.columns),
            "counts_T": torch.tensor([len(p) for p in self._pair], dtype=torch.int64),
            "pair_N": torch.cat(self._pair) if self._pair else none.long(),
            "active_N": torch.cat(self._active) if self._active else none.bool(),
            "chance_N": torch.cat(self._chance) if self._chance else none,
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from `state()`."""
        counts = tensors["counts_T"].tolist()
        self._losses = list(tensors["losses_TA"].unbind())
        self._gains = list(tensors["gains_TA"].unbind())
        self._pair = _parts(tensors["pair_N"], counts)
        self._active = _parts(tensors["active_N"], counts)
        self._chance = _parts(tensors["chance_N"], counts)


def _parts(values_N: Tensor, counts: list[int]) -> list[Tensor]:
    return list(values_N.split(counts)) if counts else []  # type: ignore[no-untyped-call]
