"""How a space is trained: objective, watch, checkpoints, and what is read off the finished model.

Part of `EmbeddingSpace.train`; a module of its own for its size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from featrix_core.dry_run import Limited, limited
from featrix_core.encoders.pca_start import first_weights
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.errors import FeatrixUserError
from featrix_core.planning import Limit, TableFacts, plan_document
from featrix_core.space.axes import main_axes
from featrix_core.space.extension import only_new_columns
from featrix_core.space.information import mutual_information_matrix
from featrix_core.space.model import SpaceModel
from featrix_core.space.objective import SpaceObjective
from featrix_core.space.plan import pair_budget
from featrix_core.space.relationships import PairSampler
from featrix_core.training.checkpoint import (
    EVERY_SECONDS,
    FOLDER,
    Checkpoints,
    newest_epoch,
    tensors_digest,
)
from featrix_core.training.device import choose_device, deterministic, device_of, moved
from featrix_core.training.distributed import TeamRun, shared_checkpoints, start_alike
from featrix_core.training.estimate import Deadline
from featrix_core.training.loop import LoopResult, OnEpoch, OnProgress, Run, run_loop
from featrix_core.training.phases import run_phases
from featrix_core.training.plan import TrainingPlan
from featrix_core.training.snapshots import Snapshots, sample_rows
from featrix_core.training.team import Team, together
from featrix_core.training.timeline import Timeline
from featrix_core.training.watch import Watch

if TYPE_CHECKING:
    from featrix_core.embedding_space import EmbeddingSpace

OnNotice: TypeAlias = Callable[[str], None]
TIMELINE, PLAN = "training_timeline.json", "plan.json"
AXES_ROWS = 10_000
"""Rows that the axes of the row embedding are aligned to."""


@dataclass(frozen=True)
class Resume:
    """Whether and from where a training goes on.

    Attributes:
        resume: go on from the newest valid checkpoint, if there is one.
        existing_epochs: go on from the newest one that is not later than this epoch; there has to be one (D19).
        every: least seconds between two checkpoints.
    """

    resume: bool = False
    existing_epochs: int | None = None
    every: float = EVERY_SECONDS


class RestartableObjective(SpaceObjective):
    """A space's objective that can begin again with other weights, after a collapse (TRAIN-4).

    Attributes:
        on_reset: called when the model has its other weights.
    """

    space: EmbeddingSpace
    on_reset: Callable[[], None] | None = None

    def reset(self, seed: int) -> None:
        """Weights as a space of this seed would start from; the pairs are settled anew."""
        with deterministic(seed):
            fresh = SpaceModel(self.space.tokenizer, self.model.config, self.model.pairs_Q2.cpu())
        assert self.space._rows is not None
        first_weights(fresh.encoders, self.space.tokenizer, self.space._rows)
        self.model.load_state_dict(fresh.state_dict())
        self.generator.manual_seed(seed + 1)
        if self.on_reset is not None:
            self.on_reset()


def train_space(
    space: EmbeddingSpace,
    rows: TokenBatch,
    plan: TrainingPlan,
    resume: Resume,
    on_progress: OnProgress | None = None,
    on_epoch: OnEpoch | None = None,
    max_seconds: float | None = None,
    on_notice: OnNotice | None = None,
) -> None:
    """Train a space's model in place and fill the space's figures, timeline and information.

    Whatever is added to `space.training_notices` is told to `on_notice` at once.

    Under `torchrun` the processes train it together, an extension or a child space as well, and all end with
    the same space. The first one alone writes to the space's folder and tells of anything (TRAIN-9).

    Raises:
        FeatrixUserError: there is nothing to resume from, or it belongs to another training.
        TrainingError: training failed in a way that no intervention mends.
    """
    with together() as team:
        if team is not None and not team.first:
            on_progress = on_epoch = on_notice = None
        _train(space, rows, plan, resume, on_progress, on_epoch, max_seconds, on_notice, team)


def _train(
    space: EmbeddingSpace,
    rows: TokenBatch,
    plan: TrainingPlan,
    resume: Resume,
    on_progress: OnProgress | None,
    on_epoch: OnEpoch | None,
    max_seconds: float | None,
    on_notice: OnNotice | None,
    team: Team | None,
) -> None:
    model, sides, path = space._model, space._sides, None
    folder = space.output_dir if team is None or team.first else None
    if team is not None:
        start_alike(team, model, _facts(space, rows, plan, max_seconds))
    used = _within(space, rows, plan, max_seconds, resume, folder, team)
    plan = used.plan
    checkpoints = None
    if team is None or team.first:
        checkpoints = _checkpoints(space, rows, plan, resume)
    if team is not None:
        checkpoints = shared_checkpoints(team, checkpoints)
    _tell(on_notice, space.training_notices)
    if folder is not None:
        path = folder / TIMELINE
    device = choose_device()
    model.to(device)
    try:
        columns = len(space.tokenizer.names)
        # An extension trains for a few epochs: too short to try anything, so it keeps what it begins with.
        budget = pair_budget(columns) if space._fresh is None else 0
        sampler = PairSampler(columns, budget, space.seed)
        weights = (
            None
            if space._weights_N is None
            else torch.from_numpy(space._weights_N).float().to(device)
        )
        loss = SpaceObjective if space._fresh is not None else RestartableObjective
        objective = loss(model, moved(rows, device), sides, sampler, weights)
        if isinstance(objective, RestartableObjective):
            objective.space = space
        objective.processes = team
        timeline = Timeline(plan, path, d_model=space.d_model, columns=len(space.tokenizer.names))
        snapshots = _snapshots(space, rows, plan, on_epoch)
        if isinstance(objective, RestartableObjective):
            objective.on_reset = snapshots.begin_again
        kind = Run if team is None else partial(TeamRun, team)
        result = _run(
            space,
            objective,
            plan,
            timeline,
            checkpoints,
            on_progress,
            snapshots,
            used.deadline,
            kind,
        )
        # An extension tries nothing: what is known of pairs comes from the space that it extends.
        if space._fresh is None or space.pair_report is None:
            space.pair_report = objective.pair_report(space.tokenizer.names)
        ended = _cut_short(timeline)
        space.training_notices += ended
        _tell(on_notice, ended)
    finally:
        model.to("cpu")
    space.timeline = timeline.document()
    model.encoders.settle()
    train_rows = rows.rows(sides.train_T)
    model.axes_M3.copy_(main_axes(model.row_embeddings(train_rows.rows(slice(0, AXES_ROWS)))))
    space.movie = snapshots.movie(model.axes_M3, result.best_epoch)
    space.information_bits = mutual_information_matrix(model, train_rows).numpy()
    space.training_info = {
        "final_validation_loss": result.best_loss,
        "best_epoch": result.best_epoch,
        "updates": result.updates,
        "epochs": plan.epochs,
        "batch_size": plan.batch_size,
        "learning_rate": plan.learning_rate,
        "training_rows": sides.n_train,
        "parameters": sum(p.numel() for p in model.parameters()),
        "columns": model.encoders.report(space.tokenizer, train_rows.rows(slice(0, AXES_ROWS))),
        "plan": plan_document(
            TableFacts(
                rows=rows.n_rows, training_rows=sides.n_train, columns=len(space.tokenizer.names)
            ),
            plan,
            model.config,
            used.limit,
        ),
    }
    if team is not None:
        space.training_info["processes"] = team.count


def _facts(
    space: EmbeddingSpace, rows: TokenBatch, plan: TrainingPlan, max_seconds: float | None
) -> dict[str, Any]:
    """What has to be the same for all processes; computed numbers may differ in their last bits."""
    exact = {name: value for name, value in vars(rows).items() if not value.is_floating_point()}
    return {
        "columns": list(space.tokenizer.names),
        "rows": tensors_digest(exact | {"training": space._sides.train_T}),
        "plan": plan.model_dump(mode="json"),
        "limit of time": max_seconds,
        "weights to start from": space._fresh is not None,
    }


def _within(
    space: EmbeddingSpace,
    rows: TokenBatch,
    plan: TrainingPlan,
    max_seconds: float | None,
    resume: Resume,
    folder: Path | None,
    team: Team | None,
) -> Limited:
    """The plan for a limited time; for a team it is the first process's, as if it trained alone."""
    kept, used = None if folder is None else folder / PLAN, Limited(plan)
    if max_seconds is None:
        if kept is not None:  # an earlier limit no longer holds
            kept.unlink(missing_ok=True)
        return used
    if team is None or team.first:
        going_on = resume.resume or resume.existing_epochs is not None
        trained = 0
        if going_on and folder is not None:
            trained = newest_epoch(folder / FOLDER)
            trained = min(trained, resume.existing_epochs or trained)
        model, sides = space._model, space._sides
        used = limited(model, rows, sides, plan, max_seconds, kept, going_on, trained)
    if team is None:
        return used
    limit = None if used.limit is None else used.limit.model_dump(mode="json")
    epochs, limit = team.agreed([used.plan.epochs, limit])
    fitted = plan.model_copy(update={"epochs": epochs})
    return Limited(fitted, Limit.model_validate(limit), used.deadline or Deadline(max_seconds))


