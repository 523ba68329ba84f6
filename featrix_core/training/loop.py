"""The training loop; spaces, extensions and predictors all run through it (TRAIN-3).

It knows what it trains only through the `Objective` protocol.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from featrix_core.errors import TrainingError
from featrix_core.training.plan import TrainingPlan, rate_at
from featrix_core.training.timeline import Timeline


class Objective(Protocol):
    """What the loop needs of a thing that can be trained."""

    @property
    def module(self) -> nn.Module:
        """The module whose parameters are trained and whose best state is kept."""

    @property
    def n_rows(self) -> int:
        """Rows that batches are drawn from."""

    def start_epoch(self, epoch: int, progress: float) -> None:
        """Called before each epoch; `progress` in [0, 1)."""

    def loss(self, rows: Tensor) -> tuple[Tensor, dict[str, float | Tensor]]:
        """Loss of a batch of row numbers, and figures for the timeline."""

    def validate(self) -> tuple[float, dict[str, float]]:
        """Validation loss (lower is better) and figures for the timeline."""


class ParameterGroups(Protocol):
    """Optional part of an objective: parameters with learning-rate factors of their own."""

    def parameter_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """(parameters, factor on the plan's learning rate)."""


class Rotating(Protocol):
    """Optional part of an objective: validation rows that change while training goes on."""

    def rotate(self, epoch: int) -> dict[str, Any] | None:
        """Called before each epoch; what was exchanged, for the timeline, or None."""


@dataclass(frozen=True)
class Progress:
    """What a progress display is told after every update."""

    update: int
    updates: int
    epoch: int
    epochs: int
    loss: float


@contextmanager
def deterministic(seed: int) -> Iterator[torch.Generator]:
    """Seed torch for a block and give a generator of its own; the caller's random state is restored."""
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    try:
        yield torch.Generator().manual_seed(seed)
    finally:
        torch.set_rng_state(state)


class _Average:
    """Exponential moving average of parameters; zero decay keeps the parameters themselves."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay, self.count = module, decay, 0
        self.shadow = [p.detach().clone() for p in module.parameters()] if decay else []

    @torch.no_grad()
    def update(self) -> None:
        if not self.decay:
            return
        self.count += 1
        # Young averages forget faster, so that the initial weights do not linger.
        decay = min(self.decay, self.count / (self.count + 9.0))
        torch._foreach_lerp_(self.shadow, list(self.module.parameters()), 1.0 - decay)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The module holds the average inside the block."""
        if not self.decay:
            yield
            return
        with torch.no_grad():
            kept = [p.detach().clone() for p in self.module.parameters()]
            for p, average in zip(self.module.parameters(), self.shadow, strict=True):
                p.copy_(average)
            try:
                yield
            finally:
                for p, value in zip(self.module.parameters(), kept, strict=True):
                    p.copy_(value)


@dataclass(frozen=True)
class LoopResult:
    """How a training ended."""

    best_loss: float
    best_epoch: int
    epochs: int
    updates: int


def run_loop(
    objective: Objective,
    plan: TrainingPlan,
    timeline: Timeline,
    on_progress: Callable[[Progress], None] | None = None,
) -> LoopResult:
    """Train; the module ends in its best validated state. Epochs are counted on in the timeline.

    Losses on different validation rows cannot be compared. Where the rows rotate, the best state so far is
    measured again on the new ones, and later epochs have to be better than that.

    Raises:
        TrainingError: the loss is not a number any more.
    """
    module = objective.module
    groups = (
        objective.parameter_groups()
        if hasattr(objective, "parameter_groups")
        else [([p for p in module.parameters() if p.requires_grad], 1.0)]
    )
    optimizer = torch.optim.AdamW(
        [{"params": p, "lr": plan.learning_rate * f, "factor": f} for p, f in groups if p],
        lr=plan.learning_rate,
        weight_decay=plan.weight_decay,
        foreach=True,
    )
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    average = _Average(module, plan.ema_decay)
    best_loss, best_epoch, best_state = math.inf, 0, None
    update, before = 0, len(timeline.entries)
    with deterministic(plan.seed) as generator:
        for epoch in range(1, plan.epochs + 1):
            rotation = objective.rotate(before + epoch) if hasattr(objective, "rotate") else None
            if rotation is not None:
                earlier = best_loss
                if best_state is not None:
                    best_loss = _measured(objective, best_state)
                    _require_number(best_loss, "validation", epoch, plan)
                timeline.log_rotation(before + epoch, rotation, earlier, best_loss)
            objective.start_epoch(epoch, (epoch - 1) / plan.epochs)
            module.train()
            order = torch.randperm(objective.n_rows, generator=generator)
            sums: dict[str, float | Tensor] = {}
            norm = torch.zeros(())
            for step in range(plan.steps_per_epoch):
                rows = order[step * plan.batch_size : (step + 1) * plan.batch_size]
                rate = rate_at(plan, update / plan.updates)
                for group in optimizer.param_groups:
                    group["lr"] = rate * group["factor"]
                loss, figures = objective.loss(rows)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                norm = nn.utils.clip_grad_norm_(trained, plan.clip_norm, foreach=True)
                optimizer.step()
                average.update()
                update += 1
                for key, value in {"train_loss": loss.detach(), **figures}.items():
                    sums[key] = sums.get(key, 0.0) + value
                if on_progress is not None:
                    on_progress(
                        Progress(update, plan.updates, epoch, plan.epochs, float(loss.detach()))
                    )
            means = {key: float(value) / plan.steps_per_epoch for key, value in sums.items()}
            _require_number(means["train_loss"], "training", epoch, plan)
            with average.swapped():
                module.eval()
                validation, extra = objective.validate()
                _require_number(validation, "validation", epoch, plan)
                if validation < best_loss:
                    best_loss, best_epoch = validation, epoch
                    best_state = {k: v.detach().clone() for k, v in module.state_dict().items()}
            unclipped = float(norm)
            entry: dict[str, Any] = {
                "epoch": before + epoch,
                "learning_rate": rate_at(plan, (update - 1) / plan.updates),
                "validation_loss": validation,
                "val_set_resampled": rotation is not None,
                **means,
                **extra,
                "gradients": {
                    "unclipped_norm": unclipped,
                    "clipped_norm": min(unclipped, plan.clip_norm),
                    "clip_ratio": min(1.0, plan.clip_norm / max(unclipped, 1e-12)),
                },
            }
            timeline.add(entry)
            if plan.patience is not None and epoch - best_epoch >= plan.patience:
                break
    if best_state is not None:
        module.load_state_dict(best_state)
    module.eval()
    return LoopResult(best_loss, before + best_epoch, epoch, update)


def _measured(objective: Objective, state: dict[str, Tensor]) -> float:
    """Validation loss of an earlier state; the module keeps its present one."""
    module = objective.module
    kept = {k: v.detach().clone() for k, v in module.state_dict().items()}
    module.load_state_dict(state)
    module.eval()
    loss, _ = objective.validate()
    module.load_state_dict(kept)
    return loss


def _require_number(loss: float, which: str, epoch: int, plan: TrainingPlan) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"The {which} loss is not a number any more in epoch {epoch}.",
            {"learning_rate": plan.learning_rate / 3},
        )
