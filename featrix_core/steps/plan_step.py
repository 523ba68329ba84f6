"""`featrix plan`: every automatic value of a training, its seconds and its memory, before it starts (TRAIN-2)."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from featrix_core.child_space import EPOCHS_SHARE, MOST_CELLS
from featrix_core.dry_run import SpaceCost
from featrix_core.embedding_space import EmbeddingSpace
from featrix_core.files import write_json
from featrix_core.planning import Limit, PlanValue, TableFacts, class_weight_value, plan_document
from featrix_core.space.plan import plan_shape
from featrix_core.steps.config import StepConfig
from featrix_core.steps.limits import check_limit
from featrix_core.steps.outputs import check_output_file
from featrix_core.tables.build import build_schema
from featrix_core.tables.control import usable_rows
from featrix_core.tables.limits import MAX_ROWS
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import ColumnType
from featrix_core.tables.table import Table
from featrix_core.tables.targets import detect_target
from featrix_core.training.estimate import Estimate
from featrix_core.training.plan import TrainingPlan, plan_space
from featrix_core.training.rotation import Sides

if TYPE_CHECKING:
    from featrix_core.storage.fetch import OnBytes

SAMPLE_ROWS = 20_000
"""Of a longer table a uniform sample of this many rows is looked at."""


@dataclass(frozen=True)
class Planned:
    """What a training would be. `rows`: of the file; `held_out`: those that `fit` measures on."""

    source: str
    rows: int
    held_out: int
    document: dict[str, Any]
    estimate: Estimate
    seed: int

    def record(self) -> dict[str, Any]:
        """The JSON document. `estimate` is of this machine, `plan` is the same everywhere without a limit."""
        return {
            "data": {"name": self.source, "rows": self.rows, "held_out_rows": self.held_out},
            "seed": self.seed,
            "plan": self.document,
            "estimate": {
                **self.estimate.model_dump(),
                "seconds": self.estimate.seconds,
                "memory_bytes": self.estimate.memory_bytes,
                "processor": platform.processor() or platform.machine(),
            },
        }


def plan_file(
    data: str,
    targets: Sequence[str] = (),
    *,
    max_seconds: float | None = None,
    seed: int = 42,
    json: Path | None = None,
    on_bytes: OnBytes | None = None,
) -> Planned:
    """Plan `fit` of a file: read it, take a few steps on a sample of its rows, and multiply.

    Raises:
        FeatrixUserError: an unreadable file, a target that is not there, a limit that is too short, an output
            that cannot be written.
    """
    check_limit(max_seconds)
    if json is not None:
        check_output_file(json, (".json",), data, "--json")
    read = read_table(data, max_rows=SAMPLE_ROWS, seed=seed, on_progress=on_bytes)
    weights = [class_weights for t in dict.fromkeys(targets) for class_weights in _weights(read, t)]
    schema = build_schema(read, targets=list(targets))
    table = usable_rows(read)
    share = table.n_rows / read.n_rows
    rows = min(round(max(read.source.rows_read, read.n_rows) * share), MAX_ROWS)
    held_out = round(rows * StepConfig().holdout)
    developing = rows - held_out
    training = Sides.split(developing, seed).n_train
    plan = plan_space(training, seed=seed)
    validating = min(developing - training, table.n_rows // 4)
    first = min(table.n_rows - validating, max(2 * plan.batch_size, 512))
    # Files may be sorted: the first rows would not stand for all.
    order = np.random.default_rng(seed).permutation(table.n_rows)[: first + validating]
    space = EmbeddingSpace(
        table.take(order[:first]),
        table.take(order[first:]) if validating else None,
        n_epochs=1,
        schema=schema,
        seed=seed,
    )
    cost = _cost(space, plan)
    used = cost.fitted(plan, developing, max_seconds)
    facts = TableFacts(rows=rows, training_rows=training, columns=len(space.column_names))
    limit = (
        None if max_seconds is None else Limit(max_seconds=max_seconds, planned_epochs=plan.epochs)
    )
    document = plan_document(facts, used, plan_shape(), limit)
    document["values"] += [value.model_dump() for value in weights]
    extra = _children_seconds(space, rows / first, seed)
    planned = Planned(
        read.source.name, rows, held_out, document, cost.estimate(used, developing, extra), seed
    )
    if json is not None:
        write_json(json, planned.record())
    return planned


def _weights(table: Table, name: str) -> list[PlanValue]:
    target = detect_target(table, name)
    return [class_weight_value(name, target.class_counts)] if target.class_counts else []


def _cost(space: EmbeddingSpace, plan: TrainingPlan) -> SpaceCost:
    rows = space._rows
    assert rows is not None  # made a moment ago
    return SpaceCost(space.model, rows, space._sides, plan)


def _children_seconds(space: EmbeddingSpace, scale: float, seed: int) -> float:
    """Seconds for the child spaces of JSON columns on `scale` times the sample's rows."""
    seconds = 0.0
    for column in space.schema.of_type(ColumnType.JSON):
        child = space.children[column.name]
        if not isinstance(child.space, EmbeddingSpace):
            continue
        cells = min(MOST_CELLS, round(child.cells * scale))
        plan = plan_space(cells, seed=seed)
        plan = plan.model_copy(update={"epochs": max(1, round(EPOCHS_SHARE * plan.epochs))})
        fits = plan_space(child.cells, batch_size=plan.batch_size)
        measured = _cost(child.space, fits)
        seconds += measured.estimate(plan, cells).seconds
        seconds += _children_seconds(child.space, 1.0, seed)
    return seconds


