"""The watch: what is done about the failures that a space's timeline shows (TRAIN-4, D11).

A pure state machine: it reads entries, names actions and keeps its state as JSON. The loop carries them out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from featrix_core.training.failures import NO_LEARNING
from featrix_core.training.plan import TrainingPlan

BOOST_EPOCHS = 20
PATIENCE = 10
"""Epochs between two steps of the ladder, and epochs that early stopping is blocked for."""


@dataclass(frozen=True)
class Action:
    """One intervention. `RESTART` asks the loop to start from other weights, `RAISE` to give up.

    Attributes:
        action_type: what is done; trigger: the failure mode behind it; details: its figures (JSON).
        label: what the epoch's entry lists it as, "" where the timeline alone keeps it.
    """

    action_type: str
    trigger: str
    details: dict[str, Any]
    label: str = ""

    def record(self, epoch: int) -> dict[str, Any]:
        """The timeline's `corrective_actions` entry (D12)."""
        return {
            "epoch": epoch,
            "action_type": self.action_type,
            "trigger": self.trigger,
            "details": self.details,
        }


@dataclass
class _State:
    rate_boost: float = 1.0
    rate_cut: float = 1.0
    temperature_boost: float = 1.0
    stage: int = 0
    step_epoch: int = 0
    boost_until: int = 0
    blocked_until: int = 0
    restarts: int = 0
    labels: list[str] = field(default_factory=list)


class Watch:
    """Follows one training.

    Args:
        plan: what was planned; suggestions of a terminal failure start from it.
        warm: the weights come from an earlier training, so that a flat loss may be an old success and a
            restart would lose it.
    """

    def __init__(self, plan: TrainingPlan, *, warm: bool = False) -> None:
        self.plan = plan
        self.warm = warm
        self._state = _State()
        self._epoch = 0

    @property
    def rate_factor(self) -> float:
        """Factor on the schedule's learning rate from now on."""
        return self._state.rate_boost * self._state.rate_cut

    @property
    def temperature_factor(self) -> float:
        """Factor on the contrastive losses' temperature from now on."""
        return self._state.temperature_boost

    @property
    def stop_blocked(self) -> bool:
        """Whether early stopping has to wait."""
        return self._epoch < self._state.blocked_until

    @property
    def labels(self) -> list[str]:
        """What the last epoch's entry lists as its `corrective_actions`."""
        return list(self._state.labels)

    def after_epoch(self, entries: list[dict[str, Any]]) -> list[Action]:
        """Actions after the epoch of the last entry, whose `failures_detected` is filled already."""
        last = entries[-1]
        self._epoch = last["epoch"]
        self._state.labels = []
        if NO_LEARNING not in last["failures_detected"]:
            return []
        return []

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs, as JSON."""
        return {"epoch": self._epoch, **asdict(self._state)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        rest = dict(state)
        self._epoch = rest.pop("epoch")
        self._state = _State(**rest)
