"""Vectors as an answer's body: decimals, base64 or whole grid steps (STR-1)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from featrix_core.strings.engine import MODEL_NAME
from featrix_core.strings.grid import DIMENSION, STEPS_PER_UNIT, to_vectors
from featrix_core.strings.schemas import BINARY
from featrix_core.strings.service_cache import Vector

_PART_BYTES = 64 * 1024
_CELL = 8  # "-0.1234,": no coordinate is longer
Rows: TypeAlias = Callable[[Sequence[Vector]], list[bytes]]


@dataclass(frozen=True)
class Form:
    """A layout of n vectors: `head`, n times `before(place)`, the vector and `after`, commas between, `tail`.

    `rows`: the vectors' bytes, `row_bytes` each.
    """

    media_type: str
    rows: Rows
    row_bytes: int
    head: bytes = b""
    before: Callable[[int], bytes] = lambda place: b""
    after: bytes = b""
    between: bytes = b","
    tail: bytes = b""

    def size(self, count: int) -> int:
        """Bytes of a body with so many vectors."""
        around = sum(len(self.before(place)) for place in range(count)) + count * len(self.after)
        commas = (count - 1) * len(self.between)
        return len(self.head) + around + count * self.row_bytes + commas + len(self.tail)

    def parts(self, vectors: Sequence[Vector]) -> Iterator[bytes]:
        """The body in pieces of about 64 KiB, each made when it is asked for."""
        step = max(1, _PART_BYTES // self.row_bytes)
        for start in range(0, len(vectors), step):
            rows = self.rows(vectors[start : start + step])
            items = [self.before(start + n) + row + self.after for n, row in enumerate(rows)]
            ends = start + step >= len(vectors)
            yield b"".join(
                (
                    self.between if start else self.head,
                    self.between.join(items),
                    self.tail if ends else b"",
                )
            )


def _cells(end: str) -> NDArray[np.uint64]:
    """The decimal form of every possible coordinate, blanks before it and `end` after it."""
    steps = range(-STEPS_PER_UNIT, STEPS_PER_UNIT + 1)
    texts = [f"{step / STEPS_PER_UNIT!r}{end}".rjust(_CELL) for step in steps]
    return np.frombuffer("".join(texts).encode(), "u8")


# A coordinate has 20,001 possible values. JSON allows blanks, so all take eight bytes: a body is looked up.
_INNER, _LAST = _cells(","), _cells("]")


def _decimals(vectors: Sequence[Vector]) -> list[bytes]:
    steps_BH = np.frombuffer(b"".join(v.steps for v in vectors), "<i2").reshape(-1, DIMENSION)
    cells_BH = _INNER[steps_BH + STEPS_PER_UNIT]
    cells_BH[:, -1] = _LAST[steps_BH[:, -1] + STEPS_PER_UNIT]
    return [b"[" + row.tobytes() for row in cells_BH]


def _base64(vectors: Sequence[Vector]) -> list[bytes]:
    found = []
    for vector in vectors:
        floats = to_vectors(np.frombuffer(vector.steps, "<i2").astype(np.int16))
        found.append(b'"%b"' % base64.b64encode(floats.astype("<f4").tobytes()))
    return found


def _steps(vectors: Sequence[Vector]) -> list[bytes]:
    return [vector.steps for vector in vectors]


_DECIMAL_BYTES = 1 + DIMENSION * _CELL
_BASE64_BYTES = 2 + 4 * -(-4 * DIMENSION // 3)
COMPACT = Form(BINARY, _steps, 2 * DIMENSION, between=b"")
"""n × 768 bytes."""


def embed_form(fingerprint: str) -> Form:
    """The JSON answer of `/embed`."""
    tail = b'],"fingerprint":"%b"}' % fingerprint.encode()
    return Form("application/json", _decimals, _DECIMAL_BYTES, head=b'{"embeddings":[', tail=tail)


def openai_form(tokens: int, *, in_base64: bool) -> Form:
    """The answer of `/v1/embeddings` to texts with so many tokens in all."""
    return Form(
        "application/json",
        _base64 if in_base64 else _decimals,
        _BASE64_BYTES if in_base64 else _DECIMAL_BYTES,
        head=b'{"object":"list","data":[',
        before=lambda place: b'{"object":"embedding","index":%d,"embedding":' % place,
        after=b"}",
        tail=b'],"model":"%b","usage":{"prompt_tokens":%d,"total_tokens":%d}}'
        % (MODEL_NAME.encode(), tokens, tokens),
    )
