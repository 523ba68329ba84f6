"""Every automatic value of a training with its reason, beside the source's value for the same table (TRAIN-2).

The document is what `featrix plan` prints, and what a trained space keeps as `training_info["plan"]`. It holds
nothing measured: the same data and seed give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from featrix_core.space.losses import COLDEST, WARMEST, adaptive_temperature
from featrix_core.space.masking import HIGHEST, LOWEST, SINGLE
from featrix_core.space.model import SpaceConfig
from featrix_core.space.objective import CONTRASTIVE_ROWS, Weights, curriculum
from featrix_core.space.plan import pair_budget
from featrix_core.tables.schema import Frozen
from featrix_core.training import optimisation, source_rules
from featrix_core.training.plan import LEAST_EPOCHS, TrainingPlan

Value = int | float | str | None
PHASES = (0.15, 0.375, 0.65, 0.925)
"""A moment inside of each phase of the curriculum."""
_SOURCE_WEIGHTS = {
    "spread": (1.0, 0.5, 0.3, 0.2),
    "joint": (0.8, 1.0, 1.0, 1.0),
    "marginal": (0.005, 0.01, 0.03, 0.02),
}


class PlanValue(Frozen):
    """One automatic value.

    Attributes:
        name, value, unit: what it is; `value` None: not used.
        reason: why it has this value.
        source: the source's value for this table; `why`: why ours differs, empty where it does not.
        benchmark: the row that puts the difference to the test, `suite/row` of `make bench-space`.
        stage: whether the space's training uses it or a predictor's.
    """

    name: str
    value: Value
    unit: str = ""
    reason: str
    source: Value
    why: str = ""
    benchmark: str = ""
    stage: Literal["space", "predictor"] = "space"


class TableFacts(Frozen):
    """What a plan follows from: rows in all, rows that train, columns that the space reads."""

    rows: int
    training_rows: int
    columns: int


class Limit(Frozen):
    """A time limit, and the epochs that there would have been without it."""

    max_seconds: float
    planned_epochs: int


def plan_document(
    facts: TableFacts, plan: TrainingPlan, shape: SpaceConfig, limit: Limit | None = None
) -> dict[str, Any]:
    """The document: `table`, `training` and `shape` as used, `limit`, and `values` with their reasons."""
    values = (
        *_schedule(facts, plan, limit),
        *_optimiser(facts, plan, shape),
        *_shape(facts, shape),
    )
    return {
        "table": facts.model_dump(),
        "training": plan.model_dump(),
        "shape": shape.model_dump(),
        "limit": None if limit is None else limit.model_dump(),
        "values": [_settled(value).model_dump() for value in (*values, *_losses(facts, plan))],
    }


def _settled(value: PlanValue) -> PlanValue:
    """Rounded, and without a difference to explain where there is none."""
    rounded = {
        key: float(f"{number:.6g}")
        for key, number in (("value", value.value), ("source", value.source))
        if isinstance(number, float)
    }
    value = value.model_copy(update=rounded)
    if value.value == value.source:
        return value.model_copy(update={"why": "", "benchmark": ""})
    return value


def class_weight_value(target: str, counts: Mapping[str, int]) -> PlanValue:
    """How the classes of a target are weighted at predictor training."""
    weights = source_rules.class_weights(counts)
    return PlanValue(
        name=f"class weights of {target}",
        value=None,
        reason="every row counts once, unless a class is rare and a weighted loss wins on held-out rows; "
        "probabilities are calibrated, and the threshold follows the costs",
        source=", ".join(f"{name} {weight:g}" for name, weight in weights.items()),
        why="weights bend the probabilities, which calibration then has to bend back",
        benchmark="plan/class weights",
        stage="predictor",
    )


def _schedule(facts: TableFacts, plan: TrainingPlan, limit: Limit | None) -> list[PlanValue]:
    rows = facts.training_rows
    reason = f"{plan.updates:,} updates of {plan.steps_per_epoch} steps an epoch"
    if limit is not None and plan.epochs < limit.planned_epochs:
        reason += f"; cut from {limit.planned_epochs} to fit into {limit.max_seconds:g} s"
    return [
        PlanValue(
            name="batch size",
            value=plan.batch_size,
            unit="rows",
            reason="a quarter of a small table, 128 at most, 256 from 2,000 rows on",
            source=source_rules.batch_size(rows),
            why="few updates have to see many rows each",
            benchmark="plan/batch size",
        ),
        PlanValue(
            name="updates",
            value=plan.updates,
            reason="300 up to 12,000 rows, one more for 40 further rows, 900 at most",
            source=source_rules.UPDATES,
            why="the higher rate gets there in a fraction of the updates",
            benchmark="plan/updates",
        ),
        PlanValue(
            name="epochs",
            value=plan.epochs,
            reason=reason,
            source=source_rules.epochs(rows),
            why=f"follows from the updates; an epoch of a long table is a {LEAST_EPOCHS}th of them",
            benchmark="plan/updates",
        ),
        PlanValue(
            name="patience",
            value=plan.patience,
            unit="epochs",
            reason="a short schedule runs to its end; the best weights are kept",
            source=source_rules.PATIENCE,
            why="a schedule that stops before its rate has fallen loses its best part",
            benchmark="plan/updates",
        ),
    ]


def _optimiser(facts: TableFacts, plan: TrainingPlan, shape: SpaceConfig) -> list[PlanValue]:
    rows = facts.training_rows
    base, peak = source_rules.learning_rate(rows), plan.learning_rate
    first = plan.dropout if plan.dropout is not None else shape.dropout
    last = first * optimisation.dropout_factor(1.0) if plan.dropout is not None else first
    clip = f"loss × {plan.clip_ratio:g}" if plan.clip_ratio is not None else plan.clip_norm
    return [
        PlanValue(
            name="peak learning rate",
            value=peak,
            reason=f"one cycle: up over {optimisation.WARM_UP:.0%} of the updates, on top for "
            f"{optimisation.PEAK:.0%}, then down along a cosine",
            source=source_rules.PEAK_FACTOR * base,
            why="the source's rates are made for a hundred times as many updates",
            benchmark="plan/learning rate",
        ),
        PlanValue(
            name="first learning rate",
            value=peak * optimisation.FIRST,
            reason="1/25 of the peak",
            source=source_rules.PEAK_FACTOR * base * optimisation.FIRST,
            why="follows from the peak",
            benchmark="plan/learning rate",
        ),
        PlanValue(
            name="weight decay",
            value=plan.weight_decay,
            reason="decoupled (AdamW)",
            source=source_rules.weight_decay(rows),
            why="in few updates it moves little, whatever the table's size",
            benchmark="plan/weight decay",
        ),
        PlanValue(
            name="first dropout",
            value=first,
            reason="hidden cells are noise enough for so few updates",
            source=source_rules.DROPOUT[0],
            why="the row embedding has to hold every column",
            benchmark="plan/dropout",
        ),
        PlanValue(
            name="last dropout",
            value=last,
            reason="follows from the first one",
            source=source_rules.DROPOUT[1],
            why="follows from the first one",
            benchmark="plan/dropout",
        ),
        PlanValue(
            name="gradient clipping",
            value=clip,
            unit="" if plan.clip_ratio is not None else "norm",
            reason="longer gradients are scaled down to this",
            source=f"loss × {source_rules.CLIP_RATIO:g}",
            why="the loss starts high, where the rate is still warming up",
            benchmark="plan/clipping",
        ),
        PlanValue(
            name="weight averaging (EMA)",
            value=plan.ema_decay or None,
            reason="the rate falls to nothing, which averages already",
            source=None,
        ),
    ]


def _shape(facts: TableFacts, shape: SpaceConfig) -> list[PlanValue]:
    wide = source_rules.d_model(facts.columns)
    every = facts.columns * (facts.columns - 1) // 2
    return [
        PlanValue(
            name="d_model",
            value=shape.d_model,
            unit="numbers",
            reason="512 learned, 256 random features of the columns, 64 products of column pairs",
            source=wide,
            why="a linear probe reads more from a wider row, up to a point",
            benchmark="plan/d_model",
        ),
        PlanValue(
            name="token width",
            value=shape.width,
            unit="numbers",
            reason="a token holds one column, the row embedding all of them",
            source=wide,
            why="the cost of a step follows it, the probes hardly do",
            benchmark="plan/token width",
        ),
        PlanValue(
            name="layers",
            value=shape.layers,
            reason="one round of attention; raw columns reach the row embedding past it as well",
            source=source_rules.LAYERS,
            why="further layers cost as much again",
            benchmark="plan/layers",
        ),
        PlanValue(
            name="attention heads",
            value=shape.heads,
            reason=f"{shape.width // shape.heads} numbers each, as in the source",
            source=source_rules.HEADS,
            why="follows from the token width",
            benchmark="plan/heads",
        ),
        PlanValue(
            name="first weights",
            value="random",
            reason="the semantic path of a category starts from its name's main components anyhow",
            source="main components of text embeddings",
            why="the loss falls no faster from them, and ends a little higher",
            benchmark="ablation/main components as first weights",
        ),
        PlanValue(
            name="column pairs",
            value=pair_budget(facts.columns),
            unit="in the end",
            reason="all are read at first; those whose absence is felt least are dropped",
            source=every,
            why="pairs that are never left out cannot be told from useless ones",
            benchmark="plan/column pairs",
        ),
    ]


def _losses(facts: TableFacts, plan: TrainingPlan) -> list[PlanValue]:
    phases = [curriculum(progress) for progress in PHASES]
    temperature = round(
        adaptive_temperature(min(plan.batch_size, CONTRASTIVE_ROWS), facts.columns), 4
    )
    weights = [
        PlanValue(
            name=f"{name} loss weight",
            value=_by_phase([_weight(phase, name) for phase in phases]),
            unit="by phase",
            reason="the source's curriculum at a small scale, so that reconstruction leads",
            source=_by_phase(theirs),
            why="predicting every column makes the frozen embedding good",
            benchmark="plan/curriculum",
        )
        for name, theirs in _SOURCE_WEIGHTS.items()
    ]
    return [
        *weights,
        PlanValue(
            name="reconstruction loss weight",
            value=_by_phase([phase.reconstruction for phase in phases]),
            unit="by phase",
            reason="every column, hidden or not, is predicted from the row embedding",
            source="scalars only",
            why="predicting every column makes the frozen embedding good",
            benchmark="plan/curriculum",
        ),
        PlanValue(
            name="temperature",
            value=temperature,
            reason=f"0.2 / (batch factor × column factor), between {COLDEST:g} and {WARMEST:g}",
            source=temperature,
        ),
        PlanValue(
            name="hidden cells",
            value=f"up to {LOWEST:.0%}–{HIGHEST:.0%}",
            unit="per view",
            reason=f"two complementary views; how much of its part a view hides is drawn per row, and "
            f"{SINGLE:.0%} of the rows show one column only",
            source=f"{LOWEST:.0%}–{HIGHEST:.0%}",
            why="the finished space reads rows with hardly a cell hidden",
            benchmark="plan/hidden cells",
        ),
    ]


def _weight(phase: Weights, name: str) -> float:
    return float(getattr(phase, name))


def _by_phase(values: list[float] | tuple[float, ...]) -> str:
    rounded = [f"{value:.4g}" for value in values]
    return rounded[0] if len(set(rounded)) == 1 else " → ".join(rounded)
