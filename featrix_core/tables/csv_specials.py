"""Delimiters, quotes and line ends of a block of CSV text, by position.

Shape legend: S special characters of a block.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from featrix_core.tables.csv_fields import Dialect

_LF, _CR, _BACKSLASH = 10, 13, 92
_FIRST_LINE = re.compile(rb"[^\r\n]*+(?:\r\n|\n|\r)?")
_FIRST_LINE_ESCAPED = re.compile(rb"(?:[^\r\n\\]|\\.)*+(?:\r\n|\n|\r)?", re.DOTALL)

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Specials:
    """Positions `at_S` of delimiters, quotes and line ends of a block that ends with a line end."""

    def __init__(self, data: bytes, dialect: Dialect) -> None:
        self._all = np.frombuffer(data, np.uint8)
        self._delimiter, self._quote = ord(dialect.delimiter), ord(dialect.quote)
        self.quoted = dialect.quote.encode() in data
        chosen = self._all == _LF
        # A carriage return by itself ends a line, as it does for other readers.
        if b"\r" in data:
            chosen[_lone_returns(self._all)] = True
        chosen |= self._all == self._delimiter
        if self.quoted:
            chosen |= self._all == self._quote
        if dialect.escape:
            chosen[escaped(self._all)] = False
        self.at_S = np.flatnonzero(chosen).astype(np.int32)  # many, where lines are short
        codes = self._all[self.at_S]
        self.quote_S: Bools = codes == self._quote if self.quoted else np.zeros(len(codes), bool)
        self.delimiter_S: Bools = codes == self._delimiter
        self.line_S: Bools = ~(self.delimiter_S | self.quote_S)

    def cut(self, n: int) -> None:
        """Forget all but the first `n`."""
        self.at_S = self.at_S[:n]
        self.quote_S, self.line_S = self.quote_S[:n], self.line_S[:n]
        self.delimiter_S = self.delimiter_S[:n]

    def misplaced(self, inside_S: Bools) -> Ints:
        """Quotes that open or close where no field begins or ends, given what is inside of quotes."""
        if not self.quoted or len(self.at_S) == 0:
            return np.zeros(0, np.int64)
        # A field begins behind, and ends before, another special character (or the text's own ends).
        next_to = np.zeros(len(self.at_S) + 1, bool)
        next_to[0] = self.at_S[0] == 0
        next_to[1:-1] = self.at_S[1:] - self.at_S[:-1] == 1
        opening = np.flatnonzero(self.quote_S & inside_S & ~next_to[:-1])
        closing = np.flatnonzero(self.quote_S & ~(inside_S | next_to[1:]))
        closing = closing[self._all[self.at_S[closing] + 1] != _CR]  # a line end is always last
        return np.concatenate([opening, closing])


def escaped(characters: NDArray[np.uint8]) -> Ints:
    """Positions whose character a backslash takes the meaning of."""
    slashes = np.flatnonzero(characters == _BACKSLASH)
    if len(slashes) == 0:
        return slashes
    run_start = np.append(True, np.diff(slashes) != 1)
    first = slashes[np.flatnonzero(run_start)][np.cumsum(run_start) - 1]
    active: Ints = slashes[(slashes - first) % 2 == 0] + 1
    return active[active < len(characters)]


def _lone_returns(characters: NDArray[np.uint8]) -> Ints:
    returns = np.flatnonzero(characters == _CR)
    following = characters[np.minimum(returns + 1, len(characters) - 1)]
    lone: Ints = returns[following != _LF]
    return lone


def line_ends(data: bytes, end: int | None = None) -> Ints:
    """Positions of line feeds, and of carriage returns that stand alone, in the first `end` bytes."""
    characters = np.frombuffer(data, np.uint8)[:end]
    ends = characters == _LF
    if b"\r" in data:
        ends[_lone_returns(characters)] = True
    return np.flatnonzero(ends)


def first_line_end(data: bytes, escape: bool = False) -> int:
    """Length of the first line of `data`, its end included; all of `data` where there is none."""
    found = (_FIRST_LINE_ESCAPED if escape else _FIRST_LINE).match(data)
    return found.end() if found else len(data)
