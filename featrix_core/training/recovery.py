"""What is done when numbers or memory give out in the middle of an epoch (TRAIN-3, TRAIN-4)."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

from featrix_core.errors import TrainingError
from featrix_core.training.device import recompute_blocks
from featrix_core.training.state import Kept, RunState

RETRY_RATE = 1 / 3
"""Factor on the rate after a loss that is no number."""
GOOD_EPOCHS = 20
"""Epochs after which the rate may be cut once more: what was mended for so long is another accident."""

Note: TypeAlias = tuple[str, str, dict[str, Any]]
"""Action, trigger and details for the timeline."""


class NotANumber(Exception):
    """The loss of the side that is named is not a number any more."""


def no_number(state: RunState, which: str) -> TrainingError:
    """What a user is told when a loss stays no number."""
    return TrainingError(
        f"The {which} loss is not a number any more in epoch {state.standing.number}.",
        {"learning_rate": state.plan.learning_rate * state.standing.rate_cut * RETRY_RATE},
    )


def retry_slower(state: RunState, failure: NotANumber, kept: Kept) -> Note:
    """Make ready for the epoch once more, from the best state and at a third of the rate.

    Raises:
        TrainingError: that was done within the last `GOOD_EPOCHS` epochs.
    """
    standing = state.standing
    if standing.rate_cut < 1.0 and standing.number - standing.cut_at <= GOOD_EPOCHS:
        raise no_number(state, str(failure))
    state.restore(*kept)
    state.begin_again_from_best()
    standing.rate_cut, standing.cut_at = standing.rate_cut * RETRY_RATE, standing.number
    details = {"loss": str(failure), "lr_multiplier": RETRY_RATE, "lr_factor": standing.rate_cut}
    return "RATE_CUT", "NOT_A_NUMBER", details


def need_less_memory(state: RunState, failure: BaseException, kept: Kept) -> Note:
    """Make ready for the epoch once more: blocks computed twice where the module offers it, else half batches.

    An epoch of half batches has twice the steps, so that the schedule keeps its place.

    Raises:
        TrainingError: a batch of one row is too large.
    """
    state.restore(*kept)
    if state.device.type == "cuda":
        torch.cuda.empty_cache()
    standing, said = state.standing, _first_line(failure)
    if recompute_blocks(state.module):
        standing.recompute = True
        return "RECOMPUTE", "OUT_OF_MEMORY", {"message": said}
    if standing.batch_size < 2:
        raise TrainingError(
            f"The memory does not suffice for a batch of one row: {said}",
            {"memory": "a machine with more of it, or fewer columns"},
        )
    standing.batch_size, standing.steps = standing.batch_size // 2, standing.steps * 2
    details = {"batch_size": standing.batch_size, "message": said}
    return "BATCH_HALVED", "OUT_OF_MEMORY", details


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
