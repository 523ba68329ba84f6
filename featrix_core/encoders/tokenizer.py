"""`Tokenizer`: typed columns → `TokenBatch`, fitted once and frozen with the space (ENC-1 … ENC-5).

Columns are grouped into families, because all columns of a family share one stacked encoder (ENC-6). The
order of the model's tokens is that of `FAMILIES`, inside of a family the table's order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featrix_core.encoders import composite_codec, vector_codec
from featrix_core.encoders.composite_codec import CompositeState
from featrix_core.encoders.scalar_codec import (
    DISCRETE_SIZES,
    SMOOTH,
    ScalarState,
    fit_scalar,
    transform_scalar,
)
from featrix_core.encoders.sentences import SentenceTable
from featrix_core.encoders.set_codec import SetState, SetTables, fit_set, flat_tables, set_cells
from featrix_core.encoders.text_codec import TextState, fit_text, text_cells
from featrix_core.encoders.timestamp_codec import FEATURES as TIME_FEATURES
from featrix_core.encoders.timestamp_codec import timestamp_features
from featrix_core.encoders.tokens import FAMILIES, TokenBatch
from featrix_core.encoders.vector_codec import VectorState
from featrix_core.strings.embedder import TextEmbedder, get_default_embedder
from featrix_core.strings.same_model import SameModel, model_of
from featrix_core.tables.schema import ColumnSchema, ColumnType, TableSchema
from featrix_core.tables.table import TypedColumn

TYPES: dict[str, tuple[ColumnType, ...]] = {
    "scalar": (ColumnType.SCALAR,),
    "set": (ColumnType.SET, ColumnType.ORDINAL, ColumnType.BOOLEAN),
    "timestamp": (ColumnType.TIMESTAMP,),
    "text": (ColumnType.TEXT, ColumnType.DOCUMENT, ColumnType.LIST, ColumnType.CODE),
    "composite": (
        ColumnType.EMAIL,
        ColumnType.DOMAIN,
        ColumnType.URL,
        ColumnType.PHONE,
        ColumnType.ADDRESS,
    ),
    "vector": (ColumnType.VECTOR, ColumnType.JSON),
}
"""Column types of every family."""


class ChildSpace(Protocol):
    """Gives the vectors of a JSON column's cells: the space that was trained on them (JOIN-4)."""

    def vectors(
        self, texts: Sequence[str], embedder: TextEmbedder | None = None
    ) -> NDArray[np.float32]:
        """Vectors (V, d) of V distinct JSON texts; `embedder` reads words never met before."""


State = ScalarState | SetState | TextState | CompositeState | VectorState
_STATES: dict[str, type[State]] = {
    "scalar": ScalarState,
    "set": SetState,
    "text": TextState,
    "composite": CompositeState,
    "vector": VectorState,
}


def _own(array: NDArray[Any]) -> Tensor:
    """A tensor in torch's own memory: numpy's is not aligned, and products of slices of it would differ in
    their last bits from one process to the next (TRAIN-7)."""
    return torch.from_numpy(array).clone()


