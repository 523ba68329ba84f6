"""Values of engineered columns: what each kind learns from training rows and how it is applied.

Shape legend: N rows, V distinct texts of a column.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, field_validator

from featrix_core.features.suggestions import (
    Aggregate,
    AnySuggestion,
    Bin,
    DatePart,
    Difference,
    Flag,
    Interaction,
    Log,
    MemberCondition,
    NumberCondition,
    Product,
    Ratio,
    Sum,
)
from featrix_core.tables.cleaning import (
    ISO_FORMAT,
    LAST_CENTURY,
    TIMESTAMP_FORMATS,
    DistinctTexts,
    best_timestamp_format,
    distinct_texts,
    parse_numbers,
    parse_timestamps,
)
from featrix_core.tables.decimal_marks import MarkedColumns
from featrix_core.tables.fit import is_moment
from featrix_core.tables.numbers import Decimal, native_decimal
from featrix_core.tables.reading import read_table

Floats = NDArray[np.float64]
OTHER = "other"


class FeatureState(BaseModel):
    """What a kind learned from the training rows; kinds use the entries that they need."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    edges: tuple[float, ...] | None = None
    categories: tuple[str, ...] | None = None
    values: dict[str, float | None] | None = None
    timestamp_format: str | None = None

    @field_validator("timestamp_format")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value.removesuffix(LAST_CENTURY) not in dict(TIMESTAMP_FORMATS):
            raise ValueError("no known timestamp format")
        return value


