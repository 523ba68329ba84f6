"""How weights are moved: one-cycle rate, dropout schedule, clipping, AdamW and weight averaging (TRAIN-3, D10)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor, nn

from featrix_core.training.plan import TrainingPlan
from featrix_core.training.protocols import Objective, ParameterGroups

WARM_UP, PEAK = 0.15, 0.05
"""Shares of the training in which the rate rises and stays on top; it falls in the rest."""
FIRST, LAST = 1 / 25, 1 / 10_000
"""Rate at the start and at the end, as shares of the highest one."""
HIGH_NORM = 10.0
"""A gradient longer than this many times the loss is noted in the timeline."""

Dropouts: TypeAlias = list[nn.Dropout]


def one_cycle(progress: float) -> float:
    """Share of the highest rate at `progress` in [0, 1]: linear warm-up, a plateau, cosine decay (D10)."""
    if progress < WARM_UP:
        return FIRST + (1.0 - FIRST) * progress / WARM_UP
    if progress < WARM_UP + PEAK:
        return 1.0
    rest = min((progress - WARM_UP - PEAK) / (1.0 - WARM_UP - PEAK), 1.0)
    return LAST + (1.0 - LAST) * 0.5 * (1.0 + math.cos(math.pi * rest))


def dropout_factor(progress: float) -> float:
    """Share of the first dropout at `progress`: full in the first third, then down to a half (D10)."""
    return 1.0 - 0.5 * min(max(3.0 * progress - 1.0, 0.0), 1.0)


def set_dropout(module: nn.Module, rate: float) -> None:
    """Give all dropout layers of a module this rate."""
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = rate


def clip_threshold(plan: TrainingPlan, loss: Tensor) -> float:
    """Longest gradient that is let through: a multiple of the loss, or the plan's fixed length.

    Twice the loss, as in D10, measured a little worse than a fixed 1.0 (German credit, five folds: validation
    loss .410 against .405, linear probe .7773 against .7778), so that plans have the fixed length.
    """
    if plan.clip_ratio is None:
        return plan.clip_norm
    return abs(float(loss.detach())) * plan.clip_ratio


def make_optimizer(objective: Objective, plan: TrainingPlan) -> torch.optim.AdamW:
    """AdamW over what can be trained; every group keeps its factor on the learning rate."""
    groups = (
        objective.parameter_groups()
        if isinstance(objective, ParameterGroups)
        else [([p for p in objective.module.parameters() if p.requires_grad], 1.0)]
    )
    return torch.optim.AdamW(
        [{"params": p, "lr": plan.learning_rate * f, "factor": f} for p, f in groups if p],
        lr=plan.learning_rate,
        weight_decay=plan.weight_decay,
        fused=True,
    )


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State of an optimiser by number of the parameter, as references."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return {
        f"{number}.{key}": value
        for number, parameter in enumerate(parameters)
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Copies of what `optimizer_tensors` gave, in the parameters' own place."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    optimizer.state.clear()
    for name in sorted(tensors):
        number, key = name.split(".", 1)
        parameter = parameters[int(number)]
        # The fused AdamW counts its steps where the parameter lies.
        optimizer.state[parameter][key] = tensors[name].to(parameter.device).clone()


class Average:
    """Exponential moving average of the trained parameters; zero decay keeps the parameters themselves."""

    def __init__(self, parameters: list[Tensor], decay: float) -> None:
        self.parameters, self.decay, self.count = parameters, decay, 0
        self.shadow = [p.detach().clone() for p in parameters] if decay else []

    @torch.no_grad()
    def update(self) -> None:
        """Take the parameters of one more update in."""
        if not self.decay:
            return
        self.count += 1
        # Young averages forget faster, so that the initial weights do not linger.
        decay = min(self.decay, self.count / (self.count + 9.0))
        torch._foreach_lerp_(self.shadow, self.parameters, 1.0 - decay)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The module holds the average inside the block."""
        if not self.decay:
            yield
            return
        with torch.no_grad():
            kept = [p.detach().clone() for p in self.parameters]
            for p, average in zip(self.parameters, self.shadow, strict=True):
                p.copy_(average)
            try:
                yield
            finally:
                for p, value in zip(self.parameters, kept, strict=True):
                    p.copy_(value)

    def tensors(self) -> dict[str, Tensor]:
        """The averages by number of the parameter, as references."""
        return {str(number): value for number, value in enumerate(self.shadow)}

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor], count: int) -> None:
        """Go on from `tensors()` after `count` updates."""
        self.count = count
        for number, value in enumerate(self.shadow):
            value.copy_(tensors[str(number)])

    @torch.no_grad()
    def restart(self) -> None:
        """Forget the past: the average is the present parameters."""
        self.count = 0
        for value, p in zip(self.shadow, self.parameters, strict=False):
            value.copy_(p)
