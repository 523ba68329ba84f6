"""Which pairs are tried when: explore, then swap, protect what helps (JOINT-3, D6).

The schedule hands out probabilities, never decisions: every period's pairs are drawn with them, so that they can be
divided out of the lifts (`causal`). Also a protected pair sits out a period now and then. Without such periods
nothing would be left to compare it with, and a pair that has become harmful would stay for good.

Legend: P pairs · C candidates · Q drawn pairs.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from featrix_core.space.causal import ENOUGH, Lifts

CAP = 0.85
"""Most that a pair's probability may be: about one period in seven is a control period."""
POOL = 12
"""Candidates per slot at the start. A budget of few slots cannot measure all pairs of a wide table: each would be
tried once or never. The others come in as candidates are dropped."""
TRIES = ENOUGH
"""Periods that each candidate gets before anything is dropped, if `EXPLORED` leaves time for them."""
EXPLORED = 0.35
"""Progress at which swapping starts at the latest."""
UNTRIED = 3.0
"""How much more probable a candidate is that was not tried yet."""
SWAP_SHARE = 0.04
"""Share of the first candidates that is dropped per period: 8 of 190 pairs."""
KEEP_SHARE, MOST_SHARE = 0.30, 0.40
"""Shares of all pairs: candidates that the swaps lead to, and pairs of the finished space at most."""
GRACE = 6
"""Periods that a new candidate cannot be dropped in."""
PROTECTED_SHARE, MOST_PROTECTED = 0.05, 10
"""Protected pairs at most, of all pairs and in number; never more than half of the slots."""
DROPPED, ENTERED, PROTECTED, RELEASED = range(4)
"""Events of a pair's history."""


def spread_chances(weight_P: Tensor, total: float) -> Tensor:
    """Probabilities (P,) in proportion to weights, none above `CAP`, that sum to `total` if they can."""
    chance_P = torch.zeros_like(weight_P)
    open_P = weight_P > 0
    left = min(total, CAP * int(open_P.sum()))
    while bool(open_P.any()):
        share_P = torch.where(open_P, weight_P, 0.0)
        share_P = share_P * (left / float(share_P.sum()))
        over_P = share_P > CAP
        if not bool(over_P.any()):
            return chance_P + share_P
        chance_P[over_P] = CAP
        open_P &= ~over_P
        left = max(left - CAP * int(over_P.sum()), 0.0)
    return chance_P


def draw(chance_P: Tensor, generator: torch.Generator) -> Tensor:
    """Active pairs (P,) bool, each with exactly its probability; their number is the sum of probabilities, up
    to rounding (systematic sampling in random order)."""
    order_P = torch.randperm(len(chance_P), generator=generator)
    start = torch.rand((), generator=generator, dtype=torch.float64)
    end_P = chance_P[order_P].double().cumsum(0) - start
    before_P = torch.cat([-start.unsqueeze(0), end_P[:-1]])
    active_P = torch.zeros(len(chance_P), dtype=torch.bool)
    active_P[order_P] = end_P.floor() > before_P.floor()
    return active_P & (chance_P > 0)


