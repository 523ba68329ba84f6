"""What the training of a space will take, from a few of its steps (TRAIN-2).

Everything is run on copies: the space, its random numbers and its result stay what they would have been.
"""

from __future__ import annotations

import copy
import resource
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from featrix_core.encoders.tokens import FAMILY_OF, TokenBatch
from featrix_core.files import read_json, write_json
from featrix_core.planning import Limit
from featrix_core.space.information import judged_rows
from featrix_core.space.model import SpaceModel
from featrix_core.space.objective import SpaceObjective
from featrix_core.space.plan import pair_budget
from featrix_core.space.relationships import PairSampler
from featrix_core.training.device import choose_device, deterministic, moved
from featrix_core.training.estimate import (
    Clock,
    Deadline,
    Estimate,
    StepCost,
    estimate,
    fit_to_budget,
    measure_steps,
)
from featrix_core.training.plan import TrainingPlan
from featrix_core.training.rotation import Sides

AXES_ROWS, TIMED_ROWS, CHUNK_ROWS = 10_000, 1024, 2048
"""Rows that are encoded after training: for the axes and the report, for each column's information, at once."""
INFORMATION_SHARE = 1.25
"""Time of reading a row for information, over that of encoding it (1.1 … 1.4 at 20 to 100 columns)."""
CHUNK_SHARE = 0.7
"""Memory of a row that is only encoded, over that of one view in training."""


class SpaceCost:
    """Cost of one space's training, measured on rows that may be a sample of it.

    Args:
        rows, sides: tokens to run on; training rows for at least one batch, and as many validation rows as
            the training will have.
        plan: batch size and clipping of the training; its epochs do not matter.
    """

    def __init__(
        self,
        model: SpaceModel,
        rows: TokenBatch,
        sides: Sides,
        plan: TrainingPlan,
        clock: Clock = time.monotonic,
    ) -> None:
        columns = model.joint.column_AD.shape[0]
        with deterministic(plan.seed):
            sampler = PairSampler(columns, pair_budget(columns), plan.seed)
            objective = SpaceObjective(copy.deepcopy(model), rows, copy.deepcopy(sides), sampler)
            self.step: StepCost = measure_steps(objective, plan, clock)
            self.row_seconds = _row_seconds(objective.model, rows, clock)
        self.columns = columns
        self.batch_size = plan.batch_size
        self.row_bytes = sum(getattr(rows, name).nbytes for name in FAMILY_OF) / max(rows.n_rows, 1)
        self.table_bytes = sum(
            value.nbytes
            for value in (getattr(rows, field.name) for field in fields(rows))
            if isinstance(value, Tensor)
        )
        self.sample_rows = rows.n_rows

    def finish_seconds(self, rows: int) -> float:
        """Information of every column, axes and report of a space of so many rows: passes without gradients."""
        information = INFORMATION_SHARE * self.columns * min(rows, judged_rows(self.columns))
        return self.row_seconds * (information + 2 * min(rows, AXES_ROWS))

    def estimate(self, plan: TrainingPlan, rows: int, extra_seconds: float = 0.0) -> Estimate:
        """Seconds and peak memory of a plan on a table of so many rows.

        Memory starts from the most that this process has held so far; the tokens of rows that are not in the
        sample are added. `extra_seconds`: of child spaces, which are trained before anything else.
        """
        more = max(rows - self.sample_rows, 0) * self.row_bytes
        row = self.step.saved_bytes / (2 * self.batch_size)
        return estimate(
            plan,
            self.step,
            finish_seconds=self.finish_seconds(rows) + extra_seconds,
            # Twice: the arrays that the codecs make, and torch's copies of them.
            held_bytes=held_bytes() + int(2 * more),
            chunk_bytes=int(CHUNK_SHARE * row * min(rows, CHUNK_ROWS)),
        )

    def fitted(self, plan: TrainingPlan, rows: int, max_seconds: float | None) -> TrainingPlan:
        """The plan, with fewer epochs where a time limit asks for it."""
        if max_seconds is None:
            return plan
        return fit_to_budget(plan, self.step, max_seconds, self.finish_seconds(rows))


class Limited(NamedTuple):
    """A plan, what a time limit made of it, and when the time is over; without a limit, the plan alone."""

    plan: TrainingPlan
    limit: Limit | None = None
    deadline: Deadline | None = None


def limited(
    model: SpaceModel,
    rows: TokenBatch,
    sides: Sides,
    plan: TrainingPlan,
    max_seconds: float,
    record: Path | None,
    resume: bool,
    trained: int = 0,
) -> Limited:
    """The plan with as many epochs as fit into `max_seconds`, from a dry run on the actual rows.

    How many fit is a matter of the machine and of the moment. It is kept in the file `record`, and a training
    that is resumed under the same limit goes on with the number that it began with. Under another limit they
    are counted anew, but never fewer than the `trained` ones that a checkpoint holds already.
    """
    deadline, least = Deadline(max_seconds), min(trained, plan.epochs)
    if resume and record is not None and record.is_file():
        kept = read_json(record)
        limit = Limit.model_validate(kept["limit"])
        if limit.max_seconds == max_seconds:
            epochs = max(kept["epochs"], least)
            return Limited(plan.model_copy(update={"epochs": epochs}), limit, deadline)
    device = choose_device()
    cost = SpaceCost(copy.deepcopy(model).to(device), moved(rows, device), sides, plan)
    fitted = cost.fitted(plan, sides.n_train, max_seconds)
    if fitted.epochs < least:
        fitted = fitted.model_copy(update={"epochs": least})
    limit = Limit(max_seconds=max_seconds, planned_epochs=plan.epochs)
    if record is not None:
        record.parent.mkdir(parents=True, exist_ok=True)
        write_json(record, {"epochs": fitted.epochs, "limit": limit.model_dump()})
    return Limited(fitted, limit, deadline)


def _row_seconds(model: SpaceModel, rows: TokenBatch, clock: Clock) -> float:
    """Seconds of encoding one row among many."""
    some = rows.rows(slice(0, TIMED_ROWS))
    model.row_embeddings(some.rows(slice(0, 1)))  # warms up
    started = clock()
    model.row_embeddings(some)
    return (clock() - started) / max(some.n_rows, 1)


def held_bytes() -> int:
    """The most memory that this process has held so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # What `getrusage` gives holds what the process that started this one had in memory.
        lines = status.read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
