"""Engineered columns as declarative records: what may be said in a suggestion file (EXT-2).

A suggestion names one of the kinds below and the columns it reads. There is no expression to
evaluate, so a file from outside can at worst be refused. `parse_suggestions` is the only way in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from featrix_core.errors import FeatrixUserError

MAX_FILE_BYTES = 1_000_000
MAX_SUGGESTIONS = 200

Column = Annotated[str, Field(min_length=1, max_length=500)]
# Begins with a letter, so that no internal name (`__…`) can be made; no control characters.
FeatureName = Annotated[str, Field(pattern=r"^[^\W\d_]([\w .\-]{0,98}\w)?$")]


class Record(BaseModel):
    """Base of all parts of a suggestion: frozen, nothing unknown, only finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Suggestion(Record):
    """What all kinds have: the new column's name, why it was suggested, and the measured gain."""

    name: FeatureName
    reason: Annotated[str, Field(max_length=2000)] = ""
    gain: float | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns that the suggestion reads."""
        raise NotImplementedError


class Ratio(Suggestion):
    """numerator / denominator; missing where the denominator is 0."""

    kind: Literal["ratio"]
    numerator: Column
    denominator: Column

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.numerator, self.denominator)


class Difference(Suggestion):
    """left - right."""

    kind: Literal["difference"]
    left: Column
    right: Column

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.left, self.right)


class Product(Suggestion):
    """left * right."""

    kind: Literal["product"]
    left: Column
    right: Column

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.left, self.right)


class Sum(Suggestion):
    """Sum of the columns; missing where one of them is."""

    kind: Literal["sum"]
    columns: Annotated[tuple[Column, ...], Field(min_length=2, max_length=16)]

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.columns


class Log(Suggestion):
    """sign(x) · log(1 + |x|), which is defined for every number."""

    kind: Literal["log"]
    column: Column

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.column,)


class Bin(Suggestion):
    """Interval of a number as a category: `n_bins` quantiles of the training rows, or `edges`.

    Edges are the inner limits; an interval contains its upper limit.
    """

    kind: Literal["bin"]
    column: Column
    n_bins: Annotated[int, Field(ge=2, le=64)] | None = None
    edges: Annotated[tuple[float, ...], Field(min_length=1, max_length=64)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.n_bins is None) == (self.edges is None):
            raise ValueError("give either n_bins (quantiles) or edges")
        if self.edges is not None and any(a >= b for a, b in pairwise(self.edges)):
            raise ValueError("edges must ascend")
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.column,)


class NumberCondition(Record):
    """A number compared with a constant; unknown where the number is missing."""

    column: Column
    op: Literal["lt", "le", "gt", "ge", "eq", "ne"]
    value: float


class MemberCondition(Record):
    """A category in a list, or not in it; unknown where the cell is missing."""

    column: Column
    op: Literal["in", "not_in"]
    values: Annotated[
        tuple[Annotated[str, Field(max_length=500)], ...], Field(min_length=1, max_length=1000)
    ]


Condition = Annotated[NumberCondition | MemberCondition, Field(discriminator="op")]


class Flag(Suggestion):
    """Whether all (`and`) or any (`or`) of the conditions hold."""

    kind: Literal["flag"]
    conditions: Annotated[tuple[Condition, ...], Field(min_length=1, max_length=16)]
    combine: Literal["and", "or"] = "and"

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(condition.column for condition in self.conditions))


DatePartName = Literal[
    "year", "quarter", "month", "week", "day", "day_of_year", "weekday", "hour", "minute"
]


class DatePart(Suggestion):
    """Part of a timestamp in its own time zone; weekday 0 is Monday."""

    kind: Literal["date_part"]
    column: Column
    part: DatePartName

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.column,)


class Interaction(Suggestion):
    """Crossed categories; all but the most frequent crossings of the training rows are `other`."""

    kind: Literal["interaction"]
    columns: Annotated[tuple[Column, ...], Field(min_length=2, max_length=4)]
    max_categories: Annotated[int, Field(ge=2, le=1000)] = 64

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.columns


class Aggregate(Suggestion):
    """Mean or standard deviation of a column, or the number of rows, per category of `by`.

    Taken over the training rows. A category that they do not have gives missing (count: 0).
    """

    kind: Literal["aggregate"]
    by: Column
    statistic: Literal["mean", "std", "count"]
    column: Column | None = None

    @model_validator(mode="after")
    def _column_fits(self) -> Self:
        if (self.statistic == "count") != (self.column is None):
            raise ValueError("mean and std need a column, count takes none")
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.by,) if self.column is None else (self.by, self.column)


AnySuggestion = Annotated[
    Ratio | Difference | Product | Sum | Log | Bin | Flag | DatePart | Interaction | Aggregate,
    Field(discriminator="kind"),
]
_ADAPTER: TypeAdapter[AnySuggestion] = TypeAdapter(AnySuggestion)


def parse_suggestions(raw: Sequence[object]) -> tuple[AnySuggestion, ...]:
    """Checked suggestions, in order; one that is repeated word for word counts once.

    Raises:
        FeatrixUserError: not a list of objects of known kinds and entries, too many, or two
            different suggestions under one name.
    """
    if not isinstance(raw, list | tuple):
        raise FeatrixUserError(
            "Suggestions are a list of objects", value=type(raw).__name__, remedy=_REMEDY
        )
    if len(raw) > MAX_SUGGESTIONS:
        raise FeatrixUserError(
            f"{len(raw)} suggestions are more than the {MAX_SUGGESTIONS} that are accepted",
            remedy="Keep the most useful ones",
        )
    parsed: dict[str, AnySuggestion] = {}
    for position, item in enumerate(raw):
        suggestion = _parse_one(item, position)
        known = parsed.setdefault(suggestion.name, suggestion)
        if _definition(known) != _definition(suggestion):
            raise FeatrixUserError(
                "Two different suggestions have the same name",
                column=suggestion.name,
                remedy="Rename one of them",
            )
    return tuple(parsed.values())


def load_suggestions(path: str | Path) -> list[object]:
    """Raw suggestions of a JSON file: a list, or an object with `suggestions` or `history`.

    `history` is a list of objects that each hold `suggestions`; they are put one after another.

    Raises:
        FeatrixUserError: no such file, too large, no JSON, or none of these forms.
    """
    path = Path(path)
    told = f"The file of engineered columns {path.name!r}"
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise FeatrixUserError(f"{told} is larger than 1 MB", remedy=_REMEDY)
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FeatrixUserError(
            f"The file of engineered columns {str(path)!r} cannot be read",
            value=error.strerror,
            remedy="Give the path of an existing JSON file",
        ) from error
    except (ValueError, RecursionError) as error:
        raise FeatrixUserError(
            f"{told} is no valid JSON",
            value=error,
            remedy=_REMEDY,
        ) from error
    if isinstance(raw, list):
        return raw
    entries = [raw]
    if isinstance(raw, dict) and isinstance(raw.get("history"), list):
        entries = raw["history"]
    found: list[object] = []
    for entry in entries:
        listed = entry.get("suggestions") if isinstance(entry, dict) else None
        if not isinstance(listed, list):
            raise FeatrixUserError(f"{told} holds no list of suggestions", remedy=_REMEDY)
        found.extend(listed)
    return found


_REMEDY = (
    'Give a list of objects such as {"kind": "ratio", "name": "a_per_b", "numerator": "a", '
    '"denominator": "b"}, or an object with "suggestions" or "history"'
)


def _parse_one(item: object, position: int) -> AnySuggestion:
    where = f"Suggestion {position + 1}"
    try:
        # Through JSON text: nothing but plain data passes, and strict types take lists as tuples.
        text = json.dumps(item, allow_nan=False)
        if len(text) > MAX_FILE_BYTES:
            raise FeatrixUserError(f"{where} is larger than 1 MB")
        return _ADAPTER.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        entry = ".".join(str(part) for part in first["loc"])
        raise FeatrixUserError(
            f"{where} is refused{f' at {entry}' if entry else ''}: {first['msg']}",
            value=None if isinstance(first["input"], dict) else first["input"],
            remedy="See the kinds and their entries in the documentation of suggestions",
        ) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise FeatrixUserError(f"{where} is not plain JSON data", value=error) from error


def _definition(suggestion: AnySuggestion) -> dict[str, Any]:
    return suggestion.model_dump(exclude={"reason", "gain"})
