"""One table of sentence vectors for all columns: a text is embedded once however often it occurs (ENC-3).

Legend: U distinct texts · E sentence width · L parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featrix_core.strings.embedder import TextEmbedder, get_default_embedder

WIDTH = 384
SCALE = WIDTH**0.5 / 4.0
"""Factor that brings the coordinates of a unit vector to about a quarter."""


class SentenceTable:
    """Hands out row numbers for texts; the vectors are computed together when all texts are known.

    Row 0 is the zero vector and stands for "no text".
    """

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._means: list[NDArray[np.int64]] = []

    def codes(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers (len(texts),); an empty text is row 0."""
        places = self._places
        return np.array(
            [places.setdefault(text, len(places) + 1) if text else 0 for text in texts], np.int64
        )

    def mean_codes(self, codes_UL: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row numbers of new rows that hold the unit mean of the rows named in each line; 0 is skipped.

        They are placed behind all texts: ask for them through `resolve` after the last `codes`.
        """
        start = sum(len(block) for block in self._means)
        self._means.append(codes_UL)
        # Negative until the number of texts is known.
        return -1 - np.arange(start, start + len(codes_UL), dtype=np.int64)

    def resolve(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Final row numbers, once no further text will come."""
        return np.where(codes < 0, len(self._places) - codes, codes)

    def vectors(self, embedder: TextEmbedder | None) -> NDArray[np.float32]:
        """The table (U, E)."""
        end = 1 + len(self._places)
        table = np.zeros((end + sum(len(codes_UL) for codes_UL in self._means), WIDTH), np.float32)
        if self._places:
            table[1:end] = (embedder or get_default_embedder()).embed(list(self._places))
        for codes_UL in self._means:
            # A chunk of rows at a time: the gathered vectors of all would be L times the table.
            for start in range(0, len(codes_UL), 1024):
                total = table[codes_UL[start : start + 1024]].sum(axis=1)
                length = np.linalg.norm(total, axis=1, keepdims=True)
                table[end : end + len(total)] = total / np.maximum(length, 1e-9)
                end += len(total)
        return table


def evenly(texts: Sequence[str], most: int) -> list[str]:
    """At most `most` of the texts, at even distances: distinct texts come sorted, so that the first ones
    would be those that begin alike."""
    if len(texts) <= most:
        return list(texts)
    return [texts[k] for k in np.linspace(0, len(texts) - 1, most).round().astype(int).tolist()]
