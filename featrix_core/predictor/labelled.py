"""The rows that a predictor learns from, and what is said about columns that its space has never met."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from featrix_core.encoders.tokens import TokenBatch
from featrix_core.errors import FeatrixUserError
from featrix_core.features.suggestions import parse_suggestions
from featrix_core.tables.control import INTERNAL_PREFIX
from featrix_core.tables.schema import Notice
from featrix_core.tables.table import Table

if TYPE_CHECKING:
    from featrix_core.embedding_space import EmbeddingSpace


@dataclass(frozen=True)
class LabelledRows:
    """N rows with a label each.

    target_N: class indices or standardised numbers; labels_N: the same as floats, numbers in their own unit.
    weights_N: how many rows each stands for, mean 1 (DATA-5). groups_N: rows of one group are never on both
    sides of a fold (DATA-7); two groups at least. times_N: folds validate on later rows than they train on; two
    moments at least, and one for all rows of a group (`tables.holdout.fold_times`). ordered: the classes stand from
    low to high.
    """

    batch: TokenBatch
    target_N: Tensor
    labels_N: NDArray[np.float64]
    weights_N: NDArray[np.float64] | None = None
    groups_N: NDArray[np.int64] | None = None
    times_N: NDArray[np.float64] | None = None
    ordered: bool = False


def rows_of_others(rows: LabelledRows, folds: int) -> int | None:
    """Rows outside of the most frequent class, where so many folds can share them.

    None where they cannot: with folds by time the first members would see a sixth of them, and with fewer groups that
    hold them some members would see nothing else, or nothing of them.
    """
    if rows.times_N is not None:
        return None
    labels = rows.labels_N.astype(np.int64)
    other_N = labels != np.bincount(labels).argmax()
    if rows.groups_N is not None and len(np.unique(rows.groups_N[other_N])) < folds:
        return None
    return int(other_N.sum())


def refuse_computed_from(space: EmbeddingSpace, target: str) -> None:
    """Refuse a target that engineered columns of the space are computed from, for they give it away (PRED-1).

    They cannot be hidden like the target's own column: rows that are to be scored have nothing to compute them from.

    Raises:
        FeatrixUserError: names the first such column.
    """
    if space.engineer is None:
        return
    tainted = {target}
    for suggestion in parse_suggestions(space.engineer.suggestions):  # one may read those before it
        if tainted & set(suggestion.inputs):
            tainted.add(suggestion.name)
    for name in space.engineer.names:
        if name in tainted - {target} and name in space.schema.names:
            raise FeatrixUserError(
                f"The space computes this column from the target {target!r}",
                column=name,
                value=target,
                remedy=f"Extend the space without it: FeatureEngineer(…, exclude=[{target!r}])",
            )


def met_columns(space: EmbeddingSpace, target: str) -> set[str]:
    """What a space has met: its columns, those that it left out, what its engineered columns are made from."""
    inputs = () if space.engineer is None else parse_suggestions(space.engineer.suggestions)
    made_from = {name for suggestion in inputs for name in suggestion.inputs}
    return {*space.schema.names, *(d.name for d in space.schema.dropped), *made_from, target}


def unknown_columns(table: Table, met: Collection[str]) -> tuple[Notice, ...]:
    """Columns that the space has never met: said loudly, never ignored in silence (EXT-4)."""
    unknown = [n for n in table.names if n not in met and not n.startswith(INTERNAL_PREFIX)]
    if not unknown:
        return ()
    text = f"The space does not know {', '.join(map(repr, unknown))}: not used by the predictor"
    warnings.warn(text, stacklevel=3)
    return (
        Notice(
            code="columns_unknown_to_space",
            message=text,
            figure=float(len(unknown)),
            action="extend the space with create_extended_embedding_space()",
        ),
    )


@contextmanager
def told_as_notices() -> Iterator[None]:
    """Without Python's warnings of what notices say too: commands and reports show those."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The space does not know|Column .* alone tells")
        yield
