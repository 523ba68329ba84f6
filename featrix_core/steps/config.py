"""Settings of a run that a user may give; everything is optional (the plan decides the rest)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError, model_validator

from featrix_core.errors import FeatrixUserError
from featrix_core.predictor.wishes import LossWish, check_wishes, checked_costs
from featrix_core.tables.limits import MAX_ROWS
from featrix_core.tables.schema import ColumnType, Frozen, Notice

if TYPE_CHECKING:
    from featrix_core.tables.targets import TargetSchema

_OF_SOME_TARGETS = (
    ("positive_label",),
    ("cost_false_positive", "cost_false_negative"),
    ("loss",),
    ("class_weights",),
)
"""Settings that not every target can have; those in one pair of brackets have a meaning together."""


class StepConfig(Frozen):
    """Settings of a run.

    ignore: columns that never enter the space. types: column types to use instead of the detected ones.
    target_kinds: `binary`, `multiclass`, `ordinal` or `scalar` per target. holdout: share of rows that every figure is
    measured on and that take part in no training. group_column: rows of one of its values are never on both
    sides of a split. time_column: the latest rows are held out, and a predictor's folds validate on later rows
    than they train on. fine_tune: train the encoder with the predictor. ensemble: the nets
    answer together with boosted trees and a linear model. loss, class_weights: what the nets are trained on; held-out
    rows decide when left out. positive_label: the class of a two-class target that threshold and reasons are about.
    cost_false_positive, cost_false_negative: set its threshold.
    max_rows: of a longer table, a uniform sample of so many rows is used.
    Of several targets, those that can have a loss, class weights, a positive label or costs do.
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
    loss: LossWish = "auto"
    class_weights: bool | None = None
    positive_label: str | None = None
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
            remedy="Change it in the configuration file, or the option that gives it",
        )

    def replaced(self, options: dict[str, Any]) -> StepConfig:
        """These settings with a command's options in their places; None: not given.

        Raises:
            FeatrixUserError: an option does not fit; names it.
        """
        given = {name: value for name, value in options.items() if value is not None}
        return self.from_settings(self.model_dump() | given)

    @model_validator(mode="after")
    def _costs_are_possible(self) -> StepConfig:
        checked_costs(self.cost_false_positive, self.cost_false_negative)
        return self

    def of_target(self, target: TargetSchema) -> dict[str, Any]:
        """Positive label, costs, loss and class weights as far as a target can have them: arguments of
        `SinglePredictor`."""
        return {
            name: value
            for values in self._of_some_targets()
            if _refusal(target, values) is None
            for name, value in values.items()
        }

    def unused(self, targets: Sequence[TargetSchema]) -> tuple[Notice, ...]:
        """Which of these settings are not used for some of the targets, and why.

        Raises:
            FeatrixUserError: one is used for none of them.
        """
        notices = []
        for values in self._of_some_targets():
            refusals = {target.name: _refusal(target, values) for target in targets}
            said = {name: error for name, error in refusals.items() if error is not None}
            if said and len(said) == len(refusals):
                raise next(iter(said.values()))
            notices += [
                Notice(
                    code="setting_unused",
                    column=name,
                    message=f"Target {name!r}: {error.what}",
                    action=f"{' and '.join(values)} not used for it",
                )
                for name, error in said.items()
            ]
        return tuple(notices)

    def _of_some_targets(self) -> list[dict[str, Any]]:
        return [{name: getattr(self, name) for name in names} for names in _OF_SOME_TARGETS]


def _refusal(target: TargetSchema, values: dict[str, Any]) -> FeatrixUserError | None:
    try:
        check_wishes(target, **values)
    except FeatrixUserError as error:
        return error
    return None