def rendered(planned: Planned, width: int) -> RenderableType:
    """The values as a table, then time and memory."""
    wide = width >= 110
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, expand=True)
    grid.add_column("value", min_width=16)
    grid.add_column("plan", min_width=10)
    grid.add_column("source", min_width=10)
    grid.add_column("reason", ratio=1)
    if wide:
        grid.add_column("put to the test by", min_width=16)
    for value in (PlanValue.model_validate(v) for v in planned.document["values"]):
        reason = value.reason + (f". Differs: {value.why}" if value.why else "")
        name = value.name + (" (predictor)" if value.stage == "predictor" else "")
        cells = [name, _said(value.value, value.unit), _said(value.source, ""), reason]
        grid.add_row(*map(Text, cells), *([Text(value.benchmark)] if wide else []))
    return Group(
        Text(_facts_said(planned), style="bold"), grid, Text(), *map(Text, _cost_said(planned))
    )


def _said(value: object, unit: str) -> str:
    if value is None:
        return "–"
    shown = (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:g}"
        if isinstance(value, float)
        else value
    )
    return f"{shown} {unit}".strip()


def _facts_said(planned: Planned) -> str:
    facts = planned.document["table"]
    return (
        f"{planned.rows:,} rows, {facts['columns']} columns; {planned.held_out:,} rows are held out, "
        f"{facts['training_rows']:,} train"
    )


def _cost_said(planned: Planned) -> list[str]:
    cost, limit = planned.estimate, planned.document["limit"]
    lines = [
        f"The space takes about {duration(cost.seconds)} on this machine as busy as it is now: "
        f"{duration(cost.training_seconds)} for updates, {duration(cost.validation_seconds)} for validation, "
        f"{duration(cost.finish_seconds)} before and after. Reading the data and predictors are not in it.",
        f"Memory at its peak about {cost.memory_bytes / 2**20:,.0f} MiB.",
    ]
    epochs = planned.document["training"]["epochs"]
    if limit is not None and epochs < limit["planned_epochs"]:
        lines.append(
            f"To fit into {limit['max_seconds']:g} s the schedule is compressed from "
            f"{limit['planned_epochs']} to {epochs} epochs."
        )
    if limit is not None and cost.seconds > limit["max_seconds"]:
        lines.append(f"One epoch is the least; it takes longer than {limit['max_seconds']:g} s.")
    return lines


def duration(seconds: float) -> str:
    """Seconds in words: 48 s, 3 min 20 s, 2 h 5 min."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