class Tokenizer:
    """Fitted codecs of all columns.

    Args:
        schema: the table's schema; its columns are the tokens.
        states: fitted state per column, for the families that learn one.
        children: child space per JSON column.
        sentence_model: what read the texts, where there are any (`strings.same_model.model_of`); with another
            one no text is read any more. None where nobody knows.
    """

    def __init__(
        self,
        schema: TableSchema,
        states: Mapping[str, State],
        children: Mapping[str, ChildSpace] | None = None,
        sentence_model: str | None = None,
    ) -> None:
        self.schema = schema
        self.sentence_model = sentence_model
        self.states = dict(states)
        self.children = dict(children or {})
        self.families = {name: schema.of_type(*TYPES[name]) for name in FAMILIES}
        self.groups = tuple(tuple(c.name for c in self.families[name]) for name in FAMILIES)
        self.names = tuple(name for group in self.groups for name in group)
        self.set_sizes = tuple(2 + len(column.categories) for column in self.families["set"])
        self.set_offsets = tuple(int(x) for x in np.cumsum([0, *self.set_sizes])[:-1])
        self.vocabulary = int(sum(self.set_sizes))

    @classmethod
    def fit(
        cls,
        schema: TableSchema,
        typed: Mapping[str, TypedColumn],
        embedder: TextEmbedder | None = None,
        base: Tokenizer | None = None,
        children: Mapping[str, ChildSpace] | None = None,
    ) -> Tokenizer:
        """Fit codecs on typed columns; columns that `base` knows keep its codecs untouched (EXT-1).

        Raises:
            FeatrixUserError: the embedder has another model than that of `base`.
        """
        model = base.sentence_model if base else None
        # What a base of an earlier version learned with, nobody knows; its extension does not either.
        unknown = base is not None and any(map(_reads_words, base.schema.columns))
        if model is None and not unknown and any(map(_reads_words, schema.columns)):
            model = model_of((embedder or get_default_embedder()).fingerprint)
        embedder = embedder if model is None else SameModel(model, embedder)
        known = base.states if base else {}
        states: dict[str, State] = {}
        children = {**(base.children if base else {}), **(children or {})}
        for column in schema.columns:
            state = known.get(column.name) or _fit(
                column, typed[column.name], embedder, children.get(column.name)
            )
            if state is not None:
                states[column.name] = state
        return cls(schema, states, children, model)

    def _sets(self) -> dict[str, SetState]:
        return {name: state for name, state in self.states.items() if isinstance(state, SetState)}

    def set_tables(self) -> SetTables:
        """Tables of the flat vocabulary of all set columns."""
        return flat_tables(self.families["set"], self._sets())

    def encode(
        self, typed: Mapping[str, TypedColumn], embedder: TextEmbedder | None = None
    ) -> TokenBatch:
        """Tensors of N rows (N = 0 is fine). The embedder is asked only for words never seen before.

        Raises:
            FeatrixUserError: it is asked, and its model is not that of the codecs.
        """
        if self.sentence_model is not None:
            embedder = SameModel(self.sentence_model, embedder)
        n_rows = len(next(iter(typed.values())).missing_N) if typed else 0
        sentences = SentenceTable()
        sets = set_cells(self.families["set"], self._sets(), typed, n_rows, embedder)
        texts = text_cells(self.families["text"], typed, n_rows, sentences)
        columns = self.families["composite"]
        cells = composite_codec.composite_cells(columns, typed, n_rows, sentences)
        text_UE = sentences.vectors(embedder)
        composites = [self.states[column.name] for column in columns]
        summary = composite_codec.summaries(
            columns,
            [state for state in composites if isinstance(state, CompositeState)],
            typed,
            cells,
            text_UE,
        )
        return TokenBatch(
            **self._scalars(typed, n_rows),
            codes_NC=_own(sets.codes_NC),
            code_missing_NC=_own(sets.missing_NC),
            **self._timestamps(typed, n_rows),
            text_NX=_own(sentences.resolve(texts.text_NX)),
            part_NXL=_own(texts.part_NXL),
            char_NXK=_own(texts.char_NXK),
            text_missing_NX=_own(texts.missing_NX),
            piece_NYI=_own(cells.piece_NYI),
            class_NYQ=_own(cells.class_NYQ),
            figure_NYG=_own(cells.figure_NYG),
            summary_NYZ=_own(summary),
            composite_missing_NY=_own(cells.missing_NY),
            **self._vectors(typed, n_rows, embedder),
            extra_UP=_own(sets.extra_UP),
            text_UE=_own(text_UE),
        )

    def _scalars(self, typed: Mapping[str, TypedColumn], n_rows: int) -> dict[str, Tensor]:
        count = len(self.families["scalar"])
        smooth = np.zeros((n_rows, count, len(SMOOTH)), np.float32)
        place = np.zeros((n_rows, count), np.float32)
        discrete = np.zeros((n_rows, count, len(DISCRETE_SIZES)), np.int64)
        z = np.zeros((n_rows, count), np.float32)
        missing = np.zeros((n_rows, count), np.bool_)
        for s, column in enumerate(self.families["scalar"]):
            numbers, state = typed[column.name].numbers_N, self.states[column.name]
            assert numbers is not None and isinstance(state, ScalarState)
            cells = transform_scalar(state, numbers)
            smooth[:, s], place[:, s] = cells.smooth_NF, cells.position_N
            discrete[:, s], z[:, s] = cells.discrete_NJ, cells.z_N
            missing[:, s] = cells.missing_N
        return {
            "smooth_NSF": _own(smooth),
            "position_NS": _own(place),
            "discrete_NSJ": _own(discrete),
            "z_NS": _own(z),
            "scalar_missing_NS": _own(missing),
        }

    def _timestamps(self, typed: Mapping[str, TypedColumn], n_rows: int) -> dict[str, Tensor]:
        count = len(self.families["timestamp"])
        times = np.zeros((n_rows, count, TIME_FEATURES), np.float32)
        missing = np.zeros((n_rows, count), np.bool_)
        for t, column in enumerate(self.families["timestamp"]):
            cells = typed[column.name]
            seconds, offsets = cells.numbers_N, cells.offsets_N
            assert seconds is not None
            times[:, t] = timestamp_features(
                seconds, np.zeros(n_rows) if offsets is None else offsets
            )
            missing[:, t] = cells.missing_N
        return {"time_NTF": _own(times), "time_missing_NT": _own(missing)}

    def _vectors(
        self, typed: Mapping[str, TypedColumn], n_rows: int, embedder: TextEmbedder | None
    ) -> dict[str, Tensor]:
        count = len(self.families["vector"])
        vectors = np.zeros((n_rows, count, vector_codec.WIDTH), np.float32)
        missing = np.zeros((n_rows, count), np.bool_)
        for r, column in enumerate(self.families["vector"]):
            cells, state = typed[column.name], self.states[column.name]
            assert isinstance(state, VectorState)
            own = _vectors_of(cells, self.children.get(column.name), embedder)
            missing[:, r] = cells.missing_N
            vectors[:, r] = vector_codec.transform_vectors(state, own, cells.missing_N)
        return {"vector_NRH": _own(vectors), "vector_missing_NR": _own(missing)}

    def state(self) -> dict[str, Tensor]:
        """All fitted numbers as tensors, for the bundle."""
        place = {name: index for index, name in enumerate(self.schema.names)}
        return {
            f"{place[name]}.{field.name}": torch.from_numpy(getattr(state, field.name).copy())
            for name, state in self.states.items()
            for field in fields(state)
        }

    @classmethod
    def from_state(
        cls,
        schema: TableSchema,
        tensors: Mapping[str, Tensor],
        children: Mapping[str, ChildSpace] | None = None,
        sentence_model: str | None = None,
    ) -> Tokenizer:
        """Rebuild from `state()` and the schema."""
        family_of = {type: family for family, types in TYPES.items() for type in types}
        states: dict[str, State] = {}
        for index, column in enumerate(schema.columns):
            kind = _STATES.get(family_of[column.type])
            if kind is not None:
                values = {f.name: tensors[f"{index}.{f.name}"].numpy() for f in fields(kind)}
                states[column.name] = kind(**values)
        return cls(schema, states, children, sentence_model)