class PairSchedule:
    """State of the explore-then-swap schedule.

    Args:
        pairs: number of all pairs. columns: of the table. slots: pairs that may be active in one period.
        first: numbers of pairs that are candidates from the start; others are drawn.

    Attributes:
        candidate_P, protected_P: bool. tried_P: periods in which a pair was active.
        events: (period, pair, what) in order.
    """

    def __init__(
        self, pairs: int, columns: int, slots: int, first: Tensor, generator: torch.Generator
    ) -> None:
        self.pairs, self.slots, self.generator = pairs, min(slots, pairs), generator
        self.floor = min(pairs, max(5, columns // 2))
        pool = min(pairs, max(self.floor, POOL * self.slots)) if slots else 0
        wish_P = torch.rand(pairs, generator=generator)
        wish_P[first] += 1.0
        self.candidate_P = torch.zeros(pairs, dtype=torch.bool)
        self.candidate_P[wish_P.argsort(descending=True, stable=True)[:pool]] = True
        self.protected_P = torch.zeros(pairs, dtype=torch.bool)
        self.tried_P = torch.zeros(pairs, dtype=torch.int64)
        self.entered_P = torch.zeros(pairs, dtype=torch.int64)
        self.exploring = True
        self.swaps = max(1, round(SWAP_SHARE * pool))
        room = min(round(KEEP_SHARE * pairs), math.ceil(self.slots / CAP))
        self.target = min(pool, max(self.floor, room))
        self.events: list[tuple[int, int, int]] = []

    def chances(self) -> Tensor:
        """Probability (P,) of every pair to be active in the next period."""
        weight_P = self.candidate_P.float()
        if self.exploring:
            weight_P = torch.where(self.tried_P == 0, UNTRIED * weight_P, weight_P)
        # Far more probable than the others, up to the cap.
        weight_P = torch.where(self.protected_P, 1e3 * weight_P, weight_P)
        return spread_chances(weight_P, float(self.slots))

    def tried(self, active_P: Tensor) -> None:
        """These pairs were active in the period that is over."""
        self.tried_P += active_P

    def still_exploring(self, progress: float) -> bool:
        """Whether candidates are still tried without looking at lifts."""
        waiting = bool((self.tried_P[self.candidate_P] < TRIES).any())
        self.exploring = self.exploring and waiting and progress < EXPLORED
        return self.exploring

    def swap(self, period: int, seen_S: Tensor, lifts: Lifts) -> None:
        """Drop the candidates of the least lift, let others in, protect the best."""
        mean_P, score_P = torch.zeros(self.pairs), torch.full((self.pairs,), -torch.inf)
        # A mean of few observations is drawn towards zero: what is hardly known is neither good nor bad.
        faith_S = lifts.paired_P / (lifts.paired_P + ENOUGH)
        mean_P[seen_S], score_P[seen_S] = lifts.total_P * faith_S, lifts.score_P
        self._protect(period, score_P)
        old_P = period - self.entered_P >= GRACE
        free_C = (self.candidate_P & ~self.protected_P & old_P).nonzero().squeeze(1)
        outside_O = (~self.candidate_P).nonzero().squeeze(1)
        excess = int(self.candidate_P.sum()) - self.target
        out = min(self.swaps, len(free_C)) if excess > 0 else min(1, len(free_C))
        into = out // 3 if excess > 0 else out
        into = min(max(into, out - max(excess, 0)), len(outside_O))
        out = min(out, into + max(excess, 0))
        worst_C = free_C[mean_P[free_C].argsort(stable=True)[:out]]
        luck_O = torch.rand(len(outside_O), generator=self.generator)
        luck_O = luck_O + (self.tried_P[outside_O] == 0)
        enter_O = outside_O[luck_O.argsort(descending=True, stable=True)[:into]]
        self.candidate_P[worst_C] = False
        self.candidate_P[enter_O] = True
        self.entered_P[enter_O] = period
        self._log(period, worst_C, DROPPED)
        self._log(period, enter_O, ENTERED)

    def _protect(self, period: int, score_P: Tensor) -> None:
        most = min(MOST_PROTECTED, max(1, round(PROTECTED_SHARE * self.pairs)), self.slots // 2)
        best_Q = score_P.argsort(descending=True, stable=True)[:most]
        now_P = torch.zeros_like(self.protected_P)
        now_P[best_Q] = score_P[best_Q] > 0
        now_P &= self.candidate_P
        self._log(period, (now_P & ~self.protected_P).nonzero().squeeze(1), PROTECTED)
        self._log(period, (self.protected_P & ~now_P).nonzero().squeeze(1), RELEASED)
        self.protected_P = now_P

    def _log(self, period: int, pairs: Tensor, what: int) -> None:
        self.events += [(period, pair, what) for pair in pairs.tolist()]

    def finished(self, seen_S: Tensor, lifts: Lifts) -> Tensor:
        """Numbers of the pairs that the finished space reads, sorted.

        All whose lower bound is above zero, up to the slots and 40 % of the pairs; if they are fewer than the
        floor, the best of those with a positive lift fill it up.
        """
        most = min(self.slots, max(1, round(MOST_SHARE * self.pairs)))
        best = lifts.score_P.argsort(descending=True, stable=True)[:most]
        sure = lifts.score_P[best] > 0
        likely = (lifts.total_P[best] > 0) & lifts.score_P[best].isfinite()
        likely[self.floor :] = False
        return seen_S[best[sure | likely]].sort().values

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and JSON for a checkpoint."""
        tensors = {
            "candidate_P": self.candidate_P,
            "protected_P": self.protected_P,
            "tried_P": self.tried_P,
            "entered_P": self.entered_P,
        }
        return tensors, {"exploring": self.exploring, "events": [list(e) for e in self.events]}

    def restore(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self.candidate_P = tensors["candidate_P"].clone()
        self.protected_P = tensors["protected_P"].clone()
        self.tried_P, self.entered_P = tensors["tried_P"].clone(), tensors["entered_P"].clone()
        self.exploring = record["exploring"]
        self.events = [(period, pair, what) for period, pair, what in record["events"]]
