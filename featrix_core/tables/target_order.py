"""Whether the classes of a target have an order, and which (PRED-1).

All classes have a place of their own, or there is no order: a level outside of it ("unemployed" among years of
employment) is neither lowest nor highest, and two names of one level leave open which is higher.

Shape legend: V distinct texts.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.column import Column
from featrix_core.tables.ordinal import (
    LEAST_LEVELS,
    Order,
    find_order,
    forced_order,
    nearest_order,
)
from featrix_core.tables.schema import ColumnType, Notice

Usable = NDArray[np.bool_]

_CYCLES = frozenset(
    f"the scale of {name}" for name in ("month", "weekday", "season", "part of day")
)
"""Their last place is beside the first."""
_RANKED = re.compile(
    r"(?:level|lvl|stage|grade|phase|tier|step|degree|rank|quartile|quintile|decile|priority|score|band|"
    r"sev|severity|quality|stufe)(?![a-z])",
    re.IGNORECASE,
)
"""What is counted with such a word has an order. "class 3", "t 2" and "3 - van" need not have any."""


def detected_order(
    column: Column, decided: ColumnType, usable_V: Usable
) -> tuple[tuple[str, ...] | None, tuple[Notice, ...]]:
    """Classes from low to high where the texts say beyond doubt that they have an order; else None and why.

    Numbers are no evidence: 1 to 7 may be marks or the codes of seven kinds of forest. Neither are numbered
    names of a general kind ("class 1", "3 - van") and places that go round, such as months.
    """
    if decided is not ColumnType.ORDINAL or usable_V.sum() < LEAST_LEVELS:
        return None, ()
    order = find_order(column.texts, column.name)
    if order is None or order.scale in _CYCLES or not _ranked(order, column):
        return None, ()
    classes = _strict(order.keys_V, usable_V, column.values)
    if classes is not None:
        return classes, ()
    outside = _outside(order.keys_V, usable_V, column.values)
    what = (
        f"no place in the order of the other classes for {', '.join(map(repr, outside[:5]))}"
        if outside
        else f"{' and '.join(map(repr, _sharing(order.keys_V, usable_V, column.values)))} share a place"
    )
    notice = Notice(
        code="classes_without_order",
        message=f"Target {column.name!r}: {what}",
        column=column.name,
        figure=float(len(outside)),
        action="its classes are predicted without an order",
    )
    return None, (notice,)


def requested_order(column: Column, numeric: bool, usable_V: Usable) -> tuple[str, ...]:
    """Classes from low to high for a target that the user calls ordinal.

    Markers such as "unknown" without a place in the order are missing labels, as they are among numbers.

    Raises:
        FeatrixUserError: no order is known, a class has no place in it, or two have the same.
    """
    texts, name = column.texts, column.name
    order: Order | None = Order(column.numbers_V, "numbers", 1.0)
    if not numeric:
        order = forced_order(texts, name) or nearest_order(texts, name)
    if order is None:
        raise FeatrixUserError(
            "No order is known for the target's classes",
            column=name,
            value=column.values[0],
            remedy="Write the classes as numbers in their order, or use the kind multiclass",
        )
    keys_V = order.keys_V
    usable_V = usable_V & ~(texts.soft_V & np.isnan(keys_V))
    outside = _outside(keys_V, usable_V, column.values)
    if outside:
        raise FeatrixUserError(
            f"{len(outside)} of the target's classes have no place in the order of the others",
            column=name,
            value=outside[0],
            remedy="Leave these labels empty, write all classes as numbers in their order, or use the kind "
            "multiclass",
        )
    classes = _strict(keys_V, usable_V, column.values)
    if classes is None:
        sharing = _sharing(keys_V, usable_V, column.values)
        raise FeatrixUserError(
            "Classes of the target share a place in its order",
            column=name,
            value=", ".join(sharing),
            remedy="Give them one name, or use the kind multiclass",
        )
    return classes


def _ranked(order: Order, column: Column) -> bool:
    if order.scale != "numbered levels":
        return True
    return all(_RANKED.match(value.strip()) for value in column.values)


def _strict(
    keys_V: NDArray[np.float64], usable_V: Usable, values: tuple[str, ...]
) -> tuple[str, ...] | None:
    """The usable values by their keys; None where one has no key or two have the same."""
    keys = keys_V[usable_V]
    if np.isnan(keys).any() or len(np.unique(keys)) < len(keys):
        return None
    places = np.flatnonzero(usable_V)[np.argsort(keys)]
    return tuple(values[v] for v in places.tolist())


def _outside(keys_V: NDArray[np.float64], usable_V: Usable, values: tuple[str, ...]) -> list[str]:
    return [values[v] for v in np.flatnonzero(usable_V & np.isnan(keys_V)).tolist()]


def _sharing(keys_V: NDArray[np.float64], usable_V: Usable, values: tuple[str, ...]) -> list[str]:
    """The usable values of the lowest key that several have."""
    keys, counts = np.unique(keys_V[usable_V], return_counts=True)
    same_V = usable_V & (keys_V == keys[counts > 1][0])
    return [values[v] for v in np.flatnonzero(same_V).tolist()]
