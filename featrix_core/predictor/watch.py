"""What is done about the failure modes of a predictor's training, and what is said of those that stay (PRED-2, D11).

A mode that holds for two epochs, after the head has had a third of its training, starts an intervention. Each is
tried once, in this order, with a tenth of the training between two of them:

| failure | interventions |
| --- | --- |
| SINGLE_CLASS_BIAS | the loss is made less of a focal or weighted one; the output biases are set to the shares |
| DEAD_NETWORK | start again from other weights; rate × 3 |
| CONSTANT_PROBABILITY, RANDOM_PREDICTIONS | rate × 3; start again from other weights |
| UNDERCONFIDENT | the loss is made less of a focal or weighted one; rate × 3; start again from other weights |
| POOR_DISCRIMINATION | rate halved |

After the last one the training is taken as it is (`ACCEPT`). Members of a bag after one that had to be accepted
are only looked at: what did not help there is not tried four times more. A target that nothing is to be learned
of thus costs one restart, and ends in a notice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from featrix_core.predictor.failures import (
    CONSTANT_PROBABILITY,
    DEAD_NETWORK,
    MODES,
    POOR_DISCRIMINATION,
    RANDOM_PREDICTIONS,
    SINGLE_CLASS_BIAS,
    UNDERCONFIDENT,
    failure_modes,
)
from featrix_core.tables.schema import Notice
from featrix_core.training.failures import BOOSTED, RESTART
from featrix_core.training.plan import TrainingPlan
from featrix_core.training.watch import RATE_BOOST, RATE_CUT, Action

ACCEPT, FOCAL_ADJUSTMENT, SHARE_RESET = "ACCEPT", "FOCAL_ADJUSTMENT", "SHARE_RESET"
LR_BOOST, LR_CUT, BOOST_END = "LR_BOOST", "LR_CUT", "BOOST_END"
LADDERS: dict[str, tuple[str, ...]] = {
    DEAD_NETWORK: (RESTART, LR_BOOST),
    SINGLE_CLASS_BIAS: (FOCAL_ADJUSTMENT, SHARE_RESET),
    CONSTANT_PROBABILITY: (LR_BOOST, RESTART),
    RANDOM_PREDICTIONS: (LR_BOOST, RESTART),
    UNDERCONFIDENT: (FOCAL_ADJUSTMENT, LR_BOOST, RESTART),
    POOR_DISCRIMINATION: (LR_CUT,),
}
"""Interventions by mode, gravest mode first."""
GRACE, REST = 0.3, 0.1
"""Shares of the training before the first judgement, and between two interventions."""
LASTING = 2
FEWEST_EPOCHS = 5
"""A training planned shorter than this is only looked at."""


class Adjustable(Protocol):
    """What the watch needs of an objective."""

    @property
    def softenable(self) -> bool:
        """Whether the loss is a focal or weighted one."""

    def soften_loss(self) -> dict[str, Any]:
        """Make the loss less of a focal or weighted one; figures for the timeline."""

    def match_shares(self) -> dict[str, Any]:
        """Set the output biases to the training rows' shares; figures for the timeline."""


@dataclass
class _State:
    start: int = 0
    rate_factor: float = 1.0
    acted_at: int = 0
    tried: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    lasted: dict[str, int] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)


