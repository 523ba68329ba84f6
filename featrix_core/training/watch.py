"""The watch: what is done about the failures that a space's timeline shows (TRAIN-4, D11).

A pure state machine: it reads entries, names actions and keeps its state as JSON. The loop carries them out.

| failure | intervention |
| --- | --- |
| NO_LEARNING, nothing learned so far | the ladder: rate × 3, temperature × 2, rate × 2, temperature × 2, end |
| NO_LEARNING after learning, VERY_SLOW_LEARNING | early stopping, if planned, waits: the annealing is to come |
| UNSTABLE_TRAINING without progress | rate halved for good, several times if it has to be |
| SEVERE or MODERATE_OVERFITTING | noted once: the best validated weights are kept anyway; severe: boosts end |
| DEAD_NETWORK, EMBEDDING_COLLAPSE early on | once: start again from other weights; after that, or late: give up |
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from featrix_core.training import failures
from featrix_core.training.failures import FLAT_GAIN, WINDOW, improvement, learned, warming
from featrix_core.training.plan import TrainingPlan

RATE_BOOST, RATE_BOOST_MORE, TEMPERATURE_BOOST = 3.0, 2.0, 2.0
BOOST_EPOCHS = 20
STEP_EPOCHS = 10
"""Epochs between two steps of the ladder."""
BLOCK_EPOCHS = 10
LAST_STAGE = 5
SOMETHING = 0.01
"""Share of the first loss that a run has to have gained to be accepted at the end of the ladder."""
RATE_CUT, MOST_CUTS = 0.5, 5
DEAD_EPOCHS = 2
COLLAPSED_EPOCHS = 3
EARLY = 0.3
"""Progress up to which a collapsed run starts again; the spread loss leads in this phase (D9)."""
OTHER_TROUBLE = {
    failures.UNSTABLE_TRAINING,
    failures.SEVERE_OVERFITTING,
    failures.MODERATE_OVERFITTING,
}
"""What a higher rate would make worse, and waiting too: a flat loss has its reason, and no ladder begins."""


@dataclass(frozen=True)
class Action:
    """One intervention. `RESTART` asks the loop to begin again from other weights, `RAISE` to give up with
    `details["suggestions"]`.

    Attributes:
        action_type: what is done; trigger: the failure mode behind it; details: its figures (JSON).
        label: what the epoch's entry lists it as.
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
    """Epochs are those of the timeline; `*_until` are the last ones that something holds for."""

    start: int = -1
    epoch: int = 0
    rate_boost: float = 1.0
    rate_cut: float = 1.0
    temperature_boost: float = 1.0
    stage: int = 0
    step: int = 0
    recovered: bool = False
    boost_until: int = 0
    blocked_until: int = 0
    cuts: int = 0
    cut_at: int = 0
    noted: list[str] = field(default_factory=list)
    restarts: int = 0
    labels: list[str] = field(default_factory=list)