class NumberForm(BaseModel):
    """How a column's texts are read as numbers (DATA-3)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decimal: Decimal = "."
    unit: str | None = None


class Cells:
    """Columns of a frame as numbers, moments or texts, each read once.

    Args:
        forms: how the training rows' columns of texts are read as numbers. Without it these are the training rows,
            and `forms` fills as columns are asked for.
    """

    def __init__(self, frame: pd.DataFrame, forms: Mapping[str, NumberForm] | None = None) -> None:
        table = read_table(frame)
        self._marked = MarkedColumns(table) if forms is None else None
        self.forms = dict(forms or {})
        self._arrow: dict[str, pa.ChunkedArray] = dict(
            zip(table.arrow.column_names, table.arrow.columns, strict=True)
        )
        self._texts: dict[str, DistinctTexts] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._arrow

    def add(self, name: str, values: pd.Series) -> None:
        """Make a new column readable for the suggestions that follow."""
        self._arrow[name] = pa.chunked_array([pa.Array.from_pandas(values)])

    def texts(self, name: str) -> DistinctTexts:
        """Canonical distinct texts and codes."""
        if name not in self._texts:
            self._texts[name] = distinct_texts(self._arrow[name])
        return self._texts[name]

    def numbers(self, name: str) -> Floats:
        """N numbers, NaN where missing or no number."""
        kind = self._arrow[name].type
        if pa.types.is_integer(kind) or pa.types.is_float64(kind):
            values = self._arrow[name].cast(pa.float64(), safe=False).to_numpy()
            return np.where(np.isfinite(values), values, np.nan)
        texts = self.texts(name)
        if self._marked is not None and name not in self.forms and name in self._marked.table.names:
            column = self._marked.column(name)
            self.forms[name] = NumberForm(decimal=column.decimal, unit=column.unit)
        form = self.forms.get(name, NumberForm())
        decimal = native_decimal(kind, form.decimal)
        return _by_code(parse_numbers(texts.values, decimal, form.unit), texts.codes_N)

    def moments(self, name: str, timestamp_format: str) -> tuple[Floats, Floats]:
        """Seconds since 1970 and hours from UTC of the distinct texts (V), which moments write in their own way."""
        native = is_moment(self._arrow[name].type)
        form = ISO_FORMAT if native else timestamp_format
        return parse_timestamps(self.texts(name).values, form)


def _by_code(values_V: Floats, codes_N: NDArray[np.int32]) -> Floats:
    """Values per row; code -1 gives NaN."""
    rows: Floats = np.append(values_V, np.nan)[codes_N]
    return rows


def _series(values: Floats) -> pd.Series:
    """Numbers as a column; overflow and undefined results are missing."""
    return pd.Series(np.where(np.isfinite(values), values, np.nan))


# --- fitting --------------------------------------------------------------------------------------


@singledispatch
def fit(suggestion: AnySuggestion, cells: Cells) -> FeatureState:
    """What the suggestion learns from training rows; nothing for kinds that compute row by row."""
    return FeatureState()


@fit.register
def _(suggestion: Bin, cells: Cells) -> FeatureState:
    if suggestion.edges is not None:
        return FeatureState(edges=suggestion.edges)
    values = cells.numbers(suggestion.column)
    known = values[~np.isnan(values)]
    shares = np.linspace(0, 1, (suggestion.n_bins or 2) + 1)[1:-1]
    # A lower quantile is a value of the table, so labels show no made-up fractions.
    edges = np.unique(np.quantile(known, shares, method="lower"))
    return FeatureState(edges=tuple(edges.tolist()))


@fit.register
def _(suggestion: DatePart, cells: Cells) -> FeatureState:
    texts = cells.texts(suggestion.column)
    return FeatureState(timestamp_format=best_timestamp_format(texts.values, texts.counts_V)[0])


@fit.register
def _(suggestion: Interaction, cells: Cells) -> FeatureState:
    names, codes_N = _crossed(suggestion, cells)
    counts = np.bincount(codes_N[codes_N >= 0], minlength=len(names))
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda i: (-int(counts[i]), names[i]))
    return FeatureState(categories=tuple(names[i] for i in order[: suggestion.max_categories]))


@fit.register
def _(suggestion: Aggregate, cells: Cells) -> FeatureState:
    texts = cells.texts(suggestion.by)
    n = len(texts.values)
    if suggestion.column is None:
        counts = {name: float(texts.counts_V[i]) for i, name in enumerate(texts.values)}
        return FeatureState(values=dict(counts))
    values = cells.numbers(suggestion.column)
    rows = ~np.isnan(values) & (texts.codes_N >= 0)
    codes, values = texts.codes_N[rows], values[rows]
    counts_V = np.bincount(codes, minlength=n)
    with np.errstate(all="ignore"):
        result_V = np.bincount(codes, values, n) / counts_V
        if suggestion.statistic == "std":
            spread_V = np.bincount(codes, (values - result_V[codes]) ** 2, n)
            result_V = np.sqrt(spread_V / np.where(counts_V > 1, counts_V - 1, np.nan))
    return FeatureState(
        values={
            name: float(value) if np.isfinite(value) else None
            for name, value in zip(texts.values, result_V, strict=True)
        }
    )


# --- applying -------------------------------------------------------------------------------------


@singledispatch
def apply(suggestion: AnySuggestion, cells: Cells, state: FeatureState) -> pd.Series:
    """N values of the new column: float64, nullable boolean (flags) or text (categories)."""
    raise NotImplementedError(type(suggestion).__name__)


@apply.register
def _(suggestion: Ratio, cells: Cells, state: FeatureState) -> pd.Series:
    below = cells.numbers(suggestion.denominator)
    with np.errstate(all="ignore"):
        return _series(cells.numbers(suggestion.numerator) / np.where(below == 0, np.nan, below))


@apply.register
def _(suggestion: Difference, cells: Cells, state: FeatureState) -> pd.Series:
    with np.errstate(all="ignore"):
        return _series(cells.numbers(suggestion.left) - cells.numbers(suggestion.right))


@apply.register
def _(suggestion: Product, cells: Cells, state: FeatureState) -> pd.Series:
    with np.errstate(all="ignore"):
        return _series(cells.numbers(suggestion.left) * cells.numbers(suggestion.right))


@apply.register
def _(suggestion: Sum, cells: Cells, state: FeatureState) -> pd.Series:
    with np.errstate(all="ignore"):
        return _series(np.sum([cells.numbers(name) for name in suggestion.columns], axis=0))


@apply.register
def _(suggestion: Log, cells: Cells, state: FeatureState) -> pd.Series:
    values = cells.numbers(suggestion.column)
    return _series(np.sign(values) * np.log1p(np.abs(values)))


@apply.register
def _(suggestion: Bin, cells: Cells, state: FeatureState) -> pd.Series:
    values = cells.numbers(suggestion.column)
    edges = [float(edge) for edge in state.edges or ()]
    shown = [f"{edge:.12g}" for edge in edges]
    if not edges:
        labels = ["all"]
    else:
        inner = [f"{low} to {high}" for low, high in pairwise(shown)]
        labels = [f"up to {shown[0]}", *inner, f"over {shown[-1]}"]
    codes = np.searchsorted(edges, values, side="left")
    return _text(labels, np.where(np.isnan(values), -1, codes))


@apply.register
def _(suggestion: Flag, cells: Cells, state: FeatureState) -> pd.Series:
    parts = [_condition(condition, cells) for condition in suggestion.conditions]
    result = parts[0]
    for part in parts[1:]:
        # Three-valued logic: an unknown part leaves the result unknown only where it matters.
        result = result & part if suggestion.combine == "and" else result | part
    return result


@apply.register
def _(suggestion: DatePart, cells: Cells, state: FeatureState) -> pd.Series:
    texts = cells.texts(suggestion.column)
    if state.timestamp_format is None:  # only in a stored state that was tampered with
        return _series(np.full(len(texts.codes_N), np.nan))
    seconds_V, offsets_V = cells.moments(suggestion.column, state.timestamp_format)
    local_V = (seconds_V + offsets_V * 3600) * 1e6
    known = ~np.isnan(local_V)
    moments = np.full(len(local_V), "NaT", dtype="datetime64[us]")
    moments[known] = local_V[known].astype(np.int64).astype("datetime64[us]")
    dates = pd.DatetimeIndex(moments)
    if suggestion.part == "week":
        values = dates.isocalendar()["week"].to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        part = "day_of_week" if suggestion.part == "weekday" else suggestion.part
        values = getattr(dates, part).to_numpy(np.float64)
    return _series(_by_code(values, texts.codes_N))


@apply.register
def _(suggestion: Interaction, cells: Cells, state: FeatureState) -> pd.Series:
    names, codes_N = _crossed(suggestion, cells)
    known = set(state.categories or ())
    return _text([name if name in known else OTHER for name in names], codes_N)


@apply.register
def _(suggestion: Aggregate, cells: Cells, state: FeatureState) -> pd.Series:
    texts = cells.texts(suggestion.by)
    unseen = 0.0 if suggestion.statistic == "count" else None
    known = state.values or {}
    values = np.array([known.get(name, unseen) for name in texts.values], dtype=np.float64)
    return _series(_by_code(values, texts.codes_N))


def _text(labels: list[str], codes_N: NDArray[Any]) -> pd.Series:
    """Text column from codes into labels, -1 missing."""
    entries = np.array([*labels, None], dtype=object)
    return pd.Series(entries[codes_N], dtype="str")


def _condition(condition: NumberCondition | MemberCondition, cells: Cells) -> pd.Series:
    if isinstance(condition, MemberCondition):
        texts = cells.texts(condition.column)
        wanted = np.isin(np.array(texts.values, dtype=object), list(condition.values))
        inside = np.append(wanted, False)[texts.codes_N] == (condition.op == "in")
        return _flags(inside, texts.codes_N < 0)
    values = cells.numbers(condition.column)
    compare = {
        "lt": np.less,
        "le": np.less_equal,
        "gt": np.greater,
        "ge": np.greater_equal,
        "eq": np.equal,
        "ne": np.not_equal,
    }[condition.op]
    return _flags(compare(values, condition.value), np.isnan(values))


def _flags(values: NDArray[np.bool_], missing: NDArray[np.bool_]) -> pd.Series:
    return pd.Series(pd.arrays.BooleanArray(values.astype(bool), missing.astype(bool)))


def _crossed(suggestion: Interaction, cells: Cells) -> tuple[list[str], NDArray[np.int64]]:
    """Distinct crossings that occur and N codes into them; -1 where one part is missing."""
    parts = [cells.texts(name) for name in suggestion.columns]
    stacked = np.stack([part.codes_N for part in parts], axis=1)
    missing = (stacked < 0).any(axis=1)
    distinct, codes = np.unique(stacked, axis=0, return_inverse=True)
    names = [
        " & ".join(
            part.values[code] if code >= 0 else "" for part, code in zip(parts, row, strict=True)
        )
        for row in distinct.tolist()
    ]
    return names, np.where(missing, -1, codes.reshape(-1))
