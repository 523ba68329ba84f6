"""Settings of a run that a user may give; everything is optional (the plan decides the rest)."""

from __future__ import annotations

from pydantic import Field

from featrix_core.tables.schema import ColumnType, Frozen


class StepConfig(Frozen):
    """Settings of a run.

    ignore: columns that never enter the space. types: column types to use instead of the detected ones.
    target_kinds: `binary`, `multiclass` or `scalar` per target. holdout: share of rows that every figure is
    measured on and that take part in no training. fine_tune: train the encoder with the predictor.
    """

    ignore: tuple[str, ...] = ()
    types: dict[str, ColumnType] = Field(default_factory=dict)
    target_kinds: dict[str, str] = Field(default_factory=dict)
    holdout: float = Field(default=0.2, gt=0.0, lt=0.9)
    fine_tune: bool | None = None
    cost_false_positive: float | None = None
    cost_false_negative: float | None = None
