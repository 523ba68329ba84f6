"""What a user may ask of a predictor, held against its target before anything is trained (PRED-1, PRED-2).

No torch: a run refuses what cannot be done before it loads anything heavy.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.texts import class_text

if TYPE_CHECKING:
    from featrix_core.tables.targets import TargetSchema

LossName: TypeAlias = Literal["cross_entropy", "focal", "ordinal", "pr_auc", "squared_error"]
LossWish: TypeAlias = Literal[
    "auto", "cross_entropy", "focal", "ordinal", "pr_auc", "squared_error"
]


def check_wishes(
    target: TargetSchema,
    cost_false_positive: float | None = None,
    cost_false_negative: float | None = None,
    loss: LossWish = "auto",
    class_weights: bool | None = None,
    positive_label: str | None = None,
) -> None:
    """Whether the target can have what is asked for; arguments as of `SinglePredictor`.

    Raises:
        FeatrixUserError: it cannot; names the target's column.
    """
    classes = len(target.classes)
    what = f"it has {classes} classes" if classes else "it is a number"
    if positive_label is not None:
        if classes != 2:
            raise FeatrixUserError(
                f"Only a target of two classes has a positive label, and {what}",
                column=target.name,
                value=positive_label,
                remedy="Leave positive_label out, or name a target of two classes",
            )
        if class_text(positive_label) not in target.classes:
            raise FeatrixUserError(
                "The positive label is not a class of the target",
                column=target.name,
                value=positive_label,
                remedy=f"Use one of {', '.join(target.classes)}",
            )
    costs = checked_costs(cost_false_positive, cost_false_negative)
    if costs is not None and classes != 2:
        raise FeatrixUserError(
            f"Costs set the threshold between two classes of a target, and {what}",
            column=target.name,
            value=f"{costs[0]:g} : {costs[1]:g}",
            remedy="Leave cost_false_positive and cost_false_negative out, or name a target of two classes",
        )
    check_loss(loss, classes, target.kind == "ordinal", target.name)
    check_class_weights(class_weights, classes, target.name)


def checked_costs(
    false_positive: float | None, false_negative: float | None
) -> tuple[float, float] | None:
    """Costs of both mistakes; None where neither is given. One that is not given counts as 1.

    Raises:
        FeatrixUserError: a cost is negative or not finite, or both are zero.
    """
    if false_positive is None and false_negative is None:
        return None
    fp = 1.0 if false_positive is None else float(false_positive)
    fn = 1.0 if false_negative is None else float(false_negative)
    for name, cost in (("cost_false_positive", fp), ("cost_false_negative", fn)):
        if not math.isfinite(cost) or cost < 0:
            raise FeatrixUserError(
                f"{name} must be a number that is not negative",
                value=cost,
                remedy="Give the cost of one such mistake in any unit, the same for both",
            )
    if fp + fn == 0:
        raise FeatrixUserError(
            "cost_false_positive and cost_false_negative are both 0",
            remedy="Give at least one of them a cost above 0, or leave both out",
        )
    return fp, fn


def check_loss(loss: str, classes: int, ordered: bool = True, column: str | None = None) -> None:
    """Whether a target of so many classes (0: a number) can be learned by a loss; `ordered`: from low to high.

    Raises:
        FeatrixUserError: there is no such loss, or it does not fit.
    """
    if loss not in get_args(LossWish):
        raise FeatrixUserError(
            "There is no such loss",
            column=column,
            value=loss,
            remedy=f"Use one of {', '.join(get_args(LossWish))}",
        )
    if loss == "auto":
        return
    if (classes == 0) != (loss == "squared_error"):
        kind = "classes" if classes else "a number"
        raise FeatrixUserError(
            f"The loss does not fit a target of {kind}",
            column=column,
            value=loss,
            remedy="Use cross_entropy, focal or auto" if classes else "Leave the loss at auto",
        )
    if loss == "pr_auc" and classes != 2:
        raise FeatrixUserError(
            f"The pr_auc loss is for two classes, and the target has {classes}",
            column=column,
            value=loss,
            remedy="Use focal, cross_entropy or auto",
        )
    if loss == "ordinal" and not ordered:
        raise FeatrixUserError(
            "The ordinal loss is for classes with an order, and the target has none",
            column=column,
            value=loss,
            remedy="Give the target the kind ordinal, or leave the loss at auto",
        )


def check_class_weights(wish: bool | None, classes: int, column: str | None = None) -> None:
    """Whether a target of so many classes (0: a number) can have class weights.

    Raises:
        FeatrixUserError: they are asked for, and it is a number.
    """
    if wish and not classes:
        raise FeatrixUserError(
            "A target of a number has no class weights",
            column=column,
            value="class_weights=True",
            remedy="Leave class_weights out",
        )