class PredictorWatch:
    """Follows the training of one member (`training.protocols.Monitor`).

    Args:
        plan: of the member's training. objective: what interventions on the loss are done to.
        acts: False names the failures and leaves it at that.
    """

    temperature_factor = 1.0

    def __init__(self, plan: TrainingPlan, objective: Adjustable, *, acts: bool = True) -> None:
        self.plan, self.objective = plan, objective
        self.acts = acts and plan.epochs >= FEWEST_EPOCHS
        self._rest = max(LASTING, math.ceil(REST * plan.epochs))
        self._state = _State()

    @property
    def rate_factor(self) -> float:
        """Factor on the schedule's learning rate from now on."""
        return self._state.rate_factor

    @property
    def stop_blocked(self) -> bool:
        """Whether early stopping waits for an intervention to show what it does."""
        return self.acts and any(m not in self._state.accepted for m in self._state.lasted)

    @property
    def labels(self) -> list[str]:
        """What the last epoch's entry lists as its `corrective_actions`."""
        return list(self._state.labels)

    @property
    def in_vain(self) -> bool:
        """Whether a failure was accepted, or outlives a restart."""
        state = self._state
        return bool(state.accepted) or (RESTART in state.tried and bool(state.lasted))

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs, as JSON."""
        return asdict(self._state)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self._state = _State(**state)

    def after_epoch(self, entries: list[dict[str, Any]]) -> Sequence[Action]:
        """Judge the last entry, add what it shows to its `failures_detected`, and act on what lasts."""
        state, last = self._state, entries[-1]
        age = last["epoch"] - state.start
        boosted = state.rate_factor > 1.0
        found = failure_modes(last.get("answers", {})) if age > GRACE * self.plan.epochs else []
        detected = last["failures_detected"]
        detected += [mode for mode in found if mode not in detected]
        state.lasted = {mode: state.lasted.get(mode, 0) + 1 for mode in found}
        actions = self._actions(last["epoch"], age) if self.acts else []
        self._state.labels = [BOOSTED] * boosted + [a.label for a in actions]
        return actions

    def _actions(self, epoch: int, age: int) -> list[Action]:
        state = self._state
        if epoch - state.acted_at < self._rest and state.acted_at:
            return []
        lasting = [m for m in LADDERS if state.lasted.get(m, 0) >= LASTING]
        actions: list[Action] = []
        if state.rate_factor > 1.0 and not lasting:
            details = {"lr_factor": state.rate_factor}
            state.rate_factor = 1.0
            actions.append(Action(BOOST_END, "RECOVERED", details, "BOOST_ENDED"))
        for mode in lasting:
            if mode in state.accepted:
                continue
            # One trouble at a time: what mends the gravest may mend the others.
            return [*actions, self._step(mode, epoch, age)]
        return actions

    def _step(self, mode: str, epoch: int, age: int) -> Action:
        state = self._state
        state.acted_at = epoch
        # Near the end of the schedule a rate is nearly nothing, boosted or not.
        late = age > (1.0 - REST) * self.plan.epochs
        for step in LADDERS[mode]:
            if step in state.tried or (late and step in (LR_BOOST, LR_CUT)):
                continue
            if step == FOCAL_ADJUSTMENT and not self.objective.softenable:
                continue
            state.tried.append(step)
            return self._carried_out(step, mode, epoch)
        state.accepted.append(mode)
        state.rate_factor = min(state.rate_factor, 1.0)
        return Action(ACCEPT, mode, {"tried": list(state.tried)}, "ACCEPTED")

    def _carried_out(self, step: str, mode: str, epoch: int) -> Action:
        state = self._state
        if step == RESTART:
            # The loop begins again; what was tried stays tried.
            self._state = _State(start=epoch, acted_at=epoch, tried=state.tried)
            return Action(RESTART, mode, {"restart": 1}, RESTART)
        if step == FOCAL_ADJUSTMENT:
            return Action(step, mode, self.objective.soften_loss(), "FOCAL_ADJUSTED")
        if step == SHARE_RESET:
            return Action(step, mode, self.objective.match_shares(), "SHARES_RESET")
        factor = RATE_BOOST if step == LR_BOOST else RATE_CUT
        state.rate_factor *= factor
        details = {"lr_multiplier": factor, "lr_factor": state.rate_factor}
        return Action(step, mode, details, f"{step}_{max(factor, 1 / factor):.0f}X")


# -- what stays ---------------------------------------------------------------------------------------

_MEANING = {
    SINGLE_CLASS_BIAS: "nearly all held-out rows get one class, far more than belong to it",
    UNDERCONFIDENT: "the answers are less sure than they could be; the calibration sharpens them",
    POOR_DISCRIMINATION: "the answers vary and are wrong as often as not",
}


def remaining_notices(
    figures: dict[str, float], column: str, *, short: bool = False
) -> tuple[Notice, ...]:
    """What held-out answers still show at the end, as notices on the target's column.

    `short`: trained for less than half of what was planned, so that nothing is said of the columns.
    """
    modes = [mode for mode in MODES if mode in failure_modes(figures)]
    if not modes:
        return ()
    numbers = "rank_correlation" in figures
    what = "rank correlation" if numbers else "ROC AUC"
    figure = figures["rank_correlation" if numbers else "auc"]
    measured = f"{what} {figure:.3f} on held-out rows"
    if short:
        message = (
            f"Trained for less than half of the planned updates, and hardly learned: {measured}"
        )
        remedy = "train longer: leave n_epochs out"
        return (_notice("predictor_hardly_trained", message, column, figure, remedy),)
    if RANDOM_PREDICTIONS in modes:
        message = (
            f"The columns tell nothing about {column!r} that held-out rows confirm: {measured}"
        )
        remedy = "check the target and its rows, or add columns that have to do with it"
        return (_notice("columns_tell_nothing", message, column, figure, remedy),)
    if DEAD_NETWORK in modes or CONSTANT_PROBABILITY in modes:
        message = f"The predictor answers nearly the same for all rows of {column!r}: {measured}"
        remedy = "check the target, or train with another seed"
        return (_notice("answers_nearly_constant", message, column, figure, remedy),)
    return tuple(
        _notice(
            f"predictor_{mode.lower()}",
            f"Predictor of {column!r}: {_MEANING[mode]} ({measured})",
            column,
            figure,
            "look at the calibration and the figures by class before use",
        )
        for mode in modes
    )


def _notice(code: str, message: str, column: str, figure: float, action: str) -> Notice:
    return Notice(code=code, message=message, column=column, figure=figure, action=action)