def _tell(on_notice: OnNotice | None, notices: tuple[str, ...]) -> None:
    if on_notice is not None:
        for notice in notices:
            on_notice(notice)


def _cut_short(timeline: Timeline) -> tuple[str, ...]:
    """A sentence on a training that a time limit ended before its schedule was through."""
    last = timeline.entries[-1]["epoch"] if timeline.entries else 0
    ends = [
        a
        for a in timeline.corrective_actions
        # An earlier one was gone on from.
        if a["action_type"] == "TIME_LIMIT" and a["epoch"] == last
    ]
    return tuple(
        f"The limit of {end['details']['max_seconds']:g} s ended the training of the space after epoch "
        f"{end['epoch']} of {end['details']['planned_epochs']}: another run may end after another epoch"
        for end in ends
    )


def _snapshots(
    space: EmbeddingSpace, rows: TokenBatch, plan: TrainingPlan, on_epoch: OnEpoch | None
) -> Snapshots:
    """Frames of the training movie (VIEW-2); the first of them is the state before training."""
    assert space.train_table is not None
    model, rows_R = space._model, sample_rows(space.train_table.n_rows, space.seed)
    sample = rows.rows(torch.from_numpy(rows_R))
    snapshots = Snapshots(
        lambda: model.row_embeddings(moved(sample, device_of(model))),
        rows_R,
        plan.steps_per_epoch * plan.batch_size,
        plan.epochs,
        on_epoch,
    )
    snapshots.take(0)
    return snapshots


