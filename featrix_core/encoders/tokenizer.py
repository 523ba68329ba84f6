"""`Tokenizer`: typed columns → `TokenBatch`, fitted once and frozen with the space (ENC-1 … ENC-4).

Columns are grouped by type, because all columns of a type share one stacked encoder (ENC-6). The order of
the model's tokens is therefore scalar columns, then set and boolean, then timestamp, then text columns,
each in the table's order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featrix_core.encoders.scalar_codec import (
    DISCRETE_SIZES,
    SMOOTH,
    ScalarState,
    fit_scalar,
    transform_scalar,
)
from featrix_core.encoders.timestamp_codec import FEATURES as TIME_FEATURES
from featrix_core.encoders.timestamp_codec import timestamp_features
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.strings.embedder import TextEmbedder, get_default_embedder
from featrix_core.tables.schema import ColumnSchema, ColumnType, TableSchema
from featrix_core.tables.table import TypedColumn

SEMANTIC = 384
REDUCED = 32
"""Width that a set column's sentence vectors are reduced to; lossless for up to 32 categories."""
MISSING, UNKNOWN = 0, 1
"""First two rows of every set column's vocabulary."""

GROUPS: tuple[tuple[ColumnType, ...], ...] = (
    (ColumnType.SCALAR,),
    (ColumnType.SET, ColumnType.BOOLEAN),
    (ColumnType.TIMESTAMP,),
    (ColumnType.TEXT,),
)


@dataclass(frozen=True)
class SetState:
    """A set column's vocabulary: reduced sentence vectors and the basis that reduces new ones.

    semantic_VP: rows in the order of the schema's categories. mean_E, basis_EP: reduction of a new vector.
    """

    semantic_VP: NDArray[np.float32]
    mean_E: NDArray[np.float32]
    basis_EP: NDArray[np.float32]


def _fit_set(column: ColumnSchema, embedder: TextEmbedder | None) -> SetState:
    count = len(column.categories)
    if embedder is None or column.type is ColumnType.BOOLEAN or count == 0:
        zeros = np.zeros((count, REDUCED), np.float32)
        return SetState(
            zeros, np.zeros(SEMANTIC, np.float32), np.zeros((SEMANTIC, REDUCED), np.float32)
        )
    vectors = embedder.embed(list(column.categories)).astype(np.float64)
    mean = vectors.mean(axis=0)
    _, _, right = np.linalg.svd(vectors - mean, full_matrices=False)
    basis = np.zeros((SEMANTIC, REDUCED))
    basis[:, : min(REDUCED, len(right))] = right[:REDUCED].T
    # A direction's sign is arbitrary in an SVD: fix it, so that the same words give the same numbers.
    signs = np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(REDUCED)])
    basis *= np.where(signs == 0, 1.0, signs)
    reduced = (vectors - mean) @ basis
    scale = float(np.sqrt((reduced**2).sum(axis=1).mean())) or 1.0
    basis *= np.sqrt(REDUCED) / max(scale, 1e-6) / 2.0
    return SetState(
        ((vectors - mean) @ basis).astype(np.float32),
        mean.astype(np.float32),
        basis.astype(np.float32),
    )


def _own(array: NDArray[Any]) -> Tensor:
    """A tensor in torch's own memory: numpy's is not aligned, and products of slices of it would differ in
    their last bits from one process to the next (TRAIN-7)."""
    return torch.from_numpy(array).clone()


