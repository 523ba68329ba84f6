"""The elements of a JSON array as a stream of raw texts, without reading the array as a whole (DATA-1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from featrix_core.errors import FeatrixUserError

MAX_ELEMENT_BYTES = 32 * 1024 * 1024
_MOST_HEAD_BYTES = 64 * 1024 * 1024
_ARRAY_OF_OBJECTS = re.compile(rb"\[\s*\{")
_QUOTE, _BACKSLASH, _COMMA = ord('"'), ord("\\"), ord(",")
_OPEN, _CLOSE = (ord("["), ord("{")), (ord("]"), ord("}"))


@dataclass(frozen=True)
class _Structure:
    """Characters outside of strings that give a JSON text its shape, with the depth after each."""

    at_S: NDArray[np.int64]
    code_S: NDArray[np.uint8]
    depth_S: NDArray[np.int64]


def _structure(data: bytes) -> _Structure:
    """The shape of a text that starts outside of any string; depth starts at 0."""
    characters = np.frombuffer(data, np.uint8)
    chosen = (characters == _COMMA) | (characters == _QUOTE)
    for code in (*_OPEN, *_CLOSE):
        chosen |= characters == code
    at = np.flatnonzero(chosen)
    codes = characters[at]
    quotes = codes == _QUOTE
    if b"\\" in data:
        quotes[_escaped(characters, at)] = False
    outside = ~np.bitwise_xor.accumulate(quotes) & (codes != _QUOTE) if len(at) else quotes
    at, codes = at[outside], codes[outside]
    step = np.isin(codes, _OPEN).astype(np.int64) - np.isin(codes, _CLOSE)
    return _Structure(at, codes, np.cumsum(step))


def _escaped(characters: NDArray[np.uint8], at_S: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the characters at `at_S` follow an odd number of backslashes."""
    slashes = np.flatnonzero(characters == _BACKSLASH)
    run_start = np.append(True, np.diff(slashes) != 1)
    first = slashes[np.flatnonzero(run_start)][np.cumsum(run_start) - 1]
    active = slashes[(slashes - first) % 2 == 0] + 1
    return np.isin(at_S, active)


def array_elements(blocks: Iterator[bytes], where: str) -> Iterator[bytes]:
    """Raw texts of the elements of the array that a JSON document is, or that its one object holds.

    An object without anything nested in it is one element itself.

    Raises:
        FeatrixUserError: neither array nor object, several arrays, an element beyond 32 MB.
    """
    head = b""
    while not head.strip():
        block = next(blocks, None)
        if block is None:
            raise FeatrixUserError(f"{where} is empty", remedy="Give a file with rows")
        head += block
    root = head.lstrip()[:1]
    if root == b"[":
        yield from _elements(chain((head[head.index(b"[") + 1 :],), blocks), where, nested=False)
        return
    if root != b"{":
        raise FeatrixUserError(
            f"{where} is neither a JSON array of objects nor an object that holds one",
            value=head.strip()[:40].decode("utf-8", "replace"),
            remedy="Give an array of objects, or JSON lines",
        )
    start = _inner_array(head, 0)
    while start is None:
        block = next(blocks, None)
        if block is None:
            if (_structure(head).depth_S > 1).any():
                raise FeatrixUserError(
                    f"{where} holds one object, but no array of objects in it",
                    remedy="Give an array of objects, or JSON lines",
                )
            yield head
            return
        head += block
        if len(head) > _MOST_HEAD_BYTES:
            raise FeatrixUserError(
                f"{where} holds no array of objects within its first 64 MB",
                remedy="Give an array of objects, or JSON lines",
            )
        start = _inner_array(head, 0)
    yield from _elements(chain((head[start:],), blocks), where, nested=True)


def _inner_array(data: bytes, depth: int) -> int | None:
    """Where the elements of the first array of objects begin that a key of the root object holds."""
    shape = _structure(data)
    opening = (shape.code_S == _OPEN[0]) & (shape.depth_S + depth == 2)
    for at in shape.at_S[opening].tolist():
        if _ARRAY_OF_OBJECTS.match(data, at):
            return int(at) + 1
    return None


def _elements(blocks: Iterator[bytes], where: str, nested: bool) -> Iterator[bytes]:
    carry = b""
    for block in blocks:
        data = carry + block if carry else block
        shape = _structure(data)
        closing = np.flatnonzero(shape.depth_S < 0)
        last = int(closing[0]) if len(closing) else len(shape.at_S)
        level = (shape.code_S[:last] == _COMMA) & (shape.depth_S[:last] == 0)
        start = 0
        for end in shape.at_S[:last][level].tolist():
            yield data[start:end]
            start = end + 1
        if len(closing):
            end = int(shape.at_S[last])
            if start or data[start:end].strip():
                yield data[start:end]
            _check_rest(data[end + 1 :], blocks, where, nested)
            return
        carry = data[start:]
        if len(carry) > MAX_ELEMENT_BYTES:
            raise FeatrixUserError(
                f"{where} has an element of more than 32 MB",
                remedy="Check the brackets and quotes of the file",
            )
    if carry.strip():
        yield carry  # the array is never closed: what is left does not parse


def _check_rest(rest: bytes, blocks: Iterator[bytes], where: str, nested: bool) -> None:
    while len(rest) <= _MOST_HEAD_BYTES and (block := next(blocks, None)) is not None:
        rest += block
    if nested:
        if _inner_array(rest, 1) is None and len(rest) <= _MOST_HEAD_BYTES:
            return
        found = "more than one array of objects"
    elif not rest.strip():
        return
    else:
        found = "further text behind its array"
    raise FeatrixUserError(
        f"{where} holds {found}", remedy="Give one array of objects per file, or JSON lines"
    )
