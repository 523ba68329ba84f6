"""What the parts of a composite cell are called, and how they are handed over (ENC-5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_CHARS = 4096
"""Longer texts are cut here before anything looks at them, so that time per cell is bounded."""
MAX_PIECE = 256
"""Longer pieces are cut here: the sentence model reads about that many letters of one piece."""


@dataclass(frozen=True)
class PartSpec:
    """Names of a column type's parts; the same for every column of that type.

    `pieces`: texts for the sentence model. `categories`: (name, fixed vocabulary); code 0 is other
    or unknown, code k is `vocabulary[k - 1]`. `figures`: numbers on a scale of about [-1, 1]; 0 for
    a figure that a text does not have.
    """

    pieces: tuple[str, ...]
    categories: tuple[tuple[str, tuple[str, ...]], ...]
    figures: tuple[str, ...]


@dataclass(frozen=True)
class Parts:
    """Parts of V texts: P pieces, Q categories, G figures as the type's `PartSpec` names them.

    `fits_V` is False where a text is not of the type (DATA-3: counted as unparsed); its pieces are
    "", its codes and figures 0.
    """

    pieces_VP: tuple[tuple[str, ...], ...]  # P tuples of V texts; "" = none
    categories_VQ: NDArray[np.int64]
    figures_VG: NDArray[np.float32]
    fits_V: NDArray[np.bool_]


class Row(NamedTuple):
    """Parts of one text, in the order of its `PartSpec`; categories by name ("" = unknown)."""

    pieces: tuple[str, ...]
    categories: tuple[str, ...]
    figures: tuple[float, ...]


def listed(text: str) -> tuple[str, ...]:
    """The words of a list that is written as running text."""
    return tuple(text.split())


YES_NO = ("no", "yes")


def yes_no(flag: bool) -> str:
    """A flag as a category of the vocabulary `YES_NO`."""
    return "yes" if flag else "no"


def signed(flag: bool) -> float:
    """A flag as a figure: -1 or 1 (0 stays free for "not known")."""
    return 1.0 if flag else -1.0


def scaled(count: float, most: float) -> float:
    """A count of 0 … `most` on a logarithmic scale of [-1, 1]; larger counts stay at 1."""
    return 2.0 * min(math.log1p(count) / math.log1p(most), 1.0) - 1.0


def digit_figures(digits: str, n: int) -> tuple[float, ...]:
    """The first `n` ASCII digits on [-1, 1] (0 → -1, 9 → 1; no digit gives exactly 0)."""
    known = tuple(int(digit) / 4.5 - 1.0 for digit in digits[:n])
    return known + (0.0,) * (n - len(known))


def tidy(text: str) -> str:
    """A text without outer blanks, at most `MAX_CHARS` long and encodable as UTF-8."""
    text = text[:MAX_CHARS].strip()
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


def stack(spec: PartSpec, rows: Sequence[Row | None]) -> Parts:
    """Rows as arrays; None is a text that is not of the type."""
    n = len(rows)
    codes = [{name: k for k, name in enumerate(words, 1)} for _, words in spec.categories]
    empty = Row(("",) * len(spec.pieces), ("",) * len(codes), (0.0,) * len(spec.figures))
    known = [empty if row is None else row for row in rows]
    pieces = tuple(tuple(row.pieces[p] for row in known) for p in range(len(spec.pieces)))
    categories = np.zeros((n, len(codes)), dtype=np.int64)
    for q, code in enumerate(codes):
        categories[:, q] = [code.get(row.categories[q], 0) for row in known]
    figures = np.zeros((n, len(spec.figures)), dtype=np.float32)
    if n:
        figures[:] = [row.figures for row in known]
    fits = np.fromiter((row is not None for row in rows), dtype=np.bool_, count=n)
    return Parts(pieces, categories, figures, fits)
