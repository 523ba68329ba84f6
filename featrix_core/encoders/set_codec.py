"""Categories → rows of one flat vocabulary, with reduced sentence vectors and ordinal places (ENC-2, D5.3).

Every set column owns a run of the vocabulary: first the rows for missing and unknown, then its categories in
the schema's order. Boolean columns have no sentence vectors.

Legend: N rows · C set columns · V flat vocabulary · P reduced semantic width · E sentence width · O waves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featrix_core.encoders.directions import main_directions
from featrix_core.encoders.sentences import WIDTH
from featrix_core.strings.embedder import TextEmbedder, get_default_embedder
from featrix_core.tables.schema import ColumnSchema, ColumnType
from featrix_core.tables.table import TypedColumn

REDUCED = 32
"""Width that a set column's sentence vectors are reduced to; lossless for up to 32 categories."""
MISSING, UNKNOWN = 0, 1
"""First two rows of every set column's vocabulary."""
WAVES = 9
"""Numbers of an ordinal category's place: the place itself, four sines and four cosines."""
_WORD = re.compile(r"(?:(?=[a-z]*[aeiouy])[a-z]{3,})|[^\W\d_a-z]+", re.IGNORECASE)


@dataclass(frozen=True)
class SetState:
    """A set column's vocabulary: reduced sentence vectors and the basis that reduces new ones.

    semantic_VP: rows in the order of the schema's categories. mean_E, basis_EP: reduction of a new vector.
    """

    semantic_VP: NDArray[np.float32]
    mean_E: NDArray[np.float32]
    basis_EP: NDArray[np.float32]


def fit_set(column: ColumnSchema, embedder: TextEmbedder | None) -> SetState:
    """Reduced vectors of a column's categories."""
    count = len(column.categories)
    if column.type is ColumnType.BOOLEAN or count == 0:
        zeros = np.zeros((count, REDUCED), np.float32)
        return SetState(zeros, np.zeros(WIDTH, np.float32), np.zeros((WIDTH, REDUCED), np.float32))
    embedder = embedder or get_default_embedder()
    vectors = embedder.embed(list(column.categories)).astype(np.float64)
    mean, basis, _ = main_directions(vectors, REDUCED)
    reduced = (vectors - mean) @ basis
    scale = float(np.sqrt((reduced**2).sum(axis=1).mean())) or 1.0
    basis *= np.sqrt(REDUCED) / max(scale, 1e-6) / 2.0
    return SetState(
        ((vectors - mean) @ basis).astype(np.float32),
        mean.astype(np.float32),
        basis.astype(np.float32),
    )


def ordinal_waves(levels: Sequence[float]) -> NDArray[np.float32]:
    """Smooth positional pattern (len, O) of places in [0, 1]: neighbours are alike, the ends far apart."""
    place = np.asarray(levels, np.float64)[:, None]
    angle = np.pi * place * (2.0 ** np.arange(-1, 3))[None, :]
    waves = np.concatenate([2.0 * place - 1.0, np.sin(angle), np.cos(angle)], axis=1)
    return waves.astype(np.float32)


def opacity(text: str) -> float:
    """Share of a category's letters and digits that stand in no word: 1 for `A14`, 0 for `unemployed`.

    A word has three letters or more and a vowel; scripts other than Latin count as words.
    """
    signs = sum(character.isalnum() for character in text)
    if not signs:
        return 1.0
    return 1.0 - sum(len(word) for word in _WORD.findall(text)) / signs


@dataclass(frozen=True)
class SetTables:
    """The flat vocabulary: sentence vectors, ordinal places, and how little a category's name says.

    Rows for missing and unknown are zero, and so are those of columns without sentence vectors or order.
    `unknown_C`: row of every column's unknown value; `worded_C`: the column has sentence vectors.
    """

    semantic_VP: NDArray[np.float32]
    waves_VO: NDArray[np.float32]
    opacity_V: NDArray[np.float32]
    unknown_C: NDArray[np.int64]
    worded_C: NDArray[np.bool_]


def flat_tables(columns: Sequence[ColumnSchema], states: Mapping[str, SetState]) -> SetTables:
    """Tables of all set columns, one after the other."""
    semantic = [np.zeros((0, REDUCED), np.float32)]
    waves = [np.zeros((0, WAVES), np.float32)]
    opaque: list[float] = []
    unknown: list[int] = []
    worded: list[bool] = []
    for column in columns:
        state = states[column.name]
        semantic += [np.zeros((2, REDUCED), np.float32), state.semantic_VP]
        own = np.zeros((2 + len(column.categories), WAVES), np.float32)
        if column.levels:
            own[2:] = ordinal_waves(column.levels)
        waves.append(own)
        unknown.append(len(opaque) + UNKNOWN)
        worded.append(bool(state.basis_EP.any()))
        opaque += [0.0, 0.0, *(opacity(text) for text in column.categories)]
    return SetTables(
        np.concatenate(semantic),
        np.concatenate(waves),
        np.array(opaque, dtype=np.float32),
        np.array(unknown, dtype=np.int64),
        np.array(worded, dtype=np.bool_),
    )


@dataclass(frozen=True)
class SetCells:
    """codes_NC, missing_NC and the reduced vectors extra_UP of categories that training did not see."""

    codes_NC: NDArray[np.int64]
    missing_NC: NDArray[np.bool_]
    extra_UP: NDArray[np.float32]


def set_cells(
    columns: Sequence[ColumnSchema],
    states: Mapping[str, SetState],
    typed: Mapping[str, TypedColumn],
    n_rows: int,
    embedder: TextEmbedder | None,
) -> SetCells:
    """Codes of all set columns; the embedder is asked for unseen categories only."""
    codes = np.zeros((n_rows, len(columns)), np.int64)
    missing = np.zeros((n_rows, len(columns)), np.bool_)
    extra: list[NDArray[np.float32]] = []
    offset, end = 0, sum(2 + len(column.categories) for column in columns)
    for c, column in enumerate(columns):
        cells, state = typed[column.name], states[column.name]
        assert cells.codes_N is not None
        place = {text: offset + k + 2 for k, text in enumerate(column.categories)}
        lookup = np.array(
            [place.get(text, offset + UNKNOWN) for text in cells.texts] + [offset + MISSING],
            dtype=np.int64,
        )
        unseen = [k for k, text in enumerate(cells.texts) if text not in place]
        if unseen and state.basis_EP.any():
            embedder = embedder or get_default_embedder()
            vectors = embedder.embed([cells.texts[k] for k in unseen])
            extra.append(((vectors - state.mean_E) @ state.basis_EP).astype(np.float32))
            lookup[unseen] = np.arange(end, end + len(unseen))
            end += len(unseen)
        codes[:, c] = lookup[cells.codes_N]
        missing[:, c] = cells.codes_N < 0
        offset += 2 + len(column.categories)
    table = np.concatenate(extra) if extra else np.zeros((0, REDUCED), np.float32)
    return SetCells(codes, missing, table)