class Watch:
    """Follows one training, from the entry that it is first shown.

    Boosts are undone when the ladder ends, one way or the other. While a rate boost is in force early
    stopping waits (section 12), and for ten epochs after each step (section 11).

    Args:
        plan: what was planned; suggestions of a terminal failure start from it.
        warm: the weights come from an earlier training (an extension): a flat loss may be an old success,
            and a restart would lose it. Such a run is never boosted, restarted or given up.
    """

    def __init__(self, plan: TrainingPlan, *, warm: bool = False) -> None:
        self.plan = plan
        self.warm = warm
        self._state = _State()

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
        """Whether early stopping has to wait after the present epoch; never where the plan has no patience."""
        if self.plan.patience is None:
            return False
        return self._state.epoch < max(self._state.blocked_until, self._state.boost_until)

    @property
    def labels(self) -> list[str]:
        """What the last epoch's entry lists as its `corrective_actions`: in force during it, or begun after it."""
        return list(self._state.labels)

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs, as JSON."""
        return asdict(self._state)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self._state = _State(**state)

    def after_epoch(self, entries: list[dict[str, Any]]) -> list[Action]:
        """Actions after the epoch of the last entry, whose `failures_detected` is filled already."""
        state, last = self._state, entries[-1]
        if state.start < 0:
            state.start = last["epoch"] - 1
        blocked = self.stop_blocked
        state.epoch = last["epoch"]
        standing = [
            label
            for label, holds in (
                (failures.BOOSTED, state.rate_boost > 1.0),
                ("TEMP_BOOST_ACTIVE", state.temperature_boost > 1.0),
                ("LR_CUT_ACTIVE", state.rate_cut < 1.0),
                ("EARLY_STOP_BLOCKED", blocked),
            )
            if holds
        ]
        run = failures.present_run([e for e in entries if e["epoch"] > state.start])
        actions = self._actions(run, set(last["failures_detected"]))
        # A restart has put another state in its place.
        self._state.labels = standing + [a.label for a in actions if a.label not in standing]
        return actions

    def _actions(self, run: list[dict[str, Any]], found: set[str]) -> list[Action]:
        ended = self._dead(run, found) or self._collapsed(run, found)
        if ended:
            return ended
        calmed = self._calm(run, found)
        if calmed:
            return calmed
        noted = self._overfitting(run, found)
        if found & OTHER_TROUBLE and self._state.stage in (0, LAST_STAGE):
            return noted
        return noted + self._ladder(run, found)

    # -- weights that cannot be trained ---------------------------------------------------------------

    def _dead(self, run: list[dict[str, Any]], found: set[str]) -> list[Action]:
        if failures.DEAD_NETWORK not in found or not _lasting(
            run, DEAD_EPOCHS, failures.DEAD_NETWORK
        ):
            return []
        # No gradient is left either where nothing is left to learn.
        best, present = min(e["validation_loss"] for e in run), run[-1]["validation_loss"]
        if learned(run) and present <= best + 0.05 * abs(best):
            return []
        return self._again_or_raise(
            failures.DEAD_NETWORK,
            early=True,
            message="No gradient reaches the weights (norm under 1e-8)",
        )

    def _collapsed(self, run: list[dict[str, Any]], found: set[str]) -> list[Action]:
        trigger = failures.EMBEDDING_COLLAPSE
        if trigger not in found or not _lasting(run, COLLAPSED_EPOCHS, trigger):
            return []
        done = (self._state.epoch - self._state.start) / self.plan.epochs
        return self._again_or_raise(
            trigger, early=done <= EARLY, message="All rows are embedded at the same point"
        )

    def _again_or_raise(self, trigger: str, *, early: bool, message: str) -> list[Action]:
        if self.warm:
            return []
        if early and self._state.restarts == 0:
            epoch = self._state.epoch
            self._state = _State(start=epoch, epoch=epoch, restarts=1)
            return [Action(failures.RESTART, trigger, {"restart": 1}, failures.RESTART)]
        tried = ", also not from other initial weights" if self._state.restarts else ""
        return [self._raise(trigger, f"{message}{tried}.", self.plan.learning_rate / 3)]

    def _raise(self, trigger: str, what: str, rate: float) -> Action:
        suggestions = {
            "learning_rate": rate,
            "seed": self.plan.seed + 2,
            "n_epochs": 2 * self.plan.epochs,
        }
        message = f"Training failed in epoch {self._state.epoch} ({trigger}). {what}"
        return Action("RAISE", trigger, {"message": message, "suggestions": suggestions}, "RAISE")

    # -- a rate that is too high ----------------------------------------------------------------------

    def _calm(self, run: list[dict[str, Any]], found: set[str]) -> list[Action]:
        state, trigger = self._state, failures.UNSTABLE_TRAINING
        losses = [e["validation_loss"] for e in run]
        # Small tables are noisy; as long as the validation gets better the rate is not too high.
        better = len(losses) > WINDOW and min(losses[-WINDOW:]) < min(losses[:-WINDOW])
        # Thrown far off, a loss may come down in a straight line for long and never arrive.
        off = state.cuts > 0 and _thrown_off(run)
        if not (trigger in found or off) or better or state.epoch - state.cut_at < WINDOW:
            return []
        if state.rate_boost > 1.0:
            state.stage, state.cut_at = LAST_STAGE, state.epoch
            return [self._end_boosts(trigger)]
        if state.cuts < MOST_CUTS:
            state.cuts, state.cut_at = state.cuts + 1, state.epoch
            state.rate_cut *= RATE_CUT
            details = {"lr_multiplier": RATE_CUT, "lr_factor": state.rate_cut, "cut": state.cuts}
            return [Action("LR_CUT", trigger, details, "LR_CUT_2X")]
        if self.warm or learned(run):
            return []
        rate = self.plan.learning_rate * state.rate_cut / 10
        what = f"The loss oscillates and does not fall, also at 1/{2**MOST_CUTS} of the rate."
        return [self._raise(trigger, what, rate)]

    # -- overfitting ----------------------------------------------------------------------------------

    def _overfitting(self, run: list[dict[str, Any]], found: set[str]) -> list[Action]:
        state = self._state
        severe = failures.SEVERE_OVERFITTING in found
        if not severe and failures.MODERATE_OVERFITTING not in found:
            return []
        actions: list[Action] = []
        if severe:
            state.blocked_until = 0
            if state.rate_boost > 1.0 or state.temperature_boost > 1.0:
                state.stage = 0
                actions.append(self._end_boosts(failures.SEVERE_OVERFITTING))
        trigger = failures.SEVERE_OVERFITTING if severe else failures.MODERATE_OVERFITTING
        if trigger not in state.noted:
            state.noted.append(trigger)
            train, held = failures.training_loss(run[-1]), run[-1]["validation_loss"]
            details = {"training_loss": train, "validation_loss": held}
            actions.append(Action("KEEP_BEST", trigger, details, "BEST_WEIGHTS_KEPT"))
        return actions

    # -- nothing learned ------------------------------------------------------------------------------

    def _ladder(self, run: list[dict[str, Any]], found: set[str]) -> list[Action]:
        state = self._state
        flat = failures.NO_LEARNING in found
        if 0 < state.stage < LAST_STAGE:
            return self._climb(run, flat)
        # What was unstable once needs no higher rate.
        startable = state.stage == 0 and state.cuts == 0 and not self.warm
        if flat and startable and not (learned(run) or warming(run)):
            return self._step()
        slow = flat or failures.VERY_SLOW_LEARNING in found
        # After the ladder's end nothing more is waited for.
        if slow and state.stage < LAST_STAGE and not self.stop_blocked:
            trigger = failures.NO_LEARNING if flat else failures.VERY_SLOW_LEARNING
            return self._block(trigger)
        return []

    def _climb(self, run: list[dict[str, Any]], flat: bool) -> list[Action]:
        state = self._state
        if not state.recovered and state.epoch - state.step >= STEP_EPOCHS:
            if _stuck(run, state.step, flat):
                return self._step() if state.stage < LAST_STAGE - 1 else self._last(run)
            state.recovered = True
        if state.recovered and state.epoch >= state.boost_until:
            state.stage = 0
            return [self._end_boosts("RECOVERED")]
        return []

    def _step(self) -> list[Action]:
        """One stage up: odd ones raise the rate, even ones the temperature."""
        state, trigger = self._state, failures.NO_LEARNING
        state.stage, state.step, state.recovered = state.stage + 1, state.epoch, False
        if state.stage % 2:
            factor = RATE_BOOST if state.stage == 1 else RATE_BOOST_MORE
            state.rate_boost *= factor
            state.boost_until = state.epoch + BOOST_EPOCHS
            details: dict[str, Any] = {"lr_multiplier": factor, "boost_epochs": BOOST_EPOCHS}
            details |= {"lr_factor": self.rate_factor, "stage": state.stage}
            boost = Action("LR_BOOST", trigger, details, f"LR_BOOST_{factor:.0f}X")
        else:
            state.temperature_boost *= TEMPERATURE_BOOST
            details = {"temperature_multiplier": TEMPERATURE_BOOST, "stage": state.stage}
            details |= {"temperature_factor": state.temperature_boost}
            boost = Action("TEMP_BOOST", trigger, details, f"TEMP_BOOST_{TEMPERATURE_BOOST:.0f}X")
        return [boost, *self._block(trigger)]

    def _last(self, run: list[dict[str, Any]]) -> list[Action]:
        """Stage 5: a run that gained anything is accepted as it is, another one is given up."""
        state, gain = self._state, improvement(run)
        state.stage = LAST_STAGE
        end = self._end_boosts(failures.NO_LEARNING)
        if gain >= SOMETHING:
            details = {"improvement": gain, "stage": LAST_STAGE}
            return [end, Action("ACCEPT", failures.NO_LEARNING, details, "ACCEPTED")]
        what = f"The loss never fell by more than {SOMETHING:.0%}, whatever rate and temperature."
        return [end, self._raise(failures.NO_LEARNING, what, self.plan.learning_rate * 10 or 1e-3)]

    def _block(self, trigger: str) -> list[Action]:
        if self.plan.patience is None:  # nothing would stop early
            return []
        self._state.blocked_until = self._state.epoch + BLOCK_EPOCHS
        details = {"block_epochs": BLOCK_EPOCHS}
        return [Action("EARLY_STOP_BLOCK", trigger, details, "EARLY_STOP_BLOCKED")]

    def _end_boosts(self, trigger: str) -> Action:
        state = self._state
        details = {"lr_factor": state.rate_boost, "temperature_factor": state.temperature_boost}
        state.rate_boost = state.temperature_boost = 1.0
        state.boost_until, state.recovered = 0, False
        return Action("BOOST_END", trigger, details, "BOOST_ENDED")


def _lasting(run: list[dict[str, Any]], epochs: int, failure: str) -> bool:
    """Whether a failure was found in each of the last epochs."""
    return len(run) >= epochs and all(failure in e["failures_detected"] for e in run[-epochs:])


def _thrown_off(run: list[dict[str, Any]]) -> bool:
    """Whether both losses stand at more than twice what they began with."""
    first, last = run[0], run[-1]
    return bool(
        failures.training_loss(last) > 2.0 * failures.training_loss(first) > 0.0
        and last["validation_loss"] > 2.0 * first["validation_loss"] > 0.0
    )


def _stuck(run: list[dict[str, Any]], step: int, flat: bool) -> bool:
    """Whether no epoch since the step is better than those before it.

    The last five epochs alone would not do: a loss that a boost threw up and that comes down again is still
    where it was. Where validation rows were exchanged since, they have to do.
    """
    since = [e for e in run if e["epoch"] > step]
    if any(e.get("val_set_resampled") for e in since):
        return flat
    before = min(e["validation_loss"] for e in run if e["epoch"] <= step)
    return bool(min(e["validation_loss"] for e in since) > before - FLAT_GAIN * abs(before))