def _run(
    space: EmbeddingSpace,
    objective: SpaceObjective,
    plan: TrainingPlan,
    timeline: Timeline,
    checkpoints: Checkpoints | None,
    on_progress: OnProgress | None,
    on_epoch: OnEpoch | None,
    deadline: Deadline | None,
    kind: Callable[..., Run],
) -> LoopResult:
    if space._fresh is None:
        return run_loop(
            objective,
            plan,
            timeline,
            on_progress,
            # Weights that were trained before: a flat loss is an old success, and a restart would lose it.
            watch=Watch(plan, warm=bool(space.training_info)),
            checkpoints=checkpoints,
            on_epoch=on_epoch,
            deadline=deadline,
            kind=kind,
        )
    return run_phases(
        objective,
        plan,
        timeline,
        partial(only_new_columns, space._model, space._fresh),
        on_progress,
        watch=partial(Watch, warm=True),
        checkpoints=checkpoints,
        on_epoch=on_epoch,
        deadline=deadline,
        kind=kind,
    )


def _checkpoints(
    space: EmbeddingSpace, rows: TokenBatch, plan: TrainingPlan, resume: Resume
) -> Checkpoints | None:
    wanted = resume.resume or resume.existing_epochs is not None
    space.training_notices = ()
    if space.output_dir is None:
        if wanted:
            raise FeatrixUserError(
                "A training without a folder has nothing to resume from",
                remedy="Give the space the output_dir that it was trained in",
            )
        return None
    if space._initial_weights is None:
        space._initial_weights = tensors_digest(space._model.state_dict())
    values = plan.model_dump()
    if space._fresh is None:  # the two phases of an extension are planned together
        values.pop("epochs")
    checkpoints = Checkpoints(
        space.output_dir / FOLDER,
        {
            **values,
            "data": tensors_digest(vars(rows)),
            "initial weights": space._initial_weights,
            "validation rows": len(space._sides.validation_V),
        },
        resume=wanted,
        up_to=resume.existing_epochs,
        every=resume.every,
    )
    notices = list(checkpoints.notices)
    if wanted and checkpoints.found is None:
        if resume.existing_epochs is not None:
            raise FeatrixUserError(
                f"There is no valid checkpoint of epoch {resume.existing_epochs} or before",
                value=str(checkpoints.folder),
                remedy="Train without existing_epochs to start from the beginning",
            )
        notices.append(
            "There is no checkpoint to go on from: the training starts from the beginning"
        )
    if checkpoints.found is not None:
        notices.append(f"The training goes on after epoch {checkpoints.found.epoch}")
    space.training_notices = tuple(notices)
    return checkpoints
