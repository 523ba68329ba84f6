"""The two phases of an extension: new columns only, then everything (EXT-1, E "Training Strategy")."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from featrix_core.training.loop import LoopResult, Objective, Progress, run_loop
from featrix_core.training.plan import TrainingPlan
from featrix_core.training.timeline import Timeline

JOINT_RATE = 0.5
"""Peak learning rate of the joint phase, as a share of the plan's."""


def run_phases(
    objective: Objective,
    plan: TrainingPlan,
    timeline: Timeline,
    only_new: Callable[[], AbstractContextManager[None]],
    on_progress: Callable[[Progress], None] | None = None,
) -> LoopResult:
    """Half the epochs under `only_new`, which lets gradients reach new weights alone, then the rest jointly.

    Weight decay is off in the first phase: it would move old weights that get no gradient.
    """
    half = max(1, plan.epochs // 2)
    timeline.metadata["phase_1_epochs"] = half
    with only_new():
        first = plan.model_copy(update={"epochs": half, "weight_decay": 0.0})
        result = run_loop(objective, first, timeline, on_progress)
    if plan.epochs == half:
        return result
    rest = {
        "epochs": plan.epochs - half,
        "learning_rate": plan.learning_rate * JOINT_RATE,
        "seed": plan.seed + 1,
    }
    return run_loop(objective, plan.model_copy(update=rest), timeline, on_progress)
