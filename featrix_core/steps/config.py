"""Settings of a run that a user may give; everything is optional (the plan decides the rest)."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import Field, ValidationError

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.limits import MAX_ROWS
from featrix_core.tables.schema import ColumnType, Frozen


class StepConfig(Frozen):
    """Settings of a run.

    ignore: columns that never enter the space. types: column types to use instead of the detected ones.
    target_kinds: `binary`, `multiclass`, `ordinal` or `scalar` per target. holdout: share of rows that every figure is
    measured on and that take part in no training. group_column: rows of one of its values are never on both
    sides of a split. time_column: the latest rows are held out, and a predictor's folds validate on later rows
    than they train on. fine_tune: train the encoder with the predictor. ensemble: the nets
    answer together with boosted trees and a linear model.
    max_rows: of a longer table, a uniform sample of so many rows is used.
    """

    ignore: tuple[str, ...] = ()
    types: dict[str, ColumnType] = Field(default_factory=dict)
    target_kinds: dict[str, str] = Field(default_factory=dict)
    holdout: float = Field(default=0.2, gt=0.0, lt=0.9)
    group_column: str | None = None
    time_column: str | None = None
    max_rows: int = Field(default=MAX_ROWS, ge=1)
    fine_tune: bool | None = None
    ensemble: bool = True
    cost_false_positive: float | None = None
    cost_false_negative: float | None = None

    @classmethod
    def from_settings(cls, values: dict[str, Any]) -> StepConfig:
        """Settings that a user wrote.

        Raises:
            FeatrixUserError: an unknown key, or a value that does not fit; names the key.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            close = difflib.get_close_matches(where, cls.model_fields, n=1)
            hint = f"Did you mean {close[0]!r}? " if close else ""
            raise FeatrixUserError(
                f"There is no setting {where!r}",
                remedy=f"{hint}Known settings are {', '.join(cls.model_fields)}",
            )
        raise FeatrixUserError(
            f"The setting {where!r} is wrong: {first['msg']}",
            value=first["input"],
            remedy="Change it in the configuration file",
        )
