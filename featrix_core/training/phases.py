"""The two phases of an extension: new columns only, then everything (EXT-1, E "Training Strategy")."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from featrix_core.training.checkpoint import Checkpoints
from featrix_core.training.estimate import Deadline
from featrix_core.training.loop import LoopResult, Objective, OnEpoch, OnProgress, Run
from featrix_core.training.plan import TrainingPlan
from featrix_core.training.protocols import Monitor
from featrix_core.training.timeline import Timeline

JOINT_RATE = 0.5
"""Peak learning rate of the joint phase, as a share of the plan's."""


def run_phases(
    objective: Objective,
    plan: TrainingPlan,
    timeline: Timeline,
    only_new: Callable[[], AbstractContextManager[None]],
    on_progress: OnProgress | None = None,
    *,
    watch: Callable[[TrainingPlan], Monitor] | None = None,
    checkpoints: Checkpoints | None = None,
    on_epoch: OnEpoch | None = None,
    deadline: Deadline | None = None,
    kind: Callable[..., Run] = Run,
) -> LoopResult:
    """Half the epochs under `only_new`, which lets gradients reach new weights alone, then the rest jointly.

    Weight decay is off in the first phase: it would move old weights that get no gradient. A checkpoint of the
    second phase holds all that the first one did.

    Args:
        watch: makes the watch of a phase. kind: makes its run.
    """

    def run(part: TrainingPlan, phase: int) -> LoopResult:
        return kind(
            objective,
            part,
            timeline,
            watch=None if watch is None else watch(part),
            checkpoints=checkpoints,
            on_progress=on_progress,
            on_epoch=on_epoch,
            deadline=deadline,
            phase=phase,
        ).train()

    half = max(1, plan.epochs // 2)
    timeline.metadata["phase_1_epochs"] = half
    found = None if checkpoints is None else checkpoints.found
    if found is None or found.record["phase"] == 1:
        with only_new():
            first = plan.model_copy(update={"epochs": half, "weight_decay": 0.0})
            result = run(first, 1)
        if plan.epochs == half:
            return result
    rest = {
        "epochs": plan.epochs - half,
        "learning_rate": plan.learning_rate * JOINT_RATE,
        "seed": plan.seed + 1,
    }
    return run(plan.model_copy(update=rest), 2)
