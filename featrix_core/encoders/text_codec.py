"""Texts, documents, lists and codes → row numbers of sentence vectors, parts and characters (ENC-3, ENC-5).

A list's parts are its entries, a document's parts are chunks of about a hundred words. A text or a code has
no parts. Characters are kept of codes alone.

Legend: N rows · V distinct texts · X columns · L parts · K characters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featrix_core.encoders.sentences import SentenceTable, evenly
from featrix_core.tables.schema import ColumnSchema, ColumnType
from featrix_core.tables.structured import string_list
from featrix_core.tables.table import TypedColumn

PARTS = 12
"""Most parts that are read of a cell; of longer documents, chunks at even distances."""
CHUNK_WORDS = 100
CHARACTERS = 24
"""Most characters that are read of a code."""
ALPHABET = 128
"""Characters beyond ASCII share code 1; 0 means that the text has ended."""
_SAMPLE = 1_000
_FEWEST_TEXTS = 20
_FEWEST_SIGNS, _MOST_SIGNS = 8, 128


@dataclass(frozen=True)
class TextState:
    """randomness (1,): how close a column of texts comes to random strings, from 0 to 1."""

    randomness: NDArray[np.float32]


def fit_text(texts: Sequence[str]) -> TextState:
    """Look at a sample of a column's distinct texts."""
    return TextState(np.array([randomness(evenly(texts, _SAMPLE))], np.float32))


def randomness(texts: Sequence[str]) -> float:
    """Mean entropy of the places at which distinct texts differ, as a share of what their signs allow.

    1 for hashes and UUIDs. Codes with a meaning reuse signs at their places, and sentences are not of one
    length: they stay far below. Short strings and small samples say nothing and give 0.
    """
    longest = max((len(text) for text in texts), default=0)
    if len(texts) < _FEWEST_TEXTS or not _FEWEST_SIGNS <= longest <= _MOST_SIGNS:
        return 0.0
    signs_VK = np.zeros((len(texts), longest), np.int64)
    for row, text in enumerate(texts):
        signs_VK[row, : len(text)] = [ord(sign) for sign in text]
    columns = [np.unique(signs, return_counts=True)[1] for signs in signs_VK.T]
    entropies = [_entropy(counts) for counts in columns if len(counts) > 1]
    if len(entropies) < _FEWEST_SIGNS:
        return 0.0
    # The signs of places that vary; separators stand at places of their own.
    varied = signs_VK[:, [len(counts) > 1 for counts in columns]]
    _, counts = np.unique(varied, return_counts=True)
    return min(1.0, float(np.mean(entropies)) / max(_entropy(counts), 1e-9))


def _entropy(counts: NDArray[np.int64]) -> float:
    """Entropy in nats, with Miller's correction for small samples."""
    share = counts / counts.sum()
    return float(-(share * np.log(share)).sum() + (len(counts) - 1) / (2.0 * counts.sum()))


@dataclass(frozen=True)
class TextCells:
    """Codes of all text columns; sentence codes still need `SentenceTable.resolve`."""

    text_NX: NDArray[np.int64]
    part_NXL: NDArray[np.int64]
    char_NXK: NDArray[np.uint8]
    missing_NX: NDArray[np.bool_]


def split_list(text: str, delimiter: str) -> list[str]:
    """The entries of a delimited cell or of `["a", "b"]`, without brackets, quotes and empty entries."""
    listed = string_list(text.strip())
    if listed is not None:
        return [part.strip() for part in listed if part.strip()][:PARTS]
    inner = text.strip().strip("[]{}()")
    parts = (part.strip().strip("\"'").strip() for part in inner.split(delimiter))
    return [part for part in parts if part][:PARTS]


def chunks(text: str) -> list[str]:
    """A document in pieces of about a hundred words, at most `PARTS`, evenly spread over it."""
    # The sentence model reads 256 tokens; nobody is served by splitting megabytes into words.
    words = text[:200_000].split()
    starts = range(0, len(words), CHUNK_WORDS)
    if len(starts) > PARTS:
        chosen = np.linspace(0, len(starts) - 1, PARTS).round().astype(int)
        starts_kept = [starts[k] for k in chosen.tolist()]
    else:
        starts_kept = list(starts)
    return [" ".join(words[start : start + CHUNK_WORDS]) for start in starts_kept]


def characters(texts: Sequence[str]) -> NDArray[np.uint8]:
    """Character codes (V, K) of texts, 0 behind the end."""
    codes = np.zeros((len(texts), CHARACTERS), np.uint8)
    for row, text in enumerate(texts):
        raw = np.array([ord(c) for c in text[:CHARACTERS]], np.int64)
        codes[row, : len(raw)] = np.where((raw > 0) & (raw < ALPHABET), raw, 1)
    return codes


def text_cells(
    columns: Sequence[ColumnSchema],
    typed: Mapping[str, TypedColumn],
    n_rows: int,
    sentences: SentenceTable,
) -> TextCells:
    """Codes of every text column; work is done once per distinct text."""
    whole = np.zeros((n_rows, len(columns)), np.int64)
    # Axes that no column needs stay empty.
    has_parts = any(c.type in (ColumnType.LIST, ColumnType.DOCUMENT) for c in columns)
    has_codes = any(c.type is ColumnType.CODE for c in columns)
    parts = np.zeros((n_rows, len(columns), PARTS if has_parts else 0), np.int64)
    chars = np.zeros((n_rows, len(columns), CHARACTERS if has_codes else 0), np.uint8)
    missing = np.zeros((n_rows, len(columns)), np.bool_)
    for x, column in enumerate(columns):
        cells = typed[column.name]
        assert cells.codes_N is not None
        codes_N = cells.codes_N
        missing[:, x] = codes_N < 0
        if not cells.texts:
            continue
        if column.type in (ColumnType.LIST, ColumnType.DOCUMENT):
            part_VL = _part_codes(column, cells.texts, sentences)
            parts[:, x] = np.where(codes_N[:, None] < 0, 0, part_VL[codes_N])
        is_document = column.type is ColumnType.DOCUMENT
        whole_V = sentences.mean_codes(part_VL) if is_document else sentences.codes(cells.texts)
        if column.type is ColumnType.CODE:
            chars[:, x] = np.where(codes_N[:, None] < 0, 0, characters(cells.texts)[codes_N])
        whole[:, x] = np.where(codes_N < 0, 0, whole_V[codes_N])
    return TextCells(whole, parts, chars, missing)


def _part_codes(
    column: ColumnSchema, texts: Sequence[str], sentences: SentenceTable
) -> NDArray[np.int64]:
    part_VL = np.zeros((len(texts), PARTS), np.int64)
    for row, text in enumerate(texts):
        found = (
            split_list(text, column.delimiter or ",")
            if column.type is ColumnType.LIST
            else chunks(text)
        )
        part_VL[row, : len(found)] = sentences.codes(found)
    return part_VL
