"""The running experiment on column pairs: periods, draws, losses, and what the finished space keeps (JOINT-3).

An observation period is four updates: an epoch of a small table, and at least 75 periods in every training. One
period in three, drawn beforehand, is held out: no decision knows which pairs were active in it, so that the scores
can be checked on it. (Its losses are part of the trend that its neighbours are measured from.)

Legend: A columns · P pairs · Q active pairs · S pairs seen · T periods.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from featrix_core.space.causal import History, Lifts, measure
from featrix_core.space.pair_schedule import draw
from featrix_core.space.pair_schemes import schedule_of
from featrix_core.space.relationships import OPERATIONS, PairSampler

STEPS = 4
"""Updates per observation period."""
HELD_OUT = 3
"""One period of so many in a row is held out."""
SETTLED = 0.8
"""From this progress on, the pairs of the finished space are the active ones."""


class PairTrial:
    """Says before every update which pairs are active, and is told the columns' losses after it.

    Args:
        sampler: all pairs, the budget and the seed.
        first_Q2: pairs that the model reads already: they are candidates from the start, and stay where the
            training is too short for a decision.

    Attributes:
        pairs_Q2: the active pairs. kept_Q: numbers of the finished space's pairs once they are settled.
    """

    def __init__(self, sampler: PairSampler, columns: int, first_Q2: Tensor) -> None:
        self.sampler, self.columns, self.steps_per_period = sampler, columns, STEPS
        self.pairs_P2 = torch.tensor(sampler.pairs, dtype=torch.int64).view(-1, 2)
        self.first_Q2 = first_Q2.cpu()
        self.begin()

    def begin(self) -> None:
        """A training starts: everything known is forgotten."""
        pairs = len(self.pairs_P2)
        self.generator = torch.Generator().manual_seed(self.sampler.seed + 4)
        number_AA = torch.zeros(self.columns, self.columns, dtype=torch.int64)
        number_AA[self.pairs_P2[:, 0], self.pairs_P2[:, 1]] = torch.arange(pairs)
        first_Q = number_AA[self.first_Q2[:, 0], self.first_Q2[:, 1]]
        self.history = History(self.columns)
        self.schedule = schedule_of(
            self.sampler, self.pairs_P2, self.columns, first_Q, self.history, self.generator
        )
        self.active_P = torch.zeros(pairs, dtype=torch.bool)
        self.chance_P = torch.zeros(pairs)
        self.pairs_Q2 = self.first_Q2
        self.kept_Q: Tensor | None = None
        self.progress = 0.0
        self._forget()

    def _forget(self) -> None:
        self.steps = 0
        self.sum_A, self.count_A = torch.zeros(self.columns), torch.zeros(self.columns)

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
            self._forget()
        return self.pairs_P2[best_Q]

    def before_step(self) -> Tensor:
        """Active pairs (Q, 2) of the update that follows; a new period draws new ones."""
        if self.kept_Q is None and self.steps == 0 and self.sampler.active:
            self.chance_P = self.schedule.chances()
            self.active_P = draw(self.chance_P, self.generator)
            self.pairs_Q2 = self.pairs_P2[self.active_P]
        return self.pairs_Q2

    def after_step(self, sum_A: Tensor, count_A: Tensor) -> None:
        """Sum of losses and number of hidden cells per column of the update that is done."""
        if self.kept_Q is not None or not self.sampler.active:
            return
        if self.steps == 0:
            self.sum_A, self.count_A = sum_A.clone(), count_A.clone()
        else:
            self.sum_A += sum_A
            self.count_A += count_A
        self.steps += 1
        if self.steps == self.steps_per_period:
            self._close()

    def _close(self) -> None:
        self.history.add(self.sum_A / self.count_A, self.active_P, self.chance_P)
        self.schedule.tried(self.active_P)
        self._forget()
        if not self.schedule.still_exploring(self.progress):
            seen_S, lifts = self.lifts(held=False)
            self.schedule.swap(len(self.history), seen_S, lifts)

    def lifts(self, *, held: bool) -> tuple[Tensor, Lifts]:
        """Numbers of the pairs that were candidates once, and their lifts in the held-out or the other periods."""
        seen_S = self.history.seen()
        held_T = self.held_T()
        used_T = held_T if held else ~held_T
        experiment = self.history.experiment(seen_S)
        return seen_S, measure(experiment, self.pairs_P2[seen_S], used_T, len(OPERATIONS))

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
            "sum_A": self.sum_A.cpu(),
            "count_A": self.count_A.cpu(),
        }
        if self.kept_Q is not None:
            tensors["kept_Q"] = self.kept_Q
        return tensors, {"schedule": record, "steps": self.steps, "progress": self.progress}

    def restore(self, tensors: dict[str, Tensor], record: dict[str, Any], device: Any) -> None:
        """Go on from `state()`; sums of an open period go on on `device`."""
        inner = {
            part: {k[len(part) + 1 :]: v for k, v in tensors.items() if k.startswith(f"{part}.")}
            for part in ("schedule", "history")
        }
        self.schedule.restore(inner["schedule"], record["schedule"])
        self.history.restore(inner["history"])
        self.generator.set_state(tensors["generator"])
        self.active_P, self.chance_P = tensors["active_P"], tensors["chance_P"]
        self.pairs_Q2, self.kept_Q = tensors["pairs_Q2"], tensors.get("kept_Q")
        self.sum_A = tensors["sum_A"].to(device)
        self.count_A = tensors["count_A"].to(device)
        self.steps, self.progress = record["steps"], record["progress"]
