"""The training loop; spaces, extensions and predictors all run through it (TRAIN-3, TRAIN-6).

It knows what it trains only through the protocols. An epoch: rotation, `start_epoch`, steps, `validate`, entry,
failures, the watch's actions, onlookers, checkpoint, early stopping.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from featrix_core.errors import FeatrixUserError, TrainingError
from featrix_core.training.checkpoint import Checkpoints
from featrix_core.training.device import (
    deterministic,
    is_out_of_memory,
    precision,
    random_tensors,
    recompute_blocks,
    restore_random,
)
from featrix_core.training.estimate import Deadline
from featrix_core.training.optimisation import (
    HIGH_NORM,
    clip_threshold,
    dropout_factor,
    one_cycle,
    set_dropout,
)
from featrix_core.training.plan import TrainingPlan
from featrix_core.training.protocols import (
    EpochDone,
    Intervention,
    LoopResult,
    Monitor,
    Objective,
    Progress,
    Resettable,
    Rotating,
    Stateful,
    Tempered,
)
from featrix_core.training.recovery import NotANumber, need_less_memory, no_number, retry_slower
from featrix_core.training.state import RunState
from featrix_core.training.timeline import Timeline

__all__ = ["EpochDone", "LoopResult", "Objective", "Progress", "Run", "run_loop"]

MIN_DELTA = 1e-4
"""A validation loss has to fall by this much to count as better when early stopping is decided (D10)."""

OnProgress: TypeAlias = Callable[[Progress], None]
OnEpoch: TypeAlias = Callable[[EpochDone], None]


class Run:
    """One training that can be broken off and resumed; `train` does all of it.

    Where several processes train together, `distributed.TeamRun` does.

    Args:
        watch: names what is done about failures; None lets the schedule alone decide.
        checkpoints: where the state is written as training goes on, and what it starts from.
        on_progress: told of every update. on_epoch: told of every epoch; cannot change the
            training. Where it is `Stateful`, checkpoints hold its state.
        deadline: ends the training after the epoch in which it passes.
        phase: of several runs that share checkpoints and a timeline, from 1.
    """

    def __init__(
        self,
        objective: Objective,
        plan: TrainingPlan,
        timeline: Timeline,
        *,
        watch: Monitor | None = None,
        checkpoints: Checkpoints | None = None,
        on_progress: OnProgress | None = None,
        on_epoch: OnEpoch | None = None,
        deadline: Deadline | None = None,
        phase: int = 1,
    ) -> None:
        self.objective, self.plan, self.timeline = objective, plan, timeline
        self.watch, self.checkpoints = watch, checkpoints
        self.on_progress, self.on_epoch = on_progress, on_epoch
        self.deadline, self.phase = deadline, phase
        # Not a part of the state: who resumes has time again.
        self._out_of_time = False
        self.module = objective.module
        self.state = RunState(objective, plan, len(timeline.entries))
        self.standing = self.state.standing
        if plan.dropout is not None:
            last = plan.dropout * dropout_factor(1.0)
            timeline.metadata |= {"initial_dropout": plan.dropout, "final_dropout": last}

    # -- the whole --------------------------------------------------------------------------------

    def train(self) -> LoopResult:
        """Train from the start, or from where the checkpoint stood; the module ends in its best state.

        Raises:
            TrainingError: no intervention mends it; carries suggested changes.
            FeatrixUserError: the checkpoint has more epochs than are planned.
        """
        standing, timeline = self.standing, self.timeline
        with deterministic(self.plan.seed) as self.state.generator:
            found = self.checkpoints.found if self.checkpoints is not None else None
            if found is not None and found.record["phase"] == self.phase:
                self._resume(found.tensors, found.record)
            while standing.epoch < self.plan.epochs and not (standing.stopped or self._out_of_time):
                standing.epoch += 1
                self._judge(self._epoch())
        if self.state.best_state is not None:
            self.module.load_state_dict(self.state.best_state)
        self.module.eval()
        if timeline.path is not None:
            timeline.write(timeline.path)
        best = math.inf if standing.best_loss is None else standing.best_loss
        best_epoch = standing.before + standing.best_epoch
        return LoopResult(best, best_epoch, standing.epoch, standing.updates)

    def _resume(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        self.state.read(tensors, record["run"])
        standing, planned = self.standing, self.plan.epochs
        if standing.epoch > planned:
            raise FeatrixUserError(
                f"The checkpoint has trained {standing.epoch} epochs, more than are asked for",
                value=planned,
                remedy=f"Ask for {standing.epoch} epochs or more, or train anew without resume",
            )
        # Asked for more epochs than before, a training that had stopped early goes on.
        standing.stopped = standing.stopped and planned == standing.epochs
        standing.epochs = planned
        if standing.recompute:
            recompute_blocks(self.module)
        onlooker: object = self.on_epoch
        if isinstance(onlooker, Stateful) and "on_epoch" in record:
            part = "on_epoch/"
            seen = {k.removeprefix(part): v for k, v in tensors.items() if k.startswith(part)}
            onlooker.restore(seen, record["on_epoch"])
        if self.watch is not None and record["watch"] is not None:
            self.watch.restore(record["watch"])
        self.timeline.entries[:] = record["timeline"]
        self.timeline.corrective_actions[:] = record["corrective_actions"]

    def _note(self, action: str, trigger: str, details: dict[str, Any]) -> None:
        epoch = self.standing.number
        self.timeline.corrective_actions.append(
            {"epoch": epoch, "action_type": action, "trigger": trigger, "details": details}
        )

    # -- one epoch --------------------------------------------------------------------------------

    def _epoch(self) -> dict[str, Any]:
        """Rotate, then train and validate, once more where memory or numbers give out; the entry."""
        rotated = self._rotate()
        while True:
            kept = self.state.kept()
            out_of_memory: BaseException | None = None
            try:
                return {**self._attempt(), "val_set_resampled": rotated}
            except NotANumber as error:
                self._note(*retry_slower(self.state, error, kept))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                # Its frames hold tensors whose memory is needed.
                out_of_memory = error.with_traceback(None)
            if out_of_memory is not None:
                self._note(*need_less_memory(self.state, out_of_memory, kept))

    def _rotate(self) -> bool:
        """Exchange validation rows; the best state so far is measured again on the new ones."""
        standing = self.standing
        if not isinstance(self.objective, Rotating):
            return False
        rotation = self.objective.rotate(standing.number)
        if rotation is None:
            return False
        before = after = math.inf
        if self.state.best_state is not None and standing.best_loss is not None:
            before, after = standing.best_loss, self._measured(self.state.best_state)
            standing.best_loss = standing.reference = after
        self.timeline.log_rotation(standing.number, rotation, before, after)
        return True

    def _measured(self, weights: dict[str, Tensor]) -> float:
        """Validation loss of earlier weights; the module keeps its present ones."""
        kept = self.state.weights()
        self.module.load_state_dict(weights)
        self.module.eval()
        loss, _ = self.measure()
        self.module.load_state_dict(kept)
        if not math.isfinite(loss):
            raise no_number(self.state, "validation")
        return loss

    def _attempt(self) -> dict[str, Any]:
        standing, plan = self.standing, self.plan
        progress = (standing.epoch - 1) / plan.epochs
        if self.watch is not None and isinstance(self.objective, Tempered):
            self.objective.temperature_factor = self.watch.temperature_factor
        if plan.dropout is not None:
            set_dropout(self.module, plan.dropout * dropout_factor(progress))
        self.objective.start_epoch(standing.epoch, progress)
        self.module.train()
        order = torch.randperm(self.objective.n_rows, generator=self.state.generator)
        done, updates = (standing.epoch - 1) * standing.steps, plan.epochs * standing.steps
        highest = plan.learning_rate * standing.rate_cut
        if self.watch is not None:
            highest *= self.watch.rate_factor
        sums: dict[str, float | Tensor] = {}
        rate, steep, norm, loss = 0.0, torch.zeros(()), torch.zeros(()), torch.zeros(())
        for step in range(standing.steps):
            rate = highest * one_cycle((done + step) / updates)
            rows = order[step * standing.batch_size : (step + 1) * standing.batch_size]
            loss, norm, figures = self.step(rows, rate)
            standing.updates += 1
            steep = steep + (norm > HIGH_NORM * loss.abs())
            for key, value in {"train_loss": loss, **figures}.items():
                sums[key] = sums.get(key, 0.0) + value
            if self.on_progress is not None:
                update = done + step + 1
                now = (update, updates, standing.epoch, plan.epochs, float(loss))
                self.on_progress(Progress(*now, rate, standing.batch_size))
        means = {key: float(value) / standing.steps for key, value in sums.items()}
        if not math.isfinite(means["train_loss"]):
            raise NotANumber("training")
        validation, held = self._validate()
        unclipped, longest = float(norm), clip_threshold(plan, loss)
        entry = {
            "epoch": standing.number,
            "learning_rate": rate,
            "validation_loss": validation,
            **means,
            **held,
            "gradients": {
                "unclipped_norm": unclipped,
                "clipped_norm": min(unclipped, longest),
                "clip_ratio": min(1.0, longest / max(unclipped, 1e-12)),
                "steep_steps": int(steep),
            },
        }
        if plan.dropout is not None:
            entry["dropout_rate"] = plan.dropout * dropout_factor(progress)
        return entry

    def step(self, rows: Tensor, rate: float) -> tuple[Tensor, Tensor, dict[str, float | Tensor]]:
        """One update at `rate`: its loss, length of the gradient before clipping, figures."""
        optimizer = self.state.optimizer
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        loss, figures = self.gradients(rows)
        longest = clip_threshold(self.plan, loss)
        norm = nn.utils.clip_grad_norm_(self.state.trained, longest, foreach=True)
        optimizer.step()
        self.state.average.update()
        return loss.detach(), norm, figures

    def gradients(self, rows: Tensor) -> tuple[Tensor, dict[str, float | Tensor]]:
        """Loss and figures of a batch; its gradients are in their places."""
        with precision(self.state.device):
            loss, figures = self.objective.loss(rows)
        self.state.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss, figures

    def measure(self) -> tuple[float, dict[str, Any]]:
        """Validation loss of the module as it is, and figures."""
        return self.objective.validate()

    def _validate(self) -> tuple[float, dict[str, Any]]:
        """Validate the averaged weights and keep them if they are the best so far."""
        standing = self.standing
        with self.state.average.swapped():
            self.module.eval()
            loss, figures = self.measure()
            if not math.isfinite(loss):
                raise NotANumber("validation")
            if standing.best_loss is None or loss < standing.best_loss:
                self.state.keep_best(loss)
        if standing.reference is None or loss < standing.reference - MIN_DELTA:
            standing.reference, standing.improved_epoch = loss, standing.epoch
        return loss, figures

    # -- after an epoch ---------------------------------------------------------------------------

    def _judge(self, entry: dict[str, Any]) -> None:
        """Timeline, interventions, onlookers, checkpoint, early stopping."""
        standing, timeline, plan = self.standing, self.timeline, self.plan
        was_steep = any(e["gradients"].get("steep_steps") for e in timeline.entries[-1:])
        timeline.add(entry)
        gradients = entry["gradients"]
        if gradients["steep_steps"] and not was_steep:
            self._note("WARNING", "STEEP_GRADIENT", dict(gradients))
        actions: list[Intervention] = []
        if self.watch is not None:
            actions += self.watch.after_epoch(timeline.entries)
            entry["corrective_actions"] = self.watch.labels
            entry["early_stop_blocked"] = self.watch.stop_blocked
        timeline.corrective_actions += [a.record(standing.number) for a in actions]
        self._show(entry)
        for action in actions:
            self._carry_out(action)
        stale = standing.epoch - standing.improved_epoch
        blocked = self.watch is not None and self.watch.stop_blocked
        standing.stopped = plan.patience is not None and stale >= plan.patience and not blocked
        if self.deadline is not None and standing.epoch < plan.epochs and self.deadline.passed():
            self._out_of_time = True
            timeline.corrective_actions.append(self.deadline.record(standing.number, plan.epochs))
        ended = standing.stopped or self._out_of_time
        self._checkpoint(last=ended or standing.epoch == plan.epochs)

    def _show(self, entry: dict[str, Any]) -> None:
        standing = self.standing
        if self.on_epoch is None or standing.best_loss is None:
            return
        last, improved = standing.before + self.plan.epochs, standing.best_epoch == standing.epoch
        random = random_tensors(self.state.device)
        with self.state.average.swapped():
            self.on_epoch(
                EpochDone(standing.number, last, entry, self.module, standing.best_loss, improved)
            )
        restore_random(random, self.state.device)

    def _carry_out(self, action: Intervention) -> None:
        """The two actions that the watch cannot bring about by its factors."""
        if action.action_type == "RESTART" and isinstance(self.objective, Resettable):
            self.state.start_over(self.objective)
        if action.action_type == "RAISE":
            if self.timeline.path is not None:
                self.timeline.write(self.timeline.path)
            raise TrainingError(action.details["message"], action.details["suggestions"])

    def _checkpoint(self, last: bool) -> None:
        """Write the state if it is time; training goes on where that fails."""
        if self.checkpoints is None or not (last or self.checkpoints.due()):
            return
        tensors, run = self.state.written()
        record = {
            "run": run,
            "phase": self.phase,
            "watch": None if self.watch is None else self.watch.state(),
            "timeline": self.timeline.entries,
            "corrective_actions": self.timeline.corrective_actions,
        }
        onlooker: object = self.on_epoch
        if isinstance(onlooker, Stateful):
            seen, record["on_epoch"] = onlooker.state()
            tensors |= {f"on_epoch/{key}": value for key, value in seen.items()}
        failure = self.checkpoints.write(self.standing.number, tensors, record)
        if failure is not None:
            self._note("WARNING", "CHECKPOINT_FAILED", {"message": failure})


def run_loop(
    objective: Objective,
    plan: TrainingPlan,
    timeline: Timeline,
    on_progress: OnProgress | None = None,
    *,
    watch: Monitor | None = None,
    checkpoints: Checkpoints | None = None,
    on_epoch: OnEpoch | None = None,
    deadline: Deadline | None = None,
    kind: Callable[..., Run] = Run,
) -> LoopResult:
    """Train; the module ends in its best validated state. Epochs are counted on in the timeline.

    Losses on different validation rows cannot be compared. Where the rows rotate, the best state so far is
    measured again on the new ones, and later epochs have to be better than that.

    Raises:
        TrainingError: the loss stays no number, memory is short of a single row, or the watch gives up.
    """
    run = kind(
        objective,
        plan,
        timeline,
        watch=watch,
        checkpoints=checkpoints,
        on_progress=on_progress,
        on_epoch=on_epoch,
        deadline=deadline,
    )
    return run.train()
