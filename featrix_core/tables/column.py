"""What the candidate types look at: a column's texts, its name, and figures computed once (DATA-2).

Shape legend: V distinct texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from featrix_core.tables.numbers import (
    Decimal,
    Numbers,
    clear_decimal,
    decide_unit,
    in_unit,
    read_numbers,
    two_readings,
)
from featrix_core.tables.schema import ColumnType
from featrix_core.tables.texts import DistinctTexts
from featrix_core.tables.timestamps import FormatFit, fit_format

CLEAR_SHARE = 0.95
"""Share of the cells from which on a type is beyond doubt."""
MAJORITY_SHARE = 0.5
"""Share of the cells, to be passed: the type wins and the rest is counted as unparsed."""
FEW_VALUES = 20
MANY_VALUES = 50
SAMPLE = 2_000
_NAME_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@dataclass(frozen=True)
class Accepted:
    """A type that takes the column: why, how many of the cells fit, and what it learned of them."""

    type: ColumnType
    evidence: str
    share: float = 1.0
    runner_up: ColumnType | None = None
    timestamp_format: str | None = None
    decimal: Decimal = "."
    unit: str | None = None
    delimiter: str | None = None
    width: int | None = None
    dimension: int | None = None
    keys: tuple[float, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Refused:
    """A type that does not take the column, with the reason in figures."""

    type: ColumnType
    reason: str
    share: float = 0.0


@dataclass
class Column:
    """One column under judgement; every figure is computed at most once.

    `likely` is the decimal mark to take where the cells leave it open; `written` tells cells that
    were texts from numbers that arrived as such, whose mark is a point.
    """

    name: str
    texts: DistinctTexts
    likely: Decimal = "."
    written: bool = True

    @property
    def values(self) -> tuple[str, ...]:
        """V distinct texts."""
        return self.texts.values

    @property
    def n_values(self) -> int:
        """V."""
        return len(self.texts.values)

    @property
    def varied(self) -> float:
        """Distinct values per cell."""
        return self.n_values / max(self.texts.n_cells, 1)

    @cached_property
    def name_words(self) -> frozenset[str]:
        """The name's words in lower case."""
        return frozenset(part.lower() for part in _NAME_PARTS.findall(self.name))

    @cached_property
    def hard(self) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Values that are no missing marker of number columns, and their counts."""
        kept = ~self.texts.soft_V
        values = tuple(v for v, k in zip(self.texts.values, kept, strict=True) if k)
        return values, self.texts.counts_V[kept]

    @cached_property
    def sample(self) -> tuple[str, ...]:
        """At most `SAMPLE` values that are no marker, evenly spread over the sorted ones."""
        values, _ = self.hard
        return values[:: max(1, -(-len(values) // SAMPLE))]

    @cached_property
    def decimal(self) -> Decimal:
        """The decimal mark of the column's numbers."""
        return self._clear_decimal or self.likely

    @cached_property
    def _clear_decimal(self) -> Decimal | None:
        values, counts = self.hard
        return clear_decimal(values, counts)

    @property
    def open_decimal(self) -> str | None:
        """A frequent cell such as "1,234" where no cell tells decimal mark and thousands apart."""
        if not self.written or self._clear_decimal is not None:
            return None
        found = self.texts.examples(two_readings(self.texts.values), 1)
        return found[0] if found else None

    @cached_property
    def figures(self) -> Numbers:
        """All figures, whatever their unit."""
        return read_numbers(self.texts.values, self.decimal)

    @cached_property
    def unit(self) -> str | None:
        """The unit that most figures with a unit have."""
        return decide_unit(self.figures, self.texts.counts_V)

    @cached_property
    def numbers_V(self) -> NDArray[np.float64]:
        """Figures in the column's unit, NaN for the others."""
        return np.where(in_unit(self.figures.units_V, self.unit), self.figures.values_V, np.nan)

    @cached_property
    def moments(self) -> FormatFit:
        """The best timestamp format."""
        values, counts = self.hard
        return fit_format(values, counts, self.name)

    @cached_property
    def mean_words(self) -> float:
        """Words per cell."""
        return self._mean([len(value.split()) for value in self.texts.values])

    @cached_property
    def mean_chars(self) -> float:
        """Characters per cell."""
        return self._mean([len(value) for value in self.texts.values])

    def _mean(self, per_value: list[int]) -> float:
        cells = self.texts.n_cells
        return (
            float(np.asarray(per_value, np.float64) @ self.texts.counts_V / cells) if cells else 0.0
        )

    def figures_of_texts(self) -> str:
        """The figures that texts and categories are judged by, as a sentence."""
        return (
            f"{self.n_values} distinct values in {self.texts.n_cells} cells, "
            f"{self.mean_words:.1f} words each"
        )
