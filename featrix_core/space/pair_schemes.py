"""Other ways to choose pairs, which the causal one is measured against (D6, "The Heuristic Trap").

`causal` is what every space is trained with; benchmarks ask `PairSampler` for the others.
"""

from __future__ import annotations

import torch
from torch import Tensor

from featrix_core.space.causal import History, Lifts
from featrix_core.space.pair_schedule import PairSchedule
from featrix_core.space.relationships import PairSampler


class FixedPairs(PairSchedule):
    """The same pairs from beginning to end: all, or as many drawn ones as there are slots."""

    def __init__(self, pairs: int, slots: int, generator: torch.Generator) -> None:
        super().__init__(pairs, slots, generator)
        chosen = torch.randperm(pairs, generator=generator)[: self.slots]
        self.candidate_P = torch.zeros(pairs, dtype=torch.bool)
        self.candidate_P[chosen] = True

    def chances(self) -> Tensor:
        """One for the chosen pairs."""
        return self.candidate_P.float()

    def still_exploring(self, progress: float) -> bool:
        """No lift is ever looked at."""
        return True

    def finished(self, seen_S: Tensor, lifts: Lifts) -> Tensor:
        """The chosen pairs."""
        return self.candidate_P.nonzero().squeeze(1)


class DistantPairs(PairSchedule):
    """The heuristic: after exploration, the pairs of the largest |lossᵢ − lossⱼ| for good."""

    def __init__(
        self, pairs_P2: Tensor, slots: int, generator: torch.Generator, history: History
    ) -> None:
        super().__init__(len(pairs_P2), slots, generator)
        self.pairs_P2, self.history = pairs_P2, history

    def chances(self) -> Tensor:
        """As the causal schedule while exploring; then one for the chosen pairs."""
        return super().chances() if self.exploring else self.candidate_P.float()

    def still_exploring(self, progress: float) -> bool:
        """Choose once, when exploration ends."""
        was = self.exploring
        if was and not super().still_exploring(progress):
            losses_A = self.history.mean_losses(5)
            gap_P = (losses_A[self.pairs_P2[:, 0]] - losses_A[self.pairs_P2[:, 1]]).abs()
            best_Q = gap_P.argsort(descending=True, stable=True)[: self.slots]
            self.candidate_P = torch.zeros(self.pairs, dtype=torch.bool)
            self.candidate_P[best_Q] = True
        return True

    def finished(self, seen_S: Tensor, lifts: Lifts) -> Tensor:
        """The chosen pairs."""
        return self.candidate_P.nonzero().squeeze(1)[: self.slots]


def schedule_of(
    sampler: PairSampler, pairs_P2: Tensor, history: History, generator: torch.Generator
) -> PairSchedule:
    """The schedule of a sampler's scheme."""
    if sampler.scheme == "causal":
        return PairSchedule(len(pairs_P2), sampler.active, generator)
    if sampler.scheme == "distance":
        return DistantPairs(pairs_P2, sampler.active, generator, history)
    return FixedPairs(len(pairs_P2), sampler.active, generator)
