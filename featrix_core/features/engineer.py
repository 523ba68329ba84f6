"""`FeatureEngineer`: suggestions become columns (EXT-2)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from featrix_core.errors import FeatrixUserError
from featrix_core.features.compute import Cells, FeatureState, NumberForm, apply, fit
from featrix_core.features.suggestions import (
    Aggregate,
    AnySuggestion,
    DatePart,
    Flag,
    Interaction,
    MemberCondition,
    load_suggestions,
    parse_suggestions,
)

logger = logging.getLogger(__name__)


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1]
    suggestions: list[Any]
    exclude: list[str] = []
    states: dict[str, FeatureState] | None = None
    forms: dict[str, NumberForm] = {}


class FeatureEngineer:
    """Appends engineered columns to a table; rows keep their order, number and index.

    A suggestion may read columns of the table and columns of the suggestions before it.

    Args:
        suggestions: records as described in `featrix_core.features.suggestions`.
        exclude: columns that no suggestion may read or make, above all the targets.

    Raises:
        FeatrixUserError: a suggestion is refused; nothing of it is ever executed.

    Example:
        >>> import pandas as pd
        >>> engineer = FeatureEngineer([{"kind": "ratio", "name": "rate", "numerator": "credit",
        ...                              "denominator": "months"}])
        >>> engineer.fit_transform(pd.DataFrame({"credit": [10, 8], "months": [5, 0]}))["rate"]
        0    2.0
        1    NaN
        Name: rate, dtype: float64
    """

    def __init__(self, suggestions: Sequence[object], *, exclude: Sequence[str] = ()) -> None:
        self._suggestions = parse_suggestions(suggestions)
        self._exclude = tuple(exclude)
        self._states: dict[str, FeatureState] | None = None
        self._forms: dict[str, NumberForm] = {}
        for suggestion in self._suggestions:
            for name in sorted({suggestion.name, *suggestion.inputs} & set(self._exclude)):
                raise FeatrixUserError(
                    f"Suggestion {suggestion.name!r} uses a column that it must not know",
                    column=name,
                    remedy="Engineered columns are made without the target",
                )

    @classmethod
    def from_json(cls, path: str | Path, *, exclude: Sequence[str] = ()) -> Self:
        """An engineer from a suggestion file or a suggestion history."""
        return cls(load_suggestions(path), exclude=exclude)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the new columns, in order."""
        return tuple(suggestion.name for suggestion in self._suggestions)

    @property
    def suggestions(self) -> list[dict[str, Any]]:
        """The suggestions as plain JSON data."""
        return [_plain(suggestion) for suggestion in self._suggestions]

    def fit_transform(self, df: pd.DataFrame, verbose: bool = False) -> pd.DataFrame:
        """Learn what the kinds learn (quantiles, categories, aggregates) from `df` and apply it.

        Raises:
            FeatrixUserError: a column does not exist, holds nothing that the kind can use, or a
                new name is taken.
        """
        return self._run(df, {}, fitting=True, verbose=verbose)

    def transform(self, df: pd.DataFrame, verbose: bool = False) -> pd.DataFrame:
        """Apply what was learned; values never seen in training follow the kind's rule.

        Raises:
            FeatrixUserError: called before `fit_transform`, a column is missing or a name is taken.
        """
        if self._states is None:
            raise FeatrixUserError(
                "The engineered columns are not fitted", remedy="Call fit_transform first"
            )
        return self._run(df, self._states, fitting=False, verbose=verbose)

    def to_dict(self) -> dict[str, Any]:
        """Suggestions and fitted state as plain JSON data."""
        states = self._states
        return {
            "schema_version": 1,
            "suggestions": self.suggestions,
            "exclude": list(self._exclude),
            "states": states
            and {name: states[name].model_dump(mode="json", exclude_none=True) for name in states},
            "forms": {name: form.model_dump(mode="json") for name, form in self._forms.items()},
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The engineer that `to_dict` described.

        Raises:
            FeatrixUserError: the data was altered or is of another version.
        """
        try:
            stored = _Stored.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise FeatrixUserError(
                f"The stored engineer is refused at {'.'.join(map(str, first['loc']))}: "
                f"{first['msg']}"
            ) from error
        engineer = cls(stored.suggestions, exclude=stored.exclude)
        if stored.states is not None:
            if set(stored.states) != set(engineer.names):
                raise FeatrixUserError(
                    "The stored engineer's fitted state does not belong to its suggestions",
                    value=sorted(set(stored.states) ^ set(engineer.names)),
                )
            engineer._states, engineer._forms = stored.states, stored.forms
        return engineer

    def _run(
        self, df: pd.DataFrame, states: dict[str, FeatureState], *, fitting: bool, verbose: bool
    ) -> pd.DataFrame:
        cells = Cells(df, None if fitting else self._forms)
        new: dict[str, Any] = {}
        for suggestion in self._suggestions:
            _check_columns(suggestion, cells)
            if fitting:
                _check_numbers(suggestion, cells)
                states[suggestion.name] = fit(suggestion, cells)
                _check_dates(suggestion, states[suggestion.name])
            values = apply(suggestion, cells, states[suggestion.name])
            cells.add(suggestion.name, values)
            new[suggestion.name] = values.array
            if verbose:
                logger.info(
                    "%s (%s of %s): %.1f %% missing",
                    suggestion.name,
                    suggestion.kind,
                    ", ".join(suggestion.inputs),
                    100 * float(values.isna().mean()),
                )
        if fitting:
            self._states, self._forms = states, dict(sorted(cells.forms.items()))
        return pd.concat([df, pd.DataFrame(new, index=df.index)], axis=1)


def _plain(suggestion: AnySuggestion) -> dict[str, Any]:
    return suggestion.model_dump(mode="json", exclude_defaults=True) | {"kind": suggestion.kind}


def _check_columns(suggestion: AnySuggestion, cells: Cells) -> None:
    if suggestion.name in cells:
        raise FeatrixUserError(
            "An engineered column would replace a column of the table",
            column=suggestion.name,
            remedy="Rename the suggestion, or give the table without that column",
        )
    for name in suggestion.inputs:
        if name not in cells:
            raise FeatrixUserError(
                f"Suggestion {suggestion.name!r} reads a column that the table does not have",
                column=name,
                remedy="Correct the name; a suggestion can also read the suggestions before it",
            )


def _check_numbers(suggestion: AnySuggestion, cells: Cells) -> None:
    """Refuse arithmetic on columns without a single number: the result would be all missing."""
    match suggestion:
        case Interaction():
            numeric: tuple[str, ...] = ()
        case Flag():
            numeric = tuple(
                condition.column
                for condition in suggestion.conditions
                if not isinstance(condition, MemberCondition)
            )
        case Aggregate():
            numeric = () if suggestion.column is None else (suggestion.column,)
        case _:
            numeric = () if suggestion.kind == "date_part" else suggestion.inputs
    for name in numeric:
        if np.isnan(cells.numbers(name)).all():
            raise FeatrixUserError(
                f"Suggestion {suggestion.name!r} ({suggestion.kind}) needs numbers, "
                "and this column holds none",
                column=name,
                remedy="Use interaction, or a flag with op in, for categories",
            )


def _check_dates(suggestion: AnySuggestion, state: FeatureState) -> None:
    """Refuse parts of dates that no known format reads: the result would be all missing."""
    if isinstance(suggestion, DatePart) and state.timestamp_format is None:
        raise FeatrixUserError(
            f"Suggestion {suggestion.name!r} needs dates, and this column holds none",
            column=suggestion.column,
            remedy="Name a column of dates, or write them as 2024-01-31",
        )
