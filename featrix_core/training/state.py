"""Everything that one training depends on from epoch to epoch, to copy, to write and to go on from (TRAIN-6)."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from featrix_core.training.device import device_of, random_tensors, restore_random
from featrix_core.training.optimisation import (
    Average,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
)
from featrix_core.training.plan import TrainingPlan
from featrix_core.training.protocols import Objective, Resettable, Stateful

Kept: TypeAlias = tuple[dict[str, Tensor], dict[str, Any]]


@dataclass
class Standing:
    """Where a run stands, as JSON; `epoch` counts from the start or the last restart, `before` up to it.

    Attributes:
        epochs: planned when the run was last started. batch_size, steps: of an epoch, as memory allows.
        reference, improved_epoch: the loss that early stopping compares with, and when it last fell.
        rate_cut: factor on the rate after losses that were no numbers; cut_at: the last such epoch, as the
            timeline counts. stopped: by early stopping.
    """

    before: int
    epochs: int
    batch_size: int
    steps: int
    epoch: int = 0
    updates: int = 0
    average_updates: int = 0
    best_loss: float | None = None
    best_epoch: int = 0
    reference: float | None = None
    improved_epoch: int = 0
    rate_cut: float = 1.0
    cut_at: int = 0
    restarts: int = 0
    recompute: bool = False
    stopped: bool = False

    @property
    def number(self) -> int:
        """The present epoch as the timeline counts it."""
        return self.before + self.epoch


class RunState:
    """Weights, optimiser, average, random generators and counters of one run over an objective."""

    def __init__(self, objective: Objective, plan: TrainingPlan, before: int) -> None:
        self.objective, self.plan, self.module = objective, plan, objective.module
        self.device = device_of(self.module)
        self.generator = torch.Generator()
        self.standing = Standing(before, plan.epochs, plan.batch_size, plan.steps_per_epoch)
        self.best_state: dict[str, Tensor] | None = None
        self.fresh_optimizer()

    def fresh_optimizer(self) -> None:
        """Forget all moments and averages."""
        self.optimizer = make_optimizer(self.objective, self.plan)
        self.trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.average = Average(self.trained, self.plan.ema_decay)

    def weights(self) -> dict[str, Tensor]:
        """A copy of the module's present state."""
        return {k: v.detach().clone() for k, v in self.module.state_dict().items()}

    def keep_best(self, loss: float) -> None:
        """The module's present state is the best so far."""
        self.best_state = self.weights()
        self.standing.best_loss, self.standing.best_epoch = loss, self.standing.epoch

    def start_over(self, objective: Resettable) -> None:
        """Other weights, the whole schedule again; the timeline goes on."""
        standing = self.standing
        standing.restarts += 1
        seed = self.plan.seed + standing.restarts
        objective.reset(seed)
        torch.manual_seed(seed)
        self.generator.manual_seed(seed)
        self.fresh_optimizer()
        self.best_state = None
        standing.before, standing.epoch = standing.number, 0
        standing.best_loss = standing.reference = None
        standing.best_epoch = standing.improved_epoch = 0

    def begin_again_from_best(self) -> None:
        """The best state with fresh moments; where nothing was validated yet, the present one."""
        if self.best_state is not None:
            self.module.load_state_dict(self.best_state)
        self.optimizer.state.clear()
        self.average.restart()

    # -- out and in -------------------------------------------------------------------------------

    def tensors(self) -> Kept:
        """All that the next epoch depends on but the best state, `part/name` → reference; counters as JSON."""
        self.standing.average_updates = self.average.count
        parts = {
            "module": self.module.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer),
            "average": self.average.tensors(),
            "random": {**random_tensors(self.device), "order": self.generator.get_state()},
        }
        record: dict[str, Any] = {"standing": asdict(self.standing)}
        if isinstance(self.objective, Stateful):
            parts["objective"], record["objective"] = self.objective.state()
        named = {f"{p}/{k}": v.detach() for p, found in parts.items() for k, v in found.items()}
        return named, record

    def kept(self) -> Kept:
        """The same as copies that training does not touch."""
        tensors, record = self.tensors()
        return {name: value.clone() for name, value in tensors.items()}, copy.deepcopy(record)

    def restore(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        """Go on from `tensors()` or `kept()`; all is copied into the places where it was."""
        parts: dict[str, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            part, key = name.split("/", 1)
            parts.setdefault(part, {})[key] = value
        vars(self.standing).update(record["standing"])
        self.module.load_state_dict(parts["module"])
        restore_optimizer(self.optimizer, parts.get("optimizer", {}))
        self.average.restore(parts.get("average", {}), self.standing.average_updates)
        restore_random(parts["random"], self.device)
        self.generator.set_state(parts["random"]["order"].clone())
        if isinstance(self.objective, Stateful):
            self.objective.restore(parts.get("objective", {}), record["objective"])

    def written(self) -> Kept:
        """`tensors()` with the best state: what a checkpoint holds."""
        tensors, record = self.tensors()
        return tensors | {f"best/{k}": v for k, v in (self.best_state or {}).items()}, record

    def read(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        """Go on from `written()`."""
        best = {k.removeprefix("best/"): v for k, v in tensors.items() if k.startswith("best/")}
        self.restore({k: v for k, v in tensors.items() if not k.startswith("best/")}, record)
        self.best_state = {k: v.to(self.device).clone() for k, v in best.items()} or None