def _reads_words(column: ColumnSchema) -> bool:
    """Whether the sentence model has a say in the column's codec or cells."""
    if column.type in TYPES["set"]:
        return column.type is not ColumnType.BOOLEAN and bool(column.categories)
    return column.type in (*TYPES["text"], *TYPES["composite"], ColumnType.JSON)


def _fit(
    column: ColumnSchema,
    cells: TypedColumn,
    embedder: TextEmbedder | None,
    child: ChildSpace | None,
) -> State | None:
    if column.type in TYPES["scalar"]:
        assert cells.numbers_N is not None
        return fit_scalar(cells.numbers_N)
    if column.type in TYPES["set"]:
        return fit_set(column, embedder)
    if column.type in TYPES["text"]:
        return fit_text(cells.texts)
    if column.type in TYPES["composite"]:
        return composite_codec.fit_composite(
            column, cells.texts, embedder or get_default_embedder()
        )
    if column.type in TYPES["vector"]:
        return vector_codec.fit_vectors(_vectors_of(cells, child, embedder), cells.missing_N)
    return None


def _vectors_of(
    cells: TypedColumn, child: ChildSpace | None, embedder: TextEmbedder | None
) -> NDArray[np.float32]:
    """Vectors (N, H) of a vector column, or of a JSON column through its child space."""
    if cells.vectors_NH is not None:
        return cells.vectors_NH
    assert child is not None and cells.codes_N is not None, f"no child space for {cells.name!r}"
    vectors_VH = child.vectors(cells.texts, embedder)
    zero = np.zeros((1, vectors_VH.shape[1]), np.float32)
    return np.concatenate([vectors_VH, zero])[cells.codes_N]
