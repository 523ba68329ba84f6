"""Seconds and memory of a training before it starts, and plans that fit into a given time (TRAIN-2).

Nothing is guessed from tables of processors: a few steps are run on the actual tokens, and what they take is
multiplied.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeAlias

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from featrix_core.training.device import device_of, precision
from featrix_core.training.optimisation import clip_threshold, make_optimizer
from featrix_core.training.plan import TrainingPlan
from featrix_core.training.protocols import Objective

MOST_STEPS, MOST_SECONDS = 3, 1.0
"""A dry run ends after so many steps beyond the first, or after so many seconds."""
MARGIN = 0.9
"""Share of a time limit that is planned for: steps differ."""
COPIES = 8
"""Weights, gradients, AdamW's two moments, the best weights so far, and what an epoch can be begun again from:
weights and moments once more."""
OVERHEAD = 1.5
"""Memory of a step over what its backward pass needs: gradients of tokens, freed blocks."""


Clock: TypeAlias = Callable[[], float]
"""Gives seconds; differences count."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StepCost(_Record):
    """What a dry run took. Seconds of one update and of one validation; bytes of the weights and of what a
    batch keeps for its backward pass."""

    step_seconds: float
    validation_seconds: float
    weight_bytes: int
    saved_bytes: int


class Estimate(_Record):
    """Seconds and bytes of a training.

    Attributes:
        training_seconds: all updates. validation_seconds: all validations. finish_seconds: what follows.
        held_bytes: the process before training (libraries, table, tokens); model_bytes: weights, gradients,
            moments and best weights; batch_bytes: one step, or one chunk of rows while they are encoded.
    """

    training_seconds: float
    validation_seconds: float
    finish_seconds: float
    held_bytes: int
    model_bytes: int
    batch_bytes: int

    @property
    def seconds(self) -> float:
        """From the first update to the finished space; reading and encoding the table come before it."""
        return self.training_seconds + self.validation_seconds + self.finish_seconds

    @property
    def memory_bytes(self) -> int:
        """Peak of the process."""
        return self.held_bytes + self.model_bytes + self.batch_bytes


def measure_steps(
    objective: Objective, plan: TrainingPlan, clock: Clock = time.monotonic
) -> StepCost:
    """Run a first step, up to three more and a validation.

    The objective and its module are spent by it, and torch's random state moves: give copies of what is to be
    trained, inside of `loop.deterministic`.
    """
    module = objective.module
    optimizer = make_optimizer(objective, plan)
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    generator = torch.Generator().manual_seed(plan.seed)
    objective.start_epoch(1, 0.0)
    module.train()

    def step() -> None:
        rows = torch.randint(objective.n_rows, (plan.batch_size,), generator=generator)
        with precision(device_of(module)):
            loss, _ = objective.loss(rows)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, clip_threshold(plan, loss), foreach=True)
        optimizer.step()
        float(loss.detach())  # waits for an accelerator

    started = clock()
    saved = _saved_bytes(step, module)  # the first step also warms everything up
    taken: list[float] = []
    while len(taken) < MOST_STEPS and (not taken or clock() - started < MOST_SECONDS):
        taken.append(_seconds(step, clock))
    module.eval()
    return StepCost(
        step_seconds=sorted(taken)[len(taken) // 2],
        validation_seconds=_seconds(objective.validate, clock),
        weight_bytes=sum(tensor.nbytes for tensor in module.state_dict().values()),
        saved_bytes=saved,
    )


def estimate(
    plan: TrainingPlan,
    cost: StepCost,
    *,
    finish_seconds: float = 0.0,
    held_bytes: int = 0,
    chunk_bytes: int = 0,
) -> Estimate:
    """What a plan takes. `chunk_bytes`: most that is needed at once outside of the steps."""
    return Estimate(
        training_seconds=plan.updates * cost.step_seconds,
        validation_seconds=plan.epochs * cost.validation_seconds,
        finish_seconds=finish_seconds,
        held_bytes=held_bytes,
        model_bytes=(COPIES + (plan.ema_decay > 0)) * cost.weight_bytes,
        batch_bytes=max(math.ceil(OVERHEAD * cost.saved_bytes), chunk_bytes),
    )


def fit_to_budget(
    plan: TrainingPlan, cost: StepCost, max_seconds: float, finish_seconds: float = 0.0
) -> TrainingPlan:
    """The plan with as many epochs as fit into `max_seconds`, at least one; never more than it had.

    The schedules go by the share of updates that are done, so that they are compressed, not cut off. How
    many epochs fit depends on the machine and on what else it does: the plan that was used is stored, and a
    training with its number of epochs and without a limit gives the same weights again.
    """
    epoch = plan.steps_per_epoch * cost.step_seconds + cost.validation_seconds
    fitting = int((MARGIN * max_seconds - finish_seconds) / max(epoch, 1e-9))
    return plan.model_copy(update={"epochs": max(1, min(plan.epochs, fitting))})


class Deadline:
    """When a training has to end: after the epoch in which `max_seconds` are over.

    A guard for machines that slow down after the dry run. It cuts the schedule off, and the result then
    depends on the machine's speed; the timeline says so.
    """

    def __init__(self, max_seconds: float, clock: Clock = time.monotonic) -> None:
        self.max_seconds = max_seconds
        self._clock = clock
        self._started = clock()

    def passed(self) -> bool:
        """Whether the time is over."""
        return self._clock() - self._started >= self.max_seconds

    def record(self, epoch: int, planned: int) -> dict[str, object]:
        """The timeline's entry of a training that ended for want of time."""
        return {
            "epoch": epoch,
            "action_type": "TIME_LIMIT",
            "trigger": "MAX_SECONDS",
            "details": {"max_seconds": self.max_seconds, "planned_epochs": planned},
        }


def _seconds(call: Callable[[], object], clock: Clock) -> float:
    started = clock()
    call()
    return clock() - started


def _saved_bytes(step: Callable[[], None], module: nn.Module) -> int:
    """Bytes that a step keeps for its backward pass, each block of memory once and weights not at all."""
    known = {p.untyped_storage().data_ptr() for p in (*module.parameters(), *module.buffers())}
    seen: dict[int, int] = {}

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in known:
            seen[storage.data_ptr()] = storage.nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        step()
    return sum(seen.values())
