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
"""From this progress on, the pairs of the finished space are settled."""


class PairTrial:
    """Says which pairs an update reads and which of them its rows are judged without, and is told the losses.

    Args:
        sampler: all pairs, the budget and the seed.
        first_Q2: what is read where nothing is tried (`sampler.active` is 0).

    Attributes:
        pairs_Q2: pairs that are read now. kept_Q: numbers of the finished space's pairs once they are settled.
    """

    def __init__(self, sampler: PairSampler, columns: int, first_Q2: Tensor) -> None:
        self.sampler, self.columns = sampler, columns
        self.pairs_P2 = sampler.pairs_P2
        self.first_Q2 = first_Q2.cpu()
        self.begin()

    def begin(self) -> None:
        """A training starts: everything known is forgotten."""
        self.generator = torch.Generator().manual_seed(self.sampler.seed + 4)
        self.history = History(self.columns)
        self.schedule = schedule_of(self.sampler, self.pairs_P2, self.history, self.generator)
        self.active_P = torch.zeros(len(self.pairs_P2), dtype=torch.bool)
        self.chance_P = self.schedule.chances()
        self.kept_Q: Tensor | None = None
        self.steps = 0
        self._read()

    def _read(self) -> None:
        if self.kept_Q is not None:
            self.pairs_Q2 = self.pairs_P2[self.kept_Q]
        elif self.sampler.active:
            self.pairs_Q2 = self.pairs_P2[self.chance_P > 0]
        else:
            self.pairs_Q2 = self.first_Q2

    def held_T(self) -> Tensor:
        """Which of the periods so far are held out; the seed alone decides."""
        periods = len(self.history)
        blocks = math.ceil(periods / HELD_OUT)
        generator = torch.Generator().manual_seed(self.sampler.seed * 1_000_003 + 5)
        place_B = torch.rand(blocks, generator=generator, dtype=torch.float64) * HELD_OUT
        at_T = torch.arange(periods)
        return place_B.long()[at_T // HELD_OUT] == at_T % HELD_OUT

    def start_epoch(self, progress: float) -> Tensor:
        """Called before an epoch: decides; the pairs (Q, 2) that training and space read from now on."""
        if self.sampler.active and self.kept_Q is None and len(self.history):
            exploring = self.schedule.still_exploring(progress)
            if progress >= SETTLED or not exploring:
                seen_S, lifts = self.lifts(held=False)
                if progress >= SETTLED:
                    self.kept_Q = self.schedule.finished(seen_S, lifts)
                else:
                    self.schedule.swap(len(self.history), progress, seen_S, lifts)
            self.chance_P = self.schedule.chances()
        self._read()
        return self.pairs_Q2

    def before_step(self) -> Tensor | None:
        """Where the next update ends a period, the pairs (Q, 2) that it is judged with as well."""
        if self.kept_Q is not None or not self.sampler.active:
            return None
        self.steps += 1
        if self.steps < STEPS:
            return None
        self.active_P = draw(self.chance_P, self.generator)
        return self.pairs_P2[self.active_P]

    def after_step(self, losses_A: Tensor, gains_A: Tensor) -> None:
        """Outcome of the update that ended a period: losses with all candidates, and the gain with fewer."""
        self.steps = 0
        self.history.add(losses_A, gains_A, self.active_P, self.chance_P)

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
        }
        if self.kept_Q is not None:
            tensors["kept_Q"] = self.kept_Q
        return tensors, {"schedule": record, "steps": self.steps}

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
        self.kept_Q, self.steps = tensors.get("kept_Q"), record["steps"]
        self._read()
