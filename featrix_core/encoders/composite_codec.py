"""E-mails, domains, URLs, phone numbers and addresses → pieces, categories and figures (ENC-5, D5.5).

Legend: N rows · V distinct texts · Y columns · I pieces · Q categories · G figures · Z summary width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featrix_core.encoders.directions import main_directions
from featrix_core.encoders.sentences import WIDTH, SentenceTable, evenly
from featrix_core.strings.embedder import TextEmbedder
from featrix_core.tables.parts import DEFAULT_REGION, PART_SPECS, Parts, split_parts
from featrix_core.tables.schema import ColumnSchema
from featrix_core.tables.table import TypedColumn

PIECES = max(len(spec.pieces) for spec in PART_SPECS.values())
CATEGORIES = max(len(spec.categories) for spec in PART_SPECS.values())
FIGURES = max(len(spec.figures) for spec in PART_SPECS.values())
VOCABULARY = 1 + max(len(v) for spec in PART_SPECS.values() for _, v in spec.categories)
"""Most values of a category, the first being "other"."""
SUMMARY = 32
_SAMPLE = 1_000


@dataclass(frozen=True)
class CompositeState:
    """mean and basis that reduce (piece vectors ⊕ categories ⊕ figures) of a cell to its summary.

    mean_D (D,), basis_DZ (D, Z) with D = I·E + Q·VOCABULARY + G.
    """

    mean_D: NDArray[np.float32]
    basis_DZ: NDArray[np.float32]


@dataclass(frozen=True)
class CompositeCells:
    """Codes of all composite columns; sentence codes still need `SentenceTable.resolve`."""

    piece_NYI: NDArray[np.int64]
    class_NYQ: NDArray[np.int64]
    figure_NYG: NDArray[np.float32]
    missing_NY: NDArray[np.bool_]


def _parts(column: ColumnSchema, texts: Sequence[str]) -> Parts:
    return split_parts(column.type, texts, region=column.region or DEFAULT_REGION)


def _wide(parts: Parts, vectors_VIE: NDArray[np.float32]) -> NDArray[np.float32]:
    """All that is known of V texts side by side, (V, D)."""
    count = len(parts.figures_VG)
    classes = np.zeros((count, CATEGORIES, VOCABULARY), np.float32)
    used = parts.categories_VQ.shape[1]
    np.put_along_axis(classes[:, :used], parts.categories_VQ[:, :, None], 1.0, axis=2)
    figures = np.zeros((count, FIGURES), np.float32)
    figures[:, : parts.figures_VG.shape[1]] = parts.figures_VG
    return np.concatenate(
        [vectors_VIE.reshape(count, -1), classes.reshape(count, -1), figures], axis=1
    )


def _piece_vectors(parts: Parts, embedder: TextEmbedder) -> NDArray[np.float32]:
    sentences = SentenceTable()
    codes = np.zeros((len(parts.figures_VG), PIECES), np.int64)
    for index, texts in enumerate(parts.pieces_VP):
        codes[:, index] = sentences.codes(texts)
    return sentences.vectors(embedder)[codes]


def fit_composite(
    column: ColumnSchema, texts: Sequence[str], embedder: TextEmbedder
) -> CompositeState:
    """Learn the summary of a column from a sample of its distinct texts."""
    chosen = evenly(texts, _SAMPLE)
    size = PIECES * WIDTH + CATEGORIES * VOCABULARY + FIGURES
    if not chosen:
        return CompositeState(np.zeros(size, np.float32), np.zeros((size, SUMMARY), np.float32))
    parts = _parts(column, chosen)
    wide = _wide(parts, _piece_vectors(parts, embedder)).astype(np.float64)
    mean, basis, size_K = main_directions(wide, SUMMARY)
    basis /= size_K[0] if size_K[0] > 1e-9 else 1.0
    return CompositeState(mean.astype(np.float32), basis.astype(np.float32))


def composite_cells(
    columns: Sequence[ColumnSchema],
    typed: Mapping[str, TypedColumn],
    n_rows: int,
    sentences: SentenceTable,
) -> CompositeCells:
    """Codes of every composite column; work is done once per distinct text."""
    piece = np.zeros((n_rows, len(columns), PIECES), np.int64)
    classes = np.zeros((n_rows, len(columns), CATEGORIES), np.int64)
    figures = np.zeros((n_rows, len(columns), FIGURES), np.float32)
    missing = np.zeros((n_rows, len(columns)), np.bool_)
    for y, column in enumerate(columns):
        cells = typed[column.name]
        assert cells.codes_N is not None
        missing[:, y] = cells.codes_N < 0
        if not cells.texts:
            continue
        parts = _parts(column, cells.texts)
        present = ~missing[:, y]
        codes = cells.codes_N[present]
        for index, texts in enumerate(parts.pieces_VP):
            piece[present, y, index] = sentences.codes(texts)[codes]
        classes[present, y, : parts.categories_VQ.shape[1]] = parts.categories_VQ[codes]
        figures[present, y, : parts.figures_VG.shape[1]] = parts.figures_VG[codes]
    return CompositeCells(piece, classes, figures, missing)


def summaries(
    columns: Sequence[ColumnSchema],
    states: Sequence[CompositeState],
    typed: Mapping[str, TypedColumn],
    cells: CompositeCells,
    text_UE: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Summaries (N, Y, Z) of resolved cells, zeros where missing; computed once per distinct text."""
    result = np.zeros((*cells.missing_NY.shape, SUMMARY), np.float32)
    for y, (column, state) in enumerate(zip(columns, states, strict=True)):
        codes_N = typed[column.name].codes_N
        assert codes_N is not None
        present = np.flatnonzero(codes_N >= 0)
        _, first, place = np.unique(codes_N[present], return_index=True, return_inverse=True)
        first_V = present[first]
        found = np.zeros((len(first_V), SUMMARY), np.float32)
        # In chunks, for memory.
        for start in range(0, len(first_V), 4096):
            rows = first_V[start : start + 4096]
            one = Parts(
                pieces_VP=(),
                categories_VQ=cells.class_NYQ[rows, y],
                figures_VG=cells.figure_NYG[rows, y],
                fits_V=~cells.missing_NY[rows, y],
            )
            wide = _wide(one, text_UE[cells.piece_NYI[rows, y]])
            found[start : start + 4096] = np.clip((wide - state.mean_D) @ state.basis_DZ, -8, 8)
        result[present, y] = found[place]
    return result
