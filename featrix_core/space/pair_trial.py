"""The running experiment on column pairs: periods, draws, outcomes, and what the finished space keeps (JOINT-3).

Training reads all candidates. Every second update ends an observation period: some candidates are left out, and the
same rows are judged once more without them. One period in three, drawn beforehand, is held out: no decision knows its
outcome, so that the scores can be checked on it.

Legend: A columns · P pairs · Q active pairs · S pairs seen · T periods.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from featrix_core.space.causal import History, Lifts, measure
from featrix_core.space.pair_schedule import STEPS, draw
from featrix_core.space.pair_schemes import schedule_of
from featrix_core.space.relationships import PairSampler

HELD_OUT = 3
"""One period of so many in a row is held out."""
SETTLED = 0.55
"""From this progress on, the pairs of the finished space are the active ones."""


class PairTrial:
    """Says which pairs an update reads and which of them its rows are judged without, and is told the losses.

    Args:
        sampler: all pairs, the budget and the seed.
        first_Q2: pairs that the model reads already; they stay where the training is too short for a decision.

    Attributes:
        pairs_Q2: the active pairs. kept_Q: numbers of the finished space's pairs once they are settled.
    """

    def __init__(self, sampler: PairSampler, columns: int, first_Q2: Tensor) -> None:
        self.sampler, self.columns = sampler, columns
        self.pairs_P2 = torch.tensor(sampler.pairs, dtype=torch.int64).view(-1, 2)
        self.first_Q2 = first_Q2.cpu()
        self.begin()

    def begin(self) -> None:
        """A training starts: everything known is forgotten."""
        pairs = len(self.pairs_P2)
        self.generator = torch.Generator().manual_seed(self.sampler.seed + 4)
        self.history = History(self.columns)
        self.schedule = schedule_of(self.sampler, self.pairs_P2, self.history, self.generator)
        self.active_P = torch.zeros(pairs, dtype=torch.bool)
        self.chance_P = torch.zeros(pairs)
        self.pairs_Q2 = self.first_Q2
        self.kept_Q: Tensor | None = None
        self.progress, self.steps = 0.0, 0

    def held_T(self) -> Tensor:
        """Which of the periods so far are held out; the seed alone decides."""
        periods = len(self.history)
        blocks = math.ceil(periods / HELD_OUT)
        generator = torch.Generator().manual_seed(self.sampler.seed * 1_000_003 + 5)
        place_B = torch.rand(blocks, generator=generator, dtype=torch.float64) * HELD_OUT
        at_T = torch.arange(periods)
        return place_B.long()[at_T // HELD_OUT] == at_T % HELD_OUT

    def start_epoch(self, progress: float) -> Tensor | None:
        """Called before an epoch; the pairs (Q, 2) that the space reads from now on, if that is to change.

        Once exploration is over they are the best by what is known so far, so that also a space whose best
        epoch comes early has pairs that were chosen. From `SETTLED` on they stay, and are the active ones.
        """
        if progress < self.progress:
            self.begin()  # another training, or this one again with other weights
        self.progress = progress
        if self.kept_Q is not None or not self.sampler.active or not len(self.history):
            return None
        if progress < SETTLED and self.schedule.still_exploring(progress):
            return None
        seen_S, lifts = self.lifts(held=False)
        best_Q = self.schedule.finished(seen_S, lifts)
        if progress >= SETTLED:
            self.kept_Q = best_Q
            self.pairs_Q2 = self.pairs_P2[best_Q]
        return self.pairs_P2[best_Q]

    def before_step(self) -> tuple[Tensor, Tensor | None]:
        """Pairs (Q, 2) that the next update reads, and, where it ends a period, those it is judged with as well."""
        if self.kept_Q is not None or not self.sampler.active:
            return self.pairs_Q2, None
        self.chance_P = self.schedule.chances()
        self.pairs_Q2 = self.pairs_P2[self.chance_P > 0]
        self.steps += 1
        if self.steps < STEPS:
            return self.pairs_Q2, None
        self.active_P = draw(self.chance_P, self.generator)
        return self.pairs_Q2, self.pairs_P2[self.active_P]

    def after_step(self, losses_A: Tensor, gains_A: Tensor) -> None:
        """Outcome of the update that ended a period: losses with all candidates, and the gain with fewer."""
        self.steps = 0
        self.history.add(losses_A, gains_A, self.active_P, self.chance_P)
        if not self.schedule.still_exploring(self.progress):
            seen_S, lifts = self.lifts(held=False)
            self.schedule.swap(len(self.history), self.progress, seen_S, lifts)

    def lifts(self, *, held: bool) -> tuple[Tensor, Lifts]:
        """Numbers of the pairs that were candidates once, and their lifts in the held-out or the other periods."""
        seen_S = self.history.seen()
        held_T = self.held_T()
        used_T = held_T if held else ~held_T
        experiment = self.history.experiment(seen_S)
        return seen_S, measure(experiment, self.pairs_P2[seen_S], used_T)

    # -- out and in -------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and JSON for a checkpoint."""
        tensors, record = self.schedule.state()
        tensors = {f"schedule.{key}": value for key, value in tensors.items()}
        tensors |= {f"history.{key}": value for key, value in self.history.state().items()}
        tensors |= {
            "generator": self.generator.get_state(),
            "active_P": self.active_P,
            "chance_P": self.chance_P,
            "pairs_Q2": self.pairs_Q2,
        }
        if self.kept_Q is not None:
            tensors["kept_Q"] = self.kept_Q
        return tensors, {"schedule": record, "steps": self.steps, "progress": self.progress}

    def restore(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        """Go on from `state()`."""
        inner = {
            part: {k[len(part) + 1 :]: v for k, v in tensors.items() if k.startswith(f"{part}.")}
            for part in ("schedule", "history")
        }
        self.schedule.restore(inner["schedule"], record["schedule"])
        self.history.restore(inner["history"])
        self.generator.set_state(tensors["generator"])
        self.active_P, self.chance_P = tensors["active_P"], tensors["chance_P"]
        self.pairs_Q2, self.kept_Q = tensors["pairs_Q2"], tensors.get("kept_Q")
        self.steps, self.progress = record["steps"], record["progress"]