class Tokenizer:
    """Fitted codecs of all columns.

    Args:
        schema: the table's schema; its columns are the tokens.
        scalars: state per scalar column. sets: state per set or boolean column.
    """

    def __init__(
        self, schema: TableSchema, scalars: Mapping[str, ScalarState], sets: Mapping[str, SetState]
    ) -> None:
        self.schema = schema
        self.scalars = dict(scalars)
        self.sets = dict(sets)
        self.groups = tuple(tuple(c.name for c in schema.of_type(*types)) for types in GROUPS)
        self.names = tuple(name for group in self.groups for name in group)
        sizes = [2 + len(schema.column(name).categories) for name in self.groups[1]]
        self.set_sizes = tuple(sizes)
        self.set_offsets = tuple(int(x) for x in np.cumsum([0, *sizes])[:-1])
        self.vocabulary = int(sum(sizes))

    @classmethod
    def fit(
        cls,
        schema: TableSchema,
        typed: Mapping[str, TypedColumn],
        embedder: TextEmbedder | None = None,
        base: Tokenizer | None = None,
    ) -> Tokenizer:
        """Fit codecs on typed columns; columns that `base` knows keep its codecs untouched (EXT-1)."""
        scalars: dict[str, ScalarState] = {}
        sets: dict[str, SetState] = {}
        for column in schema.columns:
            if column.type is ColumnType.SCALAR:
                known = base.scalars.get(column.name) if base else None
                numbers = typed[column.name].numbers_N
                assert numbers is not None
                scalars[column.name] = known or fit_scalar(numbers)
            elif column.type in GROUPS[1]:
                known_set = base.sets.get(column.name) if base else None
                if known_set is None and column.type is ColumnType.SET and embedder is None:
                    embedder = get_default_embedder()
                sets[column.name] = known_set or _fit_set(column, embedder)
        return cls(schema, scalars, sets)

    @property
    def semantic_VP(self) -> NDArray[np.float32]:
        """Reduced sentence vectors of the flat vocabulary; zeros for the missing and unknown rows."""
        parts = [np.zeros((0, REDUCED), np.float32)]
        for name in self.groups[1]:
            parts += [np.zeros((2, REDUCED), np.float32), self.sets[name].semantic_VP]
        return np.concatenate(parts)

    def encode(
        self, typed: Mapping[str, TypedColumn], embedder: TextEmbedder | None = None
    ) -> TokenBatch:
        """Tensors of N rows (N = 0 is fine). The embedder is asked only for words never seen before."""
        n_rows = len(next(iter(typed.values())).missing_N) if typed else 0
        codes, code_missing, extra = self._codes(typed, n_rows, embedder)
        texts, text_missing, table = self._texts(typed, n_rows, embedder)
        n_scalar, n_time = len(self.groups[0]), len(self.groups[2])
        smooth = np.zeros((n_rows, n_scalar, len(SMOOTH)), np.float32)
        place = np.zeros((n_rows, n_scalar), np.float32)
        discrete = np.zeros((n_rows, n_scalar, len(DISCRETE_SIZES)), np.int64)
        z = np.zeros((n_rows, n_scalar), np.float32)
        missing = np.zeros((n_rows, n_scalar), np.bool_)
        for s, name in enumerate(self.groups[0]):
            numbers = typed[name].numbers_N
            assert numbers is not None
            cells = transform_scalar(self.scalars[name], numbers)
            smooth[:, s], place[:, s], discrete[:, s] = (
                cells.smooth_NF,
                cells.position_N,
                cells.discrete_NJ,
            )
            z[:, s], missing[:, s] = cells.z_N, cells.missing_N
        times = np.zeros((n_rows, n_time, TIME_FEATURES), np.float32)
        time_missing = np.zeros((n_rows, n_time), np.bool_)
        for t, name in enumerate(self.groups[2]):
            seconds, offsets = typed[name].numbers_N, typed[name].offsets_N
            assert seconds is not None
            times[:, t] = timestamp_features(
                seconds, np.zeros(n_rows) if offsets is None else offsets
            )
            time_missing[:, t] = typed[name].missing_N
        return TokenBatch(
            smooth_NSF=_own(smooth),
            position_NS=_own(place),
            discrete_NSJ=_own(discrete),
            z_NS=_own(z),
            scalar_missing_NS=_own(missing),
            codes_NC=codes,
            code_missing_NC=code_missing,
            extra_UP=extra,
            time_NTF=_own(times),
            time_missing_NT=_own(time_missing),
            text_NX=texts,
            text_missing_NX=text_missing,
            text_UE=table,
        )

    def _codes(
        self, typed: Mapping[str, TypedColumn], n_rows: int, embedder: TextEmbedder | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        codes = np.zeros((n_rows, len(self.groups[1])), np.int64)
        missing = np.zeros((n_rows, len(self.groups[1])), np.bool_)
        extra: list[NDArray[np.float32]] = []
        end = self.vocabulary
        for c, name in enumerate(self.groups[1]):
            column = typed[name]
            assert column.codes_N is not None
            offset = self.set_offsets[c]
            place = {text: k + 2 for k, text in enumerate(self.schema.column(name).categories)}
            lookup = np.array(
                [offset + place.get(text, UNKNOWN) for text in column.texts] + [offset + MISSING],
                dtype=np.int64,
            )
            unseen = [k for k, text in enumerate(column.texts) if text not in place]
            state = self.sets[name]
            if unseen and self.schema.column(name).type is ColumnType.SET and state.basis_EP.any():
                embedder = embedder or get_default_embedder()
                vectors = embedder.embed([column.texts[k] for k in unseen])
                extra.append(((vectors - state.mean_E) @ state.basis_EP).astype(np.float32))
                lookup[unseen] = np.arange(end, end + len(unseen))
                end += len(unseen)
            codes[:, c] = lookup[column.codes_N]
            missing[:, c] = column.codes_N < 0
        table = np.concatenate(extra) if extra else np.zeros((0, REDUCED), np.float32)
        return _own(codes), _own(missing), _own(table)

    def _texts(
        self, typed: Mapping[str, TypedColumn], n_rows: int, embedder: TextEmbedder | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        texts = np.zeros((n_rows, len(self.groups[3])), np.int64)
        missing = np.zeros((n_rows, len(self.groups[3])), np.bool_)
        tables = [np.zeros((1, SEMANTIC), np.float32)]
        end = 1
        for x, name in enumerate(self.groups[3]):
            column = typed[name]
            assert column.codes_N is not None
            missing[:, x] = column.codes_N < 0
            texts[:, x] = np.where(missing[:, x], 0, column.codes_N + end)
            if column.texts:
                embedder = embedder or get_default_embedder()
                tables.append(embedder.embed(list(column.texts)))
                end += len(column.texts)
        return (
            _own(texts),
            _own(missing),
            _own(np.concatenate(tables).astype(np.float32)),
        )

    def state(self) -> dict[str, Tensor]:
        """All fitted numbers as tensors, for the bundle."""
        tensors: dict[str, Tensor] = {}
        for name, scalar in self.scalars.items():
            index = self.schema.names.index(name)
            for key in ("edges", "ranks", "parameters", "frequent", "frequent_share"):
                tensors[f"scalar.{index}.{key}"] = torch.from_numpy(getattr(scalar, key).copy())
        for name, state in self.sets.items():
            index = self.schema.names.index(name)
            for key in ("semantic_VP", "mean_E", "basis_EP"):
                tensors[f"set.{index}.{key}"] = torch.from_numpy(getattr(state, key).copy())
        return tensors

    @classmethod
    def from_state(cls, schema: TableSchema, tensors: Mapping[str, Tensor]) -> Tokenizer:
        """Rebuild from `state()` and the schema."""
        scalars: dict[str, ScalarState] = {}
        sets: dict[str, SetState] = {}
        for index, column in enumerate(schema.columns):
            if column.type is ColumnType.SCALAR:
                keys = ("edges", "ranks", "parameters", "frequent", "frequent_share")
                scalars[column.name] = ScalarState(
                    **{key: tensors[f"scalar.{index}.{key}"].numpy() for key in keys}
                )
            elif column.type in GROUPS[1]:
                sets[column.name] = SetState(
                    **{
                        key: tensors[f"set.{index}.{key}"].numpy()
                        for key in ("semantic_VP", "mean_E", "basis_EP")
                    }
                )
        return cls(schema, scalars, sets)
