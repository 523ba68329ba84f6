"""What the loop asks of the things that it trains, watches and tells (TRAIN-3, TRAIN-4).

The loop knows nothing of spaces and predictors. Beyond `Objective` every protocol is optional: an objective
that has the methods is asked, another one is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


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

    def validate(self) -> tuple[float, dict[str, Any]]:
        """Validation loss (lower is better) and figures for the timeline."""


@runtime_checkable
class ParameterGroups(Protocol):
    """Parameters with learning-rate factors of their own."""

    def parameter_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """(parameters, factor on the plan's learning rate)."""


@runtime_checkable
class Rotating(Protocol):
    """Validation rows that change while training goes on."""

    def rotate(self, epoch: int) -> dict[str, Any] | None:
        """Called before each epoch; what was exchanged, for the timeline, or None."""


@runtime_checkable
class Stateful(Protocol):
    """An objective that remembers something between epochs: generators, pair history, sides."""

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and JSON that a checkpoint needs besides the module."""

    def restore(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        """Go on from `state()`."""


@runtime_checkable
class Resettable(Protocol):
    """An objective that can begin again with other weights, after a collapse."""

    def reset(self, seed: int) -> None:
        """Give the module fresh weights, and forget what was learned."""


@runtime_checkable
class Tempered(Protocol):
    """An objective whose contrastive losses have a temperature."""

    temperature_factor: float


class Intervention(Protocol):
    """One action of a watch (`watch.Action`)."""

    @property
    def action_type(self) -> str:
        """What is done; `RESTART` and `RAISE` are carried out by the loop."""

    @property
    def trigger(self) -> str:
        """The failure mode behind it."""

    @property
    def details(self) -> dict[str, Any]:
        """Figures, as JSON; a `RAISE` has its `message` and the `suggestions`."""

    def record(self, epoch: int) -> dict[str, Any]:
        """The timeline's entry of it."""


class Monitor(Protocol):
    """What the loop needs of a watch (`watch.Watch`)."""

    @property
    def rate_factor(self) -> float:
        """Factor on the schedule's learning rate from now on."""

    @property
    def temperature_factor(self) -> float:
        """Factor on the contrastive losses' temperature from now on."""

    @property
    def stop_blocked(self) -> bool:
        """Whether early stopping has to wait."""

    @property
    def labels(self) -> list[str]:
        """What the last epoch's entry lists as its `corrective_actions`."""

    def after_epoch(self, entries: list[dict[str, Any]]) -> Sequence[Intervention]:
        """Actions after the epoch of the last entry."""

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs, as JSON."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""


@dataclass(frozen=True)
class Progress:
    """What a progress display is told after every update; `rate` of learning and `rows` of it, 0: not told."""

    update: int
    updates: int
    epoch: int
    epochs: int
    loss: float
    rate: float = 0.0
    rows: int = 0


@dataclass(frozen=True)
class EpochDone:
    """What an onlooker is told after every epoch; the module is in evaluation mode and must not be changed.

    Attributes:
        epoch: as counted in the timeline, from 1. epochs: the last one that is planned.
        entry: the epoch's entry of the timeline. module: in the state that was validated.
        best_loss: lowest validation loss so far, on the rows that validate now.
        improved: this epoch is the best so far.
    """

    epoch: int
    epochs: int
    entry: dict[str, Any]
    module: nn.Module
    best_loss: float
    improved: bool


@dataclass(frozen=True)
class LoopResult:
    """How a training ended."""

    best_loss: float
    best_epoch: int
    epochs: int
    updates: int
