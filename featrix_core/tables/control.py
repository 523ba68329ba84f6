"""Columns that steer training and never enter a space: row filter and row weights (DATA-5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.cleaning import distinct_texts, parse_numbers
from featrix_core.tables.table import Table

INTERNAL_PREFIX = "__featrix"
ROW_FILTER = "__featrix_train"
ROW_WEIGHT = "__featrix_weight"
SWITCHED_OFF = frozenset({"0", "false", "no", "n", "f", "off"})


def switched_on(table: Table) -> NDArray[np.bool_] | None:
    """N flags: which rows the row filter lets in; None where the table has no such column.

    A row is switched off by 0, false, no, n, f or off in any case; everything else, a missing cell
    too, lets it in.
    """
    if ROW_FILTER not in table.names:
        return None
    texts = distinct_texts(table.arrow[ROW_FILTER])
    refused_V = [text.lower() in SWITCHED_OFF for text in texts.values]
    on: NDArray[np.bool_] = ~np.array([*refused_V, False])[texts.codes_N]
    return on


def usable_rows(table: Table) -> Table:
    """The rows that the row filter lets in; the table itself where it has none.

    Raises:
        FeatrixUserError: all rows are switched off.
    """
    on = switched_on(table)
    if on is None or on.all():
        return table
    if not on.any():
        raise FeatrixUserError(
            f"All {len(on)} rows are switched off",
            column=ROW_FILTER,
            remedy="Let some rows in (1, true or an empty cell), or drop the column",
        )
    return table.take(np.flatnonzero(on))


def row_weights(table: Table) -> NDArray[np.float64] | None:
    """N weights with mean 1, or None where the table has no column `__featrix_weight`.

    A weight says how many rows a row stands for; 0 leaves it out of the training. A missing cell
    counts as 1 before the weights are scaled.

    Raises:
        FeatrixUserError: a cell that is no number, a negative weight, or no weight above 0.
    """
    if ROW_WEIGHT not in table.names:
        return None
    texts = distinct_texts(table.arrow[ROW_WEIGHT])
    numbers_V = parse_numbers(texts.values)
    wrong = np.flatnonzero((np.isnan(numbers_V) & ~texts.soft_V) | (numbers_V < 0))
    if len(wrong):
        raise FeatrixUserError(
            f"Row weights are numbers of 0 or more; {int(texts.counts_V[wrong].sum())} are not",
            column=ROW_WEIGHT,
            value=texts.values[int(wrong[0])],
            remedy="Correct these weights, or leave the cells empty (an empty weight counts as 1)",
        )
    raw = np.append(np.where(np.isnan(numbers_V), 1.0, numbers_V), 1.0)[texts.codes_N]
    largest = float(raw.max(initial=0.0))
    if len(raw) == 0:
        return raw
    if largest == 0.0:
        raise FeatrixUserError(
            "All row weights are 0, so there is nothing to train on",
            column=ROW_WEIGHT,
            remedy="Give at least one row a weight above 0, or drop the column",
        )
    scaled = raw / largest  # keeps sums of huge weights finite
    weights: NDArray[np.float64] = scaled / scaled.mean()
    return weights
