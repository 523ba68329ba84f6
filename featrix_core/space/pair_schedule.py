"""Which pairs are candidates when: all at first, then the useless ones go, and what helps is protected (JOINT-3, D6).

The schedule hands out probabilities, never decisions: every candidate, also a protected one, is left out of half of
the judgements (never of the training), drawn with a known probability that is divided out of the lifts
(`causal`). Without these nothing would be left to compare a pair with, and one that has become harmful would stay.

Pairs are tried by leaving them out, not by letting a few of them in: a pair's worth shows only once the network has
learned to use it.

Legend: P pairs · C candidates · Q drawn pairs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from featrix_core.space.causal import ENOUGH, Lifts

STEPS = 2
"""Updates per observation period."""
CHANCE = 0.5
"""Probability of every candidate to be there when a period is judged: as many controls as treatments tell most."""
EXPLORED, FOCUSED = 0.3, 0.5
"""Progress at which the first candidates are dropped, and at which there are as many as slots. Before the first, a
network has hardly learned to use any pair; after the second, the rate is too low to make up for what is dropped."""
BACK = 3
"""One pair comes back for so many that are dropped."""
GRACE = 6
"""Periods that a new candidate cannot be dropped in."""
PROTECTED_SHARE, MOST_PROTECTED = 0.05, 10
"""Protected pairs at most, of all pairs and in number; never more than half of the slots."""
DROPPED, ENTERED, PROTECTED, RELEASED = range(4)
"""Events of a pair's history."""


def draw(chance_P: Tensor, generator: torch.Generator) -> Tensor:
    """Active pairs (P,) bool, each with its probability and independently of all others.

    Were their number fixed, one more of some pairs would be one less of others, and every useless pair would
    be charged with what it keeps out.
    """
    return torch.rand(len(chance_P), generator=generator) < chance_P


class PairSchedule:
    """State of the explore-then-swap schedule.

    Args:
        pairs: number of all pairs. slots: pairs that the finished space reads.

    Attributes:
        candidate_P, protected_P: bool.
        events: (period, pair, what) in order.
    """

    def __init__(self, pairs: int, slots: int, generator: torch.Generator) -> None:
        self.pairs, self.slots, self.generator = pairs, min(slots, pairs), generator
        self.candidate_P = torch.full((pairs,), slots > 0)
        self.protected_P = torch.zeros(pairs, dtype=torch.bool)
        self.entered_P = torch.zeros(pairs, dtype=torch.int64)
        self.exploring = True
        self.events: list[tuple[int, int, int]] = []

    def chances(self) -> Tensor:
        """Probability (P,) of every pair to be there when the next period is judged."""
        return CHANCE * self.candidate_P.float()

    def still_exploring(self, progress: float) -> bool:
        """Whether candidates are still tried without looking at lifts."""
        self.exploring = self.exploring and progress < EXPLORED
        return self.exploring

    def swap(self, period: int, progress: float, seen_S: Tensor, lifts: Lifts) -> None:
        """Drop the candidates of the least lift, let others in, protect the best."""
        mean_P, score_P = torch.zeros(self.pairs), torch.full((self.pairs,), -torch.inf)
        # A mean of few observations is drawn towards zero: what is hardly known is neither good nor bad.
        faith_S = lifts.paired_P / (lifts.paired_P + ENOUGH)
        mean_P[seen_S], score_P[seen_S] = lifts.total_P * faith_S, lifts.score_P
        self._protect(period, score_P)
        old_P = period - self.entered_P >= GRACE
        free_C = (self.candidate_P & ~self.protected_P & old_P).nonzero().squeeze(1)
        outside_O = (~self.candidate_P).nonzero().squeeze(1)
        way = min(max((progress - EXPLORED) / (FOCUSED - EXPLORED), 0.0), 1.0)
        allowed = round(self.pairs + (self.slots - self.pairs) * way)
        excess = max(int(self.candidate_P.sum()) - allowed, 0)
        into = min(max(excess // BACK, 1), len(outside_O), max(len(free_C) - excess, 0))
        out = min(excess + into, len(free_C))
        worst_C = free_C[mean_P[free_C].argsort(stable=True)[:out]]
        # What did best comes back first; of pairs that did alike, chance decides.
        luck_O = mean_P[outside_O] + 1e-9 * torch.rand(len(outside_O), generator=self.generator)
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

        The best by their lower bound fill the slots.
        """
        best = lifts.score_P.argsort(descending=True, stable=True)
        return seen_S[best[: self.slots]].sort().values

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and JSON for a checkpoint."""
        tensors = {
            "candidate_P": self.candidate_P,
            "protected_P": self.protected_P,
            "entered_P": self.entered_P,
        }
        return tensors, {"exploring": self.exploring, "events": [list(e) for e in self.events]}

    def restore(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self.candidate_P = tensors["candidate_P"].clone()
        self.protected_P = tensors["protected_P"].clone()
        self.entered_P = tensors["entered_P"].clone()
        self.exploring = record["exploring"]
        self.events = [(period, pair, what) for period, pair, what in record["events"]]
